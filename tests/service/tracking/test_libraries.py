"""The matrix of docs/trackers.md: four trackers x train, resume, kill, sweep, each with its real
library, offline, and what it has kept read back.

Trackio is not among the extras of the tests (it wants an older Pillow than the rest): the gate runs
its rows by themselves, with that Pillow. Online: `test_online.py`.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import raygan
from raygan.service.runs.run import Run
from raygan.service.tracking import feed as feeding
from raygan.service.tracking.feed import Feed, TrackerRecords
from raygan.service.tracking.listener import trackers_of
from raygan.service.tracking.payload import Payload
from tests.conftest import TINY
from tests.service.tracking.readers import READERS, Points, there

ALL = [
    pytest.param(name, marks=pytest.mark.skipif(not there(name), reason="not installed"))
    for name in READERS
]
LIBRARIES = [
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::FutureWarning",
    "ignore::ResourceWarning",
]  # fmt: skip
"""Of the libraries: what they raise among themselves."""
pytestmark = [pytest.mark.filterwarnings(rule) for rule in LIBRARIES]
ENVIRONMENT = (
    "WANDB_API_KEY", "WANDB_MODE", "MLFLOW_TRACKING_URI", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's key, and nothing outside of the test's folder."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))


def in_its_own_process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line: Trackio has one folder a process."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "raygan.cli", *words],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def flags(run_dir: Path, **changes: Any) -> list[str]:
    (run_dir / "tiny.yaml").write_text(yaml.safe_dump({**TINY, **changes}))
    return ["--config", str(run_dir / "tiny.yaml"), "--run-dir", str(run_dir), "--inline"]


def told(run: Path) -> Points:
    """What a tracker should have: metrics.jsonl, with a tracker's names."""
    out: Points = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        part = "score/" if row["kind"] == "score" else ""
        for name, value in row.items():
            if isinstance(value, int | float) and name != "step":
                plain = name.replace("@", "_at_").replace("%", "_percent")
                points = out.setdefault(f"{row['player']}/{part}{plain}", [])
                if not points or row["step"] > points[-1][0]:
                    points.append((row["step"], value))
    return out


def same(found: Points, wanted: Points) -> None:
    """The same steps, in order, and the same numbers (TensorBoard's have 32 bits)."""
    assert sorted(found) == sorted(wanted)
    for name, points in wanted.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points], name
        for (_, a), (_, b) in zip(found[name], points, strict=True):
            assert math.isclose(a, b, rel_tol=1e-6) or (math.isnan(a) and math.isnan(b)), name


@pytest.mark.exhaustive
@pytest.mark.parametrize("tracker", ALL)
def test_a_run_that_is_gone_on_with_is_one_run_there(tracker: str, tmp_path: Path) -> None:
    name = f"run-{tracker}"
    done = in_its_own_process(
        "train", *flags(tmp_path), "--name", name, "--track", tracker, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("{") for line in done.stdout.splitlines()), "nothing but JSON lines"
    run, read = tmp_path / name, READERS[tracker]
    assert "W211" not in (run / "events.jsonl").read_text() + done.stderr
    first = read(run)
    same(first.scalars, told(run))
    steps = {6, 12}
    players = {"pair-00", "pair-01", "global", "mixture"}
    assert first.pictures == {(player, step) for player in players for step in steps}
    assert json.loads(first.config["batch_size"]) == 16
    assert json.loads(first.config["pair.lr_g"]) == 1e-3
    assert {"strategy=sgan", "data=ring", "loss=non_saturating"} <= first.tags
    if tracker in ("wandb", "mlflow"):
        assert {"config.yaml", "run.json", "data.png"} <= first.files
    again = in_its_own_process("resume", str(run), "--steps", "+8", "--plain")
    assert again.returncode == 0, again.stderr
    second = read(run)
    same(second.scalars, told(run))
    assert max(step for step, _ in second.scalars["global/loss_g"]) == 20
    assert second.runs == first.runs
    assert len(second.runs) == 1
    assert "W211" not in (run / "events.jsonl").read_text() + again.stderr
    outside = {p.name for p in tmp_path.iterdir()} - {name, "tiny.yaml", "cache", "latest"}
    assert outside <= {"trackio"}, "no tracker writes anywhere else"


@pytest.mark.exhaustive
@pytest.mark.parametrize("tracker", ALL)
def test_a_killed_run_loses_nothing_that_it_has_written(tracker: str, tmp_path: Path) -> None:
    name = f"run-{tracker}"
    words = flags(tmp_path, steps=100_000, evaluation={"every_steps": 500, "samples": 1600},
                  checkpoint={"every_steps": 100})  # fmt: skip
    command = [sys.executable, "-P", "-m", "raygan.cli", "train", *words, "--name", name]
    run = tmp_path / name
    process = subprocess.Popen([*command, "--track", tracker, "--quiet"], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while not any(step >= 300 for step in told_steps(run, tracker).values()):
            assert time.monotonic() < until, "it was told nothing"
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached = max(told_steps(run, tracker).values())
    last = (reached // 500 + 2) * 500
    done = in_its_own_process(
        "train", "--resume", str(run), "--steps", str(last), "--inline", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    found, wanted = READERS[tracker](run), told(run)
    assert len(found.runs) == 1
    if tracker == "tensorboard":
        same(found.scalars, wanted)
    for key, points in wanted.items():  # the others may have rows twice, and lose none
        steps = [step for step, _ in points]
        assert sorted({step for step, _ in found.scalars[key]}) == steps, key


def told_steps(run: Path, tracker: str) -> dict[str, int]:
    try:
        kept = json.loads((run / "trackers.json").read_text())
    except (OSError, ValueError):
        return {"nobody": 0}
    return dict(kept["trackers"][tracker]["steps"]) or {"nobody": 0}


@pytest.mark.ray
@pytest.mark.exhaustive
@pytest.mark.parametrize("tracker", ALL)
def test_each_trial_of_a_sweep_is_a_run_there(tracker: str, tmp_path: Path) -> None:
    spec = {
        "name": "swept", "preset": "ring8-sgan", "settings": TINY, "space": {"seed": [0, 1]},
        "metric": "mixture.high_quality",
    }  # fmt: skip
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(spec))
    words = ["sweep", str(tmp_path / "sweep.yaml"), "--run-dir", str(tmp_path), "--track", tracker]
    done = in_its_own_process(*words, "--address", "local")
    assert done.returncode == 0, done.stderr
    # Ray ends a trial's process by an exception, which may come up where Python can only print it
    rays = re.compile(r"Exception ignored in:.*?SystemExit: \d+", re.DOTALL)
    assert "Traceback" not in rays.sub("", done.stdout + done.stderr)
    runs = sorted((tmp_path / "swept" / "runs").glob("seed-*"))
    assert len(runs) == 2
    ids = set()
    for run in runs:
        assert Run.load(run).info["status"] == "done"
        assert "W211" not in (run / "events.jsonl").read_text()
        found = READERS[tracker](run)
        same(found.scalars, told(run))
        assert "sweep=swept" in found.tags
        ids |= found.runs
    assert len(ids) == 2 or tracker == "tensorboard"


@pytest.mark.parametrize("tracker", ALL)
def test_a_tracker_that_is_new_is_told_the_whole_run(tracker: str, tmp_path: Path) -> None:
    raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    run = raygan.train(
        None, run_dir=tmp_path, name="run", resume="auto", inline=True, track=tracker,
        **{**TINY, "steps": 16},
    )  # fmt: skip
    found = READERS[tracker](run.path)
    same(found.scalars, told(run.path))
    assert {step for _, step in found.pictures} == {6, 12, 16}
    assert max(step for step, _ in found.scalars["global/loss_g"]) == 16


@pytest.mark.exhaustive
@pytest.mark.skipif(not there("mlflow"), reason="not installed")
def test_a_store_that_is_gone_is_told_all_again_and_that_is_said(tmp_path: Path) -> None:
    in_its_own_process("train", *flags(tmp_path), "--name", "run", "--track", "mlflow", "--quiet")
    run = tmp_path / "run"
    shutil.rmtree(run / "mlflow")
    done = in_its_own_process("resume", str(run), "--steps", "+4", "--plain")
    assert (
        "is not there any more; all is told again"
        in done.stderr + (run / "events.jsonl").read_text()
    )
    same(READERS["mlflow"](run).scalars, told(run))


@pytest.mark.skipif(not there("tensorboard"), reason="not installed")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_events_that_a_full_disk_did_not_take_are_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard writes in a thread of its own, which ends at the first error and stays away."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    config = run.config.model_copy(update={"track": ({"name": "tensorboard"},)})
    ((label, component),) = trackers_of(config)
    feed = Feed(
        label, component.made, Payload(config, run.path), TrackerRecords(run.path), lambda x: None
    )
    write, written = RecordWriter.write, list[int]()

    def full(self: Any, data: bytes) -> None:
        written.append(len(data))
        if 9 < len(written) < 60:
            raise OSError(28, "No space left on device")
        write(self, data)

    monkeypatch.setattr(feeding, "AGAIN_S", 0.0)
    monkeypatch.setattr(RecordWriter, "write", full)
    for _ in range(8):
        feed.look()
    assert "No space left on device" in feed.guard.trouble[0]
    written += [0] * 60
    for _ in range(8):
        feed.look()
    feed.ended.set()
    feed.run()
    same(READERS["tensorboard"](run.path).scalars, told(run.path))

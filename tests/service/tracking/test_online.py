"""Trackers that speak to a server: a real one of MLflow, and enough of W&B's; and what becomes of a
run whose server is away, dies, or never answers.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import raygan
from raygan.cli import main
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.tracking import feed as feeding
from raygan.service.tracking.feed import Feed, TrackerRecords
from raygan.service.tracking.listener import outcome, trackers_of
from raygan.service.tracking.payload import Payload
from raygan.trackers import wandb as wandb_tracker
from raygan.trackers.mlflow import BOUNDS, MLflow
from tests.conftest import TINY
from tests.service.tracking import readers
from tests.service.tracking.test_libraries import LIBRARIES, flags, same, told
from tests.service.tracking.wandb_server import WandbServer
from tests.service.tracking.wire import Wire

pytestmark = [
    pytest.mark.exhaustive,
    *(pytest.mark.filterwarnings(rule) for rule in LIBRARIES),
]
ONLINE = ("mlflow", "wandb")


@pytest.fixture(scope="module")
def mlflow_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """`mlflow server`, as it comes from PyPI."""
    pytest.importorskip("mlflow.server")
    pytest.importorskip("flask")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/server.db",
             "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words], cwd=folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip
    try:
        until = time.monotonic() + 200
        while not healthy(port):
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def wandb_server() -> Iterator[WandbServer]:
    server = WandbServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own key or server; what a tracker sets is taken back."""
    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI", *BOUNDS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setattr(feeding, "EVERY_S", 0.05)


Reads = Callable[[Path], readers.Read]


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Wire, Reads]:
    """(a wire to the tracker's server, which the environment names; what the server has)."""
    if request.param == "mlflow":
        port = request.getfixturevalue("mlflow_port")
        wire = Wire(port)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", wire.url)
        return wire, lambda run: readers.mlflow(run, f"http://127.0.0.1:{port}")
    stub = request.getfixturevalue("wandb_server")
    wire = Wire(stub.server_address[1])
    monkeypatch.setenv("WANDB_BASE_URL", wire.url)
    return wire, lambda run: online(stub, run)


def online(stub: WandbServer, run: Path) -> readers.Read:
    """What W&B's server has of a run."""
    number = json.loads((run / "run.json").read_text())["id"]
    bucket, out = stub.runs[number], readers.Read(runs={number})
    rows = bucket.rows()
    steps = [row["_step"] for row in rows]
    assert steps == sorted(set(steps)), "the server takes no step of its own twice"
    for row in rows:
        flat = dict(row)
        for key, value in row.items():
            if isinstance(value, dict):
                flat[f"{key}/_type"] = flat.pop(key)["_type"]
        readers.history(flat, out)
    out.tags, out.files = bucket.tags, set(bucket.files)
    return out


@pytest.mark.parametrize(("tracker", "server"), [(t, t) for t in ONLINE], indirect=["server"])
def test_a_run_and_its_second_life_are_one_run_on_the_server(
    tracker: str, server: tuple[Wire, Reads], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, read = server
    with pytest.raises(SystemExit) as end:
        main(["train", *flags(tmp_path), "--name", "run", "--track", tracker, "--json"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("{")] == [], "nothing but JSON lines"
    run = tmp_path / "run"
    first = read(run)
    same(first.scalars, told(run))
    assert {"strategy=sgan", "data=ring"} <= first.tags
    assert {"config.yaml", "run.json", "data.png"} <= first.files
    resume_run(run, extra_steps=8)
    second = read(run)
    same(second.scalars, told(run))
    assert second.runs == first.runs
    assert len(second.runs) == 1
    assert "W211" not in (run / "events.jsonl").read_text()


@pytest.mark.parametrize("how", ["refuses", "hangs"])
@pytest.mark.parametrize(("tracker", "server"), [(t, t) for t in ONLINE], indirect=["server"])
def test_a_server_that_is_away_at_first_is_told_all_when_it_is_back(
    tracker: str, how: str, server: tuple[Wire, Reads], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(wandb_tracker, "BEGIN_S", 1.0)
    monkeypatch.setattr(feeding, "AGAIN_S", 0.0)
    monkeypatch.setitem(BOUNDS, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    wire, read = server
    wire.mode = how
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    feed = fed(run, tracker)
    feed.look()
    assert not feed.begun
    assert f"{tracker}: begin: " in feed.guard.trouble[0]
    wire.mode = "passes"
    feed.ended.set()
    feed.run()
    same(read(run.path).scalars, told(run.path))
    assert outcome(feed) == "", "one failure is told already"


@pytest.mark.parametrize("how", ["refuses", "hangs"])
@pytest.mark.parametrize("server", ["mlflow"], indirect=True)
def test_a_server_that_dies_in_the_middle_is_told_the_rest_in_the_next_life(
    how: str, server: tuple[Wire, Reads], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BOUNDS, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setitem(BOUNDS, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    wire, read = server
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    taken, scalars = list[int](), MLflow.scalars

    def until_fifth(self: MLflow, step: int, player: str, values: Any) -> None:
        if len(taken) == 5:
            wire.mode = how
        scalars(self, step, player, values)
        taken.append(step)

    monkeypatch.setattr(MLflow, "scalars", until_fifth)
    feed = fed(run, "mlflow")
    feed.ended.set()
    feed.run()
    assert len(taken) == 5
    assert "mlflow: scalars: " in feed.guard.trouble[0]
    assert "it lacks rows" in outcome(feed)
    monkeypatch.setattr(MLflow, "scalars", scalars)
    wire.mode = "passes"
    again = fed(run, "mlflow")
    again.ended.set()
    again.run()
    assert again.guard.trouble == []
    same(read(run.path).scalars, told(run.path))


def test_wandb_keeps_for_later_what_its_server_did_not_take(
    wandb_server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs in its end, and is left alone; its own command sends what lies in the folder."""
    wire = Wire(wandb_server.server_address[1])
    monkeypatch.setenv("WANDB_BASE_URL", wire.url)
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    feed = fed(run, "wandb")
    tracker = wandb_tracker.WeightsAndBiases
    scalars = tracker.scalars

    def then_away(self: Any, *facts: Any) -> None:
        wire.mode = "hangs"
        scalars(self, *facts)

    monkeypatch.setattr(tracker, "scalars", then_away)
    feed.ended.set()
    feed.start()
    feed.join(8)
    assert feed.is_alive(), "it waits for its server"
    assert json.loads((run.path / "trackers.json").read_text())["trackers"]["wandb"]["steps"]
    (folder,) = (run.path / "wandb").glob("run-*-*")
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--no-skip-online", str(folder)],
        env={**os.environ, "WANDB_BASE_URL": wandb_server.url}, capture_output=True, text=True,
        timeout=200, check=False, cwd=tmp_path,  # it makes a folder where it stands
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    same(online(wandb_server, run.path).scalars, told(run.path))
    wire.mode = "passes"
    feed.join(60)


def test_nobody_who_listens_costs_seconds_and_not_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(mode="refuses")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", wire.url)
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    feed = fed(run, "mlflow")
    look = threading.Thread(target=feed.look, daemon=True)
    look.start()
    look.join(100)  # MLflow's own patience is four minutes
    assert feed.guard.trouble


def fed(run: Run, tracker: str) -> Feed:
    """A tracker of a run that has ended."""
    config = run.config.model_copy(update={"track": ({"name": tracker},)})
    ((label, component),) = trackers_of(config)
    return Feed(
        label, component.made, Payload(config, run.path), TrackerRecords(run.path), lambda x: None
    )

"""Run folders that released versions have written are read, sampled and gone on with."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from raygan.cli import main
from raygan.controller.checkpoint import newest_valid
from raygan.controller.history import committed, read_journal
from raygan.controller.storage import LocalStorage
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run

FORMATS = Path(__file__).parent / "formats"
WHOLE = {
    "1/sgan-lockstep": (12, {"pair-00": "d92920f9f5845bf8", "pair-01": "a901a61b4ce181a3",
                             "global": "38ecca57b63bd94c"}),
    "1/gap-resumed": (20, {"pair-00": "e47fa3356bb2306d", "pair-01": "8e7db653b8794f58"}),
    "1/pmgan-async": (12, {"gen-00": "aa31583fee98cf5a", "gen-01": "7531fc3159b0fe96",
                           "judge": "7d2021a5a37bd039"}),
}  # fmt: skip
"""Folder -> step of its newest checkpoint, and the beginning of each player's digest there."""
EARLIER = {"1/sgan-lockstep": [6, 12], "1/gap-resumed": [18, 20], "1/pmgan-async": [6, 12]}


def test_no_folder_is_forgotten() -> None:
    assert {str(p.parent.relative_to(FORMATS)) for p in FORMATS.glob("*/*/run.json")} == set(WHOLE)


@pytest.mark.parametrize("name", WHOLE)
def test_an_old_run_is_read_and_gone_on_with(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step, digests = WHOLE[name]
    path = tmp_path / "old"
    shutil.copytree(FORMATS / name, path)
    (path / "samples").mkdir()  # git keeps no empty folder
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}

    run = Run.load(path)
    samples = run.generator(run.main_player).sample(16, seed=0)
    assert samples.shape == (16, 2)
    assert np.isfinite(samples).all()
    assert set(run.scores()) >= set(run.pairs)
    assert main_code(["status", str(path)]) == 0
    assert "done" in capsys.readouterr().out
    checkpoint, problems = newest_valid(path)
    assert checkpoint is not None
    assert not problems
    assert {p: digest(unpack(raw))[:16] for p, raw in checkpoint.parts.items()} == digests
    assert checkpoint.steps == dict.fromkeys(digests, step)
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before, (
        "whoever looks changes nothing"
    )

    resume_run(path, extra_steps=4)
    checkpoint, problems = newest_valid(path)
    assert checkpoint is not None
    assert not problems
    assert checkpoint.steps == dict.fromkeys(digests, step + 4)
    assert Run.load(path).info["status"] == "done"


@pytest.mark.parametrize("name", WHOLE)
def test_what_an_old_journal_has_committed_counts(name: str) -> None:
    history = read_journal(LocalStorage(FORMATS / name))
    assert not history.problems
    assert set(EARLIER[name]) <= {e.step for e in committed(history.records)}
    if name == "1/gap-resumed":
        assert [r["step"] for r in history.of("swap")] == [4, 8, 12, 16], "over both epochs"


def main_code(argv: list[str]) -> int:
    """The exit code of a verb."""
    with pytest.raises(SystemExit) as left:
        main(argv)
    return int(str(left.value.code))

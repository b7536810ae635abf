"""`evaluation.reject`: a row more at the end, never a run less."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raygan
from raygan.errors import CheckpointError
from raygan.service import measuring
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.scores import rejection
from raygan.service.scores import rejection_score as rejected_scores
from raygan.service.scores.evaluate import result_table
from raygan.service.scores.rejection import rejecting
from raygan.service.views.report import write_report
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejection, "STEPS", 20)


def trained(folder: Path, reject: str, **changes: Any) -> Run:
    settings = {**TINY, "evaluation": {"every_steps": 12, "samples": 1600, "reject": reject}}
    return raygan.train("ring8-sgan", run_dir=folder, name="r", inline=True, **settings | changes)


@pytest.mark.parametrize("reject", ["points", "always"])
def test_what_the_run_is_for_is_scored_as_reject_samples_it(tmp_path: Path, reject: str) -> None:
    run = trained(tmp_path, reject)
    told = run.info["rejected"]
    made = rejecting(run, "global")
    (protocol,) = run.info["protocols"].values()
    made.draw(protocol["n_fake"], run.config.seed)
    assert told["player"] == "global"
    assert told["kept"] == made.share_kept
    assert set(told["scores"]) >= {"high_quality", "width", "reverse_kl"}
    below = result_table(run).splitlines()
    row = next(i for i, line in enumerate(below) if line.startswith("global, rejected "))
    assert below[row - 1].startswith("global ")
    assert not any(line.startswith("best: global, rejected") for line in below)
    assert f"global, rejected: the {made.share_kept:.0%} of its samples" in below[-1]
    page = write_report(run).read_text()
    assert "global, rejected</td>" in page or "global, rejected</th>" in page


def test_without_being_asked_nothing_is_rejected(tmp_path: Path) -> None:
    run = trained(tmp_path, "never")
    assert run.info["rejected"] is None
    assert "rejected" not in result_table(run)


def test_a_run_that_goes_on_forgets_the_score_of_before(tmp_path: Path) -> None:
    run = trained(tmp_path, "always")
    seen: list[object] = []
    look = lambda *_: seen.append(Run.load(run.path).info["rejected"])  # noqa: E731
    again = resume_run(str(run.path), extra_steps=12, inline=True, listeners=[look])
    assert seen
    assert not any(seen), "that was of other weights"
    assert again.info["rejected"] != run.info["rejected"]


def test_of_pictures_only_where_always_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).integers(0, 255, (80, 8, 8), np.uint8))
    data = {"name": "npz", "path": str(tmp_path / "x.npz"), "held_out": 40}
    run = trained(tmp_path, "points", data=data, evaluation={"samples": 16, "reject": "points"})
    assert run.info["rejected"] is None


def test_a_discriminator_that_cannot_costs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise CheckpointError("its logits are not finite")

    monkeypatch.setattr(rejected_scores, "rejecting", broken)
    run = trained(tmp_path, "always")
    assert (run.info["status"], run.info["exit_code"]) == ("done", 0)
    assert "global: no score with rejection (CheckpointError: its logits" in result_table(run)


def test_an_evaluator_that_cannot_be_made_at_the_end_costs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no suite")

    monkeypatch.setattr(measuring, "Evaluator", broken)
    run = trained(tmp_path, "always")
    assert (run.info["status"], run.info["exit_code"]) == ("degraded", 4)
    assert run.info["rejected"] == {"player": "global", "missing": "RuntimeError: no suite"}

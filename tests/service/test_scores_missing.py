"""A run whose metrics fail is trained to its end, and ends degraded."""

from pathlib import Path

import pytest

import raygan
from raygan.metrics.suite import Suite
from raygan.service.views.report import write_report
from tests.conftest import TINY


def test_a_run_without_scores_ends_degraded_with_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Suite, "score", fail)
    run = raygan.train(run_dir=str(tmp_path), name="blind", inline=True, **TINY)
    assert (run.info["status"], run.info["exit_code"]) == ("degraded", 4)
    assert "MemoryError: no room" in run.info["degraded"]["scores"]
    assert set(run.info["steps"].values()) == {TINY["steps"]}
    assert run.generator("mixture").sample(8, seed=0).shape == (8, 2)
    assert write_report(run).exists()

"""What a verdict rests on; claims name presets, settings and scores that exist."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from raygan.cli import main
from raygan.service.papers import claims, reproduce
from raygan.service.papers.claims import CLAIMS, Arm, Claim
from raygan.service.papers.reproduce import judged, settings
from raygan.service.runs.run import Run

BETTER = CLAIMS["gap-fig3"]


@pytest.mark.parametrize(
    ("wants", "first", "second", "verdict"),
    [
        ("higher", [3, 3.1, 3.2], [1, 1.2, 1.1], "holds"),
        ("higher", [1, 1.2, 1.1], [3, 3.1, 3.2], "does not hold"),
        ("lower", [1, 1.2, 1.1], [3, 3.1, 3.2], "holds"),
        ("lower", [3, 3.1, 3.2], [1, 1.2, 1.1], "does not hold"),
        ("higher", [1, 3, 2], [2, 1, 3], "not shown"),
        ("higher", [9], [1], "not shown"),
        ("higher", [9, 9], [1, 1], "not shown"),
        ("higher", [9] * 4, [1] * 4, "not shown"),
        ("higher", [9] * 5, [1] * 5, "holds"),
        ("higher", [9, 9.01], [1, 1], "holds"),
        ("as high", [0.99, 0.991, 0.99], [1, 1, 1], "holds"),
        ("as high", [0.9, 0.9, 0.91], [1, 1, 1], "does not hold"),
        ("as high", [0.9, 1.1, 0.7], [1, 1, 1], "not shown"),
    ],
)
def test_a_verdict_is_about_differences_within_seeds(
    wants: str, first: list[float], second: list[float], verdict: str
) -> None:
    claim = replace(BETTER, wants=wants, margin=0.02)  # type: ignore[arg-type]
    assert judged("x", claim, first, second).verdict == verdict


def test_the_interval_is_students() -> None:
    """Differences 1, 2, 3, 4, 5: mean 3, 95 % half-width 1.963 (by hand: 2.776 sqrt(2.5 / 5))."""
    found = judged("x", BETTER, [1, 2, 3, 4, 5], [0] * 5)
    assert found.difference == 3
    assert found.half == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("quick", [False, True])
def test_a_claims_runs_are_settings_that_exist_and_differ_in_one_seed(
    name: str, quick: bool
) -> None:
    claim = CLAIMS[name]
    for arm in claim.arms.values():
        found = settings(claim, arm, 3, quick).config
        assert found.seed == 3
        full = settings(claim, arm, 3, False).config
        assert found.steps < full.steps if quick else found.steps == full.steps


def test_a_quick_try_keeps_the_ratio_of_its_arms_steps() -> None:
    claim = CLAIMS["sgan-fig3"]
    short, long = (settings(claim, arm, 0, True).config.steps for arm in claim.arms.values())
    assert long == 5 * short


TINY = {
    "steps": 6, "evaluation.every_steps": 6, "evaluation.samples": 1500, "batch_size": 8,
    "network": {"name": "mlp", "hidden": 4, "z_dim": 2},
}  # fmt: skip


def both(runs: Mapping[str, Run]) -> tuple[float, float]:
    return tuple(  # type: ignore[return-value]
        claims.mean_over_pairs(runs[a], "high_quality") for a in ("a", "b")
    )


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Claim:
    arms = {
        "a": Arm("ring8-gap", {**TINY, "num_pairs": 2}),
        "b": Arm("ring8-gap", {**TINY, "num_pairs": 2, "strategy": "independent"}),
    }
    claim = replace(BETTER, arms=arms, measure=both, quick={"steps": 4})
    monkeypatch.setitem(CLAIMS, "tiny", claim)
    return claim


@pytest.mark.usefixtures("tiny")
def test_what_is_there_is_not_trained_again_and_what_was_cut_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--run-dir", str(tmp_path)]
    with pytest.raises(SystemExit, match="0"):
        main(["reproduce", "tiny", "--seeds", "1", *where])
    runs = sorted(p.parent.name for p in tmp_path.glob("tiny/*-seed*/run.json"))
    assert runs == ["a-seed0", "b-seed0"]
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("tiny/*-seed0/metrics.jsonl")}
    with pytest.raises(SystemExit, match="0"):
        main(["reproduce", "tiny", "--seeds", "2", *where])
    assert {p: p.stat().st_mtime_ns for p in before} == before
    told = capsys.readouterr().out
    assert "verdict: " in told
    kept = json.loads((tmp_path / "tiny/outcome.json").read_text())
    assert len(kept["first"]) == 2
    with pytest.raises(SystemExit, match="0"):
        main(["reproduce", *where])
    assert "(2 seeds)" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny")
def test_a_quick_try_is_kept_apart_and_says_so(tmp_path: Path) -> None:
    outcome = reproduce.reproduce("tiny", seeds=1, quick=True, run_dir=tmp_path)
    assert "--quick" in reproduce.outcome_text(outcome)
    assert (tmp_path / "tiny-quick/outcome.json").exists()
    assert reproduce.earlier_verdict(tmp_path / "tiny") == ""


def test_a_claim_that_does_not_exist_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["reproduce", "sgan-fig2e"])
    assert capsys.readouterr().err == "raygan: no claim 'sgan-fig2e'. Did you mean 'sgan-fig2d'?\n"

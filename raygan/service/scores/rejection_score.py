"""The score of what a run is for, sampled with rejection: a row more in its last table
(`evaluation.reject`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from raygan.controller.evaluator import Evaluator
from raygan.controller.jsonl import NOTES
from raygan.service.runs.run import Run
from raygan.service.scores.rejection import rejecting


def rejected(run: Run, evaluator: Callable[[], Evaluator]) -> dict[str, Any]:
    """For run.json: {player, kept: share, scores} of `run.main_player`, by the run's own suite;
    {player, missing: why} where there is none. Costs no run, whatever happens.
    """
    player = run.main_player
    try:
        suite = evaluator().full
        made = rejecting(run, player)
        samples = torch.from_numpy(made.draw(suite.n_fake, run.config.seed))
        return {"player": player, "kept": made.share_kept, "scores": suite.score(samples)}
    except Exception as error:  # of a discriminator, of data that are gone, of any metric
        why = f"{type(error).__name__}: {error}"
        NOTES.warning("evaluation.reject: %s was not scored with rejection (%s)", player, why)
        return {"player": player, "missing": why}


def rejected_rows(run: Run) -> dict[str, dict[str, Any]]:
    """player -> its scores with rejection; {} where the run has none."""
    found = run.info.get("rejected") or {}
    return {found["player"]: found["scores"]} if "scores" in found else {}


def rejected_line(run: Run) -> str:
    """What that row is; "" where there is none."""
    found = run.info.get("rejected") or {}
    if "scores" not in found:
        return f"{found['player']}: no score with rejection ({found['missing']})" if found else ""
    return (
        f"{found['player']}, rejected: the {found['kept']:.0%} of its samples that its own"
        " discriminator takes for real (--reject)"
    )

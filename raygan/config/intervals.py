"""What a run does every so many steps: write checkpoints, measure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raygan.config.section import Section


class CheckpointConfig(Section):
    """When the whole run is written to disk."""

    every_steps: int = Field(
        500, gt=0, description="Steps between checkpoints; the last step has one anyway."
    )
    keep: int = Field(2, gt=0, description="How many of the newest stay on disk.")
    keep_best: bool = Field(True, description="The one with the best score stays too.")


class EvaluationConfig(Section):
    """What is measured while the run goes on; by an actor of its own, over published weights."""

    every_steps: int = Field(
        200, gt=0, description="Steps between evaluations; the last step has one anyway."
    )
    samples: int = Field(2500, ge=16, description="Generated samples a score.")
    mixture: bool = Field(True, description="Score the mixture of all pairs' generators too.")
    extractor: str | None = Field(
        None,
        description=(
            "Features that fid, kid and prdc are of, at every evaluation: raw, pixels, cnn:mnist or"
            " torchscript:PATH (a file that every node has). Not set: the data's own."
        ),
    )
    reject: Literal["never", "points", "always"] = Field(
        "never",
        description=(
            "At the end also score what the run is for with rejection; points: where samples are"
            " points, since its D goes on for up to 1,000 steps."
        ),
    )

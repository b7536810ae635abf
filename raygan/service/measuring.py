"""What is measured once a run has come to its end: floor and ceiling, the row with rejection,
metrics.parquet.

    drive -> run.json: done, measured: false -> measure
          -> run.json: measured: true        -> listeners close

run.json says `measured` last: of a run that is killed meanwhile `resume` measures what is missing.
Whoever takes the run's last words (a tracker, the hub, the bucket) is closed after it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from raygan.controller.evaluator import Evaluator
from raygan.controller.notices import SCORES
from raygan.controller.run_folder import RunFolder
from raygan.errors import StaleEpochError
from raygan.service.places import asking
from raygan.service.runs.parquet import parquet
from raygan.service.runs.run import Run
from raygan.service.scores.rejection_score import rejected
from raygan.strategies.base import Setup
from raygan.strategies.sources import sources_of
from raygan.watching import tell

APART = "its D would go on over parts of the data, which stay where their pairs live"


def measure(folder: RunFolder, setup: Setup, end: dict[str, Any], inline: bool) -> dict[str, Any]:
    """What run.json says then, or would where there is no room for it (decision 54); end: its words
    for how the run ended; inline: it was trained in this process.
    """
    tell("measuring floor and ceiling")
    # One for both, made where an error of it costs no run: its suite's real samples and
    # classifier need not be had twice.
    evaluator = functools.cache(lambda: Evaluator(setup, asking(setup, inline)))
    known = tell_protocols(folder, evaluator, end)
    if _rejects(setup):
        tell("sampling with rejection")
        last = Run(folder.path.resolve(), known)
        # its D would go on over samples that no other process than its pair's may hold
        apart = sources_of(setup.config) and not inline
        found = {"player": last.main_player, "missing": APART} if apart else None
        folder.status(rejected=found or rejected(last, evaluator))
    tell("writing metrics.parquet")
    folder.telemetry.keep({"metrics.parquet": parquet(folder.path)})
    # who closes next may take its time, and that is none of this
    tell("")
    return folder.status(measured=True)


def _rejects(setup: Setup) -> bool:
    asked = setup.config.evaluation.reject
    points = not (setup.data.is_images or setup.data.text)
    return asked == "always" or (asked == "points" and points)


def tell_protocols(
    folder: RunFolder, evaluator: Callable[[], Evaluator], end: dict[str, Any]
) -> dict[str, Any]:
    """What the scores mean. A metric that fails here too costs no run: it ends degraded, as with
    scores that are missing.
    """
    try:
        return folder.status(protocols=evaluator().protocols())
    except StaleEpochError:  # somebody else has taken the run over
        raise
    except Exception as error:  # of any metric, also one that users bring
        why = f"their floor and ceiling could not be measured ({type(error).__name__}: {error})"
        return folder.status(
            status="degraded", exit_code=4, degraded={SCORES: why, **end.get("degraded", {})}
        )

"""No loss of speed: ratios against the plain PyTorch loop, measured here and now, against the
committed ones.
"""

import json
from pathlib import Path

import pytest

from benchmarks.speed.guard import measure

COMMITTED = json.loads((Path(__file__).parents[1] / "benchmarks/results/guard.json").read_text())[
    "ratios"
]
LOSS = 0.15


@pytest.mark.exhaustive
@pytest.mark.timed
def test_no_ratio_is_more_than_15_percent_below_the_committed_one() -> None:
    """The best of three measurements: a busy machine may spoil one, a slower program spoils all."""
    best = dict.fromkeys(COMMITTED, 0.0)
    for _ in range(3):
        found = measure()
        best = {name: max(best[name], found[name]) for name in best}
        slower = {name for name in best if best[name] < (1 - LOSS) * COMMITTED[name]}
        if not slower:
            break
    assert not slower, (
        f"measured {best}, committed {COMMITTED}: find out what became slower, or commit `python -m"
        " benchmarks.speed.guard`"
    )

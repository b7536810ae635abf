"""1,000 whole runs under seeded faults, in one thread; a failure prints the line that repeats it."""

from collections import Counter

import pytest

from tests.simulation.world import Fixture

pytestmark = pytest.mark.slow
SEEDS = 1000


def test_no_seed_breaks_an_invariant_and_every_run_ends_with_the_undisturbed_bits() -> None:
    fixture, faults = Fixture(), Counter[str]()
    for seed in range(SEEDS):
        faults += fixture.simulate(seed)
    assert sum(faults.values()) > 3 * SEEDS
    for fault in ("power cut", "stale write", "death between adoptions", "driver killed between offer and record"):
        assert faults[fault] > 5, f"hardly ever tried: {fault}"

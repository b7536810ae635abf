"""Hundreds of whole runs under seeded faults, each in one thread; a failure prints the line that
repeats it.
"""

import pytest

from tests.simulation.world import simulate_all

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.timeout(900),
]  # beside the tests that need Ray it gets what they leave


@pytest.mark.parametrize("seeds", [400, 1400])
def test_no_seed_breaks_an_invariant_and_every_run_ends_with_the_undisturbed_bits(
    seeds: int,
) -> None:
    faults = simulate_all(seeds)
    assert sum(faults.values()) > 3 * seeds
    for fault in ("power cut", "stale write", "death between adoptions",
                  "driver killed between offer and record", "stop", "scale",
                  "death of several at once", "notice", "disk full", "telemetry full",
                  "newest lost", "part changed", "all lost", "folder moved"):  # fmt: skip
        assert faults[fault] >= 6 * seeds // 1400, f"hardly ever tried: {fault}"


@pytest.mark.parametrize("seeds", [40, 150])
def test_of_two_drivers_that_take_turns_at_the_disk_one_comes_to_the_end_with_the_undisturbed_bits(
    seeds: int,
) -> None:
    ends = simulate_all(seeds, two=True)
    assert sum(ends.values()) == 2 * seeds
    assert ends["to the end"] >= seeds
    assert ends["fenced off"] > seeds // 2

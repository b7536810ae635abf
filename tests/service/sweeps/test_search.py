"""Points: those that are drawn here, and what Ray Tune is told of those that it makes."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygan.errors import ConfigError
from raygan.service.sweeps import search
from raygan.service.sweeps.draws import draw
from raygan.service.sweeps.file import Budget, Sweep, read_sweep


@pytest.mark.parametrize("kind", ["uniform", "log_uniform"])
@pytest.mark.parametrize("ends", [[0.9, 0.9999], [0.10004, 0.2], [1.2345, 1.2346], [99.96, 100.04]])
def test_what_is_drawn_is_between_the_ends(kind: str, ends: list[float]) -> None:
    rng = random.Random(0)
    drawn = [draw(rng, {kind: ends}) for _ in range(500)]
    assert ends[0] <= min(drawn) <= max(drawn) <= ends[1]


def test_other_draws_are_as_they_were() -> None:
    rng = random.Random(7)
    drawn = [draw(rng, {"log_uniform": [1e-4, 1e-2]}) for _ in range(3)]
    assert drawn == [0.000444, 0.0002, 0.002], "--resume finds a trial by what was drawn for it"


def written(path: Path, **values: Any) -> Path:
    path.write_text(yaml.safe_dump({"name": "s", "preset": "ring8-gap", **values}))
    return path


@pytest.mark.parametrize("space", [{"num_pairs": [2, 3]}, {"num_pairs": {"randint": [2, 3]}}])
def test_a_search_may_have_more_samples_than_there_are_points(
    space: dict[str, Any], tmp_path: Path
) -> None:
    file = written(tmp_path / "s.yaml", search="optuna", space=space, samples=4)
    assert read_sweep(file).samples == 4
    assert read_sweep(file, 9).samples == 9


def test_samples_that_are_asked_for_are_checked_as_the_files(tmp_path: Path) -> None:
    file = written(tmp_path / "s.yaml", space={"num_pairs": {"randint": [2, 3]}})
    assert len(read_sweep(file).points()) == 1
    with pytest.raises(
        ConfigError, match=r"two trials would have the name.*or take fewer `samples`"
    ):
        read_sweep(file, 5)
    with pytest.raises(ConfigError, match="samples = 0"):
        read_sweep(file, 0)


@pytest.mark.parametrize(
    ("space", "kind", "steps"),
    [
        ({"num_pairs": [8, 2]}, "grid", 4000),
        ({"num_pairs": [2, 8]}, "grid", 4000),
        ({"num_pairs": [8, 2]}, "optuna", 4000),
        ({"num_pairs": {"randint": [2, 8]}}, "optuna", 4000),
        ({"num_pairs": {"choice": [8, 2]}, "pair.beta2": {"uniform": [0.5, 1]}}, "optuna", 4000),
    ],
)
@pytest.mark.parametrize("scheduler", ["asha", "hyperband"])
def test_a_schedule_ends_after_the_longest_trial(
    space: dict[str, Any], kind: Any, steps: int, scheduler: Any
) -> None:
    """ASHA stops a trial at max_t, as if it had lost."""
    spec = Sweep(
        name="s", preset="ring8-gap", space=space, search=kind, scheduler=scheduler,
        budget=Budget(d_updates=8000),
    )  # fmt: skip
    assert search.longest(spec) == steps
    made = search.scheduler_of(spec)
    assert (made._max_t if scheduler == "asha" else made._max_t_attr) == steps + 1


def test_both_ends_of_whole_numbers_are_drawn_by_a_search_as_by_a_grid() -> None:
    found = {search.domain({"randint": [2, 3]}).sample() for _ in range(100)}
    assert found == {2, 3}
    rng = random.Random(0)
    assert {draw(rng, {"randint": [2, 3]}) for _ in range(100)} == found

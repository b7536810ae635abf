"""Points: those that are drawn here, and what Ray Tune is told of those that it makes."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from raygan.errors import ConfigError
from raygan.service.sweeps import search, tune
from raygan.service.sweeps.checks import tell_compared
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
    assert search.longest(spec) == (steps, 250)
    made = search.scheduler_of(spec)
    assert (made._max_t if scheduler == "asha" else made._max_t_attr) == steps + 1


def test_both_ends_of_whole_numbers_are_drawn_by_a_search_as_by_a_grid() -> None:
    found = {search.domain({"randint": [2, 3]}).sample() for _ in range(100)}
    assert found == {2, 3}
    rng = random.Random(0)
    assert {draw(rng, {"randint": [2, 3]}) for _ in range(100)} == found


@pytest.mark.parametrize("evaluations", [[50, 200], [200, 50], [9000]])
@pytest.mark.parametrize("scheduler", ["asha", "pbt", "median_stopping_rule"])
def test_a_schedule_waits_for_the_rarest_evaluation(scheduler: Any, evaluations: list[int]) -> None:
    every = "evaluation.every_steps"
    spec = Sweep(
        name="s", preset="ring8-gap", settings={"steps": 1000}, scheduler=scheduler,
        space={every: evaluations}, perturb=(every,),
    )  # fmt: skip
    made = search.scheduler_of(spec)
    if scheduler == "asha":
        first = min(milestone for milestone, _ in made._brackets[0]._rungs)
        assert first == min(max(evaluations), 1001)
    elif scheduler == "pbt":
        assert made._perturbation_interval == max(evaluations)
    else:
        assert made._grace_period == max(evaluations)


# --------------------------------------------------------------------------------------------------
# pbt


def population(**space: Any) -> tuple[Sweep, Any]:
    spec = Sweep(
        name="s", preset="ring8-gap", settings={"steps": 200}, space={**space, "seed": [0, 1]},
        scheduler="pbt", perturb=tuple(space),
    )  # fmt: skip
    made = search.scheduler_of(spec)
    made.set_search_properties("metric", "max")
    return spec, made


@pytest.mark.parametrize("kind", ["uniform", "log_uniform", "randint", "choice"])
def test_pbt_stays_within_the_space(kind: str) -> None:
    if kind in ("randint", "choice"):
        path, ends = "num_pairs", [20, 24]
    else:
        path, ends = "pair.beta1", [0.93, 0.97]
    spec, made = population(**{path: {kind: ends}})
    point = spec.points()[0]
    for _ in range(40):
        trial = SimpleNamespace(config={"point": point})
        values, _ = made._get_new_config(trial, trial)
        point = values["point"]
        assert set(point) == {path, "seed"}
        assert ends[0] <= point[path] <= ends[1]
        assert kind != "choice" or point[path] in ends
        assert point[path] == float(f"{point[path]:.3g}"), "it is in the run's name"
        spec.resolved(point)


def test_pbt_is_refused_where_a_range_ends_in_no_value(tmp_path: Path) -> None:
    """It goes to the ends, and a trial there would die."""
    values: dict[str, Any] = {"space": {"pair.beta1": {"uniform": [0.5, 1]}}}
    read_sweep(written(tmp_path / "s.yaml", **values))
    with pytest.raises(ConfigError, match=r"s.yaml: pair.beta1 = 1: Input should be less than 1"):
        read_sweep(written(tmp_path / "s.yaml", scheduler="pbt", perturb=["pair.beta1"], **values))


class One:
    """A trial, as far as PBT asks it."""

    status, experiment_tag = "RUNNING", ""

    def is_finished(self) -> bool:
        return False


class Trials:
    """Tune's side: two trials, of which the second is the better one."""

    def __init__(self, made: Any) -> None:
        from ray.tune.schedulers.pbt import _PBTTrialState

        self.made, self.trials = made, [One(), One()]
        made._trial_state = {trial: _PBTTrialState(trial) for trial in self.trials}
        self.taken = list[tuple[Any, Any]]()
        made._exploit = lambda _, trial, source: self.taken.append((trial, source))

    def get_trials(self) -> list[Any]:
        return self.trials

    def _schedule_trial_save(self, trial: Any, result: Any) -> str:
        return f"step {result['step']}"

    def tell(self, who: int, step: int, last: bool) -> str:
        result = {"step": step, "metric": float(who), search.LAST: last}
        return str(self.made.on_trial_result(self, self.trials[who], result))


@pytest.mark.parametrize("last", [False, True])
def test_pbt_takes_nobody_over_who_is_at_its_end(last: bool) -> None:
    _, made = population(**{"pair.lr_g": [1e-3, 1e-4]})
    trials = Trials(made)
    for who, step in ((0, 1000), (1, 1000)):
        trials.tell(who, step, last=False)
    assert trials.tell(0, 2000, last) == "CONTINUE"
    assert len(trials.taken) == (not last)


def test_pbt_goes_on_from_the_last_state_that_has_steps_left() -> None:
    _, made = population(**{"pair.lr_g": [1e-3, 1e-4]})
    trials = Trials(made)
    trials.tell(0, 1000, last=False)
    trials.tell(1, 1000, last=False)
    trials.tell(1, 2000, last=True)
    trials.tell(0, 2000, last=False)
    assert trials.taken == [tuple(trials.trials)]
    assert made._trial_state[trials.trials[1]].last_checkpoint == "step 1000"


# --------------------------------------------------------------------------------------------------
# a trial's end


class Trial:
    """As far as schedules ask one."""

    is_saving, status = False, "PENDING"

    @property
    def trial_id(self) -> str:
        return str(id(self))


class Controller:
    """Tune's side: stops trials that are paused."""

    def __init__(self, made: Any) -> None:
        self.made = made
        made.set_search_properties("metric", "max")

    def stop_trial(self, trial: Any) -> None:
        if trial.status in ("PENDING", "PAUSED"):
            self.made.on_trial_remove(self, trial)
        trial.status = "TERMINATED"

    def get_live_trials(self) -> list[Any]:
        return [Trial()]

    def tell(self, trial: Any, step: int, metric: float, last: bool = False) -> str:
        trial.status = "RUNNING"
        told = {"step": step, "metric": metric, search.LAST: last}
        heard = str(self.made.on_trial_result(self, trial, told))
        trial.status = {"PAUSE": "PAUSED", "STOP": "TERMINATED"}.get(heard, "RUNNING")
        return heard


def schedule(name: str, **settings: Any) -> Controller:
    spec = Sweep(
        name="s", preset="ring8-gap", space={"seed": [0]}, scheduler=name, perturb=("seed",),
        settings={"steps": 30, "evaluation": {"every_steps": 10}, **settings},
    )  # fmt: skip
    return Controller(search.scheduler_of(spec))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["asha", "hyperband", "median_stopping_rule"])
def test_who_has_told_its_last_step_is_neither_stopped_nor_paused(name: str, last: bool) -> None:
    """It has had all of its steps, and is counted as done."""
    ours = schedule(name)
    trials = [Trial() for _ in range(10)]
    for trial in trials:
        ours.made.on_trial_add(ours, trial)
    heard = [ours.tell(trial, 20, -i, last) for i, trial in enumerate(trials)]
    assert (set(heard) == {"CONTINUE"}) == last, heard


@pytest.mark.parametrize("how", ["on_trial_complete", "on_trial_error"])
def test_hyperband_leaves_nobody_waiting_for_a_trial_that_is_gone(how: str) -> None:
    """Trials may be of unlike lengths, and may fail."""
    ours = schedule("hyperband")
    trials = [Trial() for _ in range(18)]
    for trial in trials:
        ours.made.on_trial_add(ours, trial)
    bracket = ours.made._hyperbands[0][2]
    mine = bracket.current_trials()
    for i, trial in enumerate(mine):
        ours.tell(trial, 5, i)
    *waiting, gone = [trial for trial in mine if trial.status != "TERMINATED"]
    assert {ours.tell(trial, 12, i) for i, trial in enumerate(waiting)} == {"PAUSE"}
    gone.status = "TERMINATED"
    getattr(ours.made, how)(ours, gone, *([{}] if how == "on_trial_complete" else []))
    going_on = bracket.trials_to_unpause
    assert going_on, "the better ones go on, the others are stopped"
    assert {trial.status for trial in waiting if trial not in going_on} == {"TERMINATED"}


@pytest.mark.parametrize(("at_once", "told"), [(0, False), (4, True), (5, False)])
def test_hyperband_has_trials_to_compare_or_says_that_it_has_none(
    at_once: int, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Tune counts those that are paused."""
    spec = Sweep(
        name="s", preset="ring8-gap", space={"seed": [0]}, scheduler="hyperband",
        settings={"steps": 30}, max_concurrent=at_once,
    )  # fmt: skip
    made = schedule("hyperband").made
    assert made._get_n0(0) == search.unstopped(30) == 4
    tell_compared(spec)
    assert [m.startswith("scheduler hyperband: max_concurrent") for m in caplog.messages] == (
        [True] * told
    )
    assert tune.at_once(spec, 2) == (2 if at_once else None)
    assert tune.at_once(spec.model_copy(update={"scheduler": "asha"}), 2) == 2

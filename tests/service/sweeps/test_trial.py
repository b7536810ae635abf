"""One trial of a sweep, with a Tune that only listens: what it is told, when a trial is over, under
which name it runs.
"""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygan.config import resolve
from raygan.controller.checkpoint_index import list_checkpoints
from raygan.controller.listener import Listener, Running
from raygan.controller.orders import Done, Evaluate
from raygan.data.given import spec_of
from raygan.errors import ConfigError, Interrupted
from raygan.own.objects import named
from raygan.service.runs.run import Run
from raygan.service.sweeps import reporter as reporting
from raygan.service.sweeps import trial as trials
from raygan.service.sweeps.file import Budget, Sweep, check_player
from raygan.service.sweeps.naming import trial_name
from raygan.service.sweeps.reporter import Reporter, score_keys
from raygan.service.training import train
from raygan.strategies.base import load_data
from tests.service.sweeps.test_file import SMALL

POINT = {"seed": 0}
HALF = """
from raygan.gan.pair import Pair
from raygan.strategies.orders import Train
from raygan.strategies.roles import Role
from raygan.strategies.base import StrategyComponent

class Half(StrategyComponent):
    def roles(self, config):
        return {p: Role(scored=p != "pair-00") for p in self.locals(config)}

    def build(self, name, setup, sharing=None):
        return Pair(name, setup.parts(name), sharing)

    def decide(self, ready, progress, plan):
        done = progress.done
        return [Train(p, plan.next_stop(done[p]) - done[p]) for p in ready if done[p] < plan.steps]
"""


class Tune:
    """What it has heard, and the next answers that it has."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.pointers: list[dict[str, Any]] = []
        self.there: list[list[int]] = []
        """Steps of the checkpoints at each report that names one."""
        self.stop_at = math.inf
        self.trial = "a"

    def report(self, values: dict[str, Any], pointer: dict[str, Any] | None) -> None:
        self.lines.append(values)
        if pointer is not None:
            self.pointers.append(pointer)
            self.there.append(list(list_checkpoints(Path(pointer["run"]))))
        if values["step"] >= self.stop_at:
            raise SystemExit(0)

    @property
    def steps(self) -> list[int]:
        return [line["step"] for line in self.lines]


@pytest.fixture
def tune(monkeypatch: pytest.MonkeyPatch) -> Tune:
    tune = Tune()
    for module in (reporting, trials):
        monkeypatch.setattr(module, "report", tune.report)
    monkeypatch.setattr("ray.tune.get_checkpoint", lambda: None)
    context = SimpleNamespace(get_trial_id=lambda: tune.trial)
    monkeypatch.setattr("ray.tune.get_context", lambda: context)
    return tune


def sweep_of(settings: dict[str, Any] | None = None, **values: Any) -> Sweep:
    base: dict[str, Any] = {
        "name": "s", "preset": "ring8-gap", "space": {"seed": [0]},
        "metric": "mixture.high_quality",
    }  # fmt: skip
    return Sweep(**{**base, "settings": {**SMALL, **(settings or {})}, **values})


@pytest.mark.parametrize(
    ("settings", "players"),
    [
        ({"strategy": "independent"}, {"pair-00", "pair-01", "mixture"}),
        (
            {"strategy": "independent", "evaluation": {**SMALL["evaluation"], "mixture": False}},
            {"pair-00", "pair-01"},
        ),
        ({"strategy": "federated"}, {"global"}),
        ({"strategy": "mdgan"}, {"global"}),
        ({"strategy": "half.py", "num_pairs": 3}, {"pair-01", "pair-02", "mixture"}),
    ],
)
def test_whoever_has_a_generator_is_told_and_the_budget_ends_it(
    settings: dict[str, Any], players: set[str], tune: Tune, tmp_path: Path
) -> None:
    (tmp_path / "half.py").write_text(HALF)
    if settings["strategy"] == "half.py":
        settings = named({**settings, "strategy": str(tmp_path / "half.py")}, spec_of)
    wanted = min(players)
    sweep = sweep_of(settings, metric=f"{wanted}.high_quality", budget=Budget(seconds=1e-6))
    check_player(sweep, POINT)
    resolved = sweep.resolved(POINT)
    data = load_data(resolved.config)
    keys = score_keys(resolved.config, data)
    assert {key.partition(".")[0] for key in keys} == players
    reporter = Reporter(sweep, resolved.config, tmp_path / "x", keys, data)
    with pytest.raises(Interrupted):
        train(resolved, run_dir=tmp_path, name="x", inline=True, listeners=[reporter])
    assert tune.steps in ([10], [10, 20]), "a round may be under way; not at its end, of 30 steps"
    assert all(math.isfinite(tune.lines[0][f"{p}.high_quality"]) for p in players)
    assert tune.lines[0]["metric"] == tune.lines[0][f"{wanted}.high_quality"]
    assert all(line["last"] for line in tune.lines), "nobody is to go on from a spent budget"


@pytest.mark.parametrize("strategy", ["federated", "mdgan"])
@pytest.mark.parametrize("player", ["mixture", "single", "pair-00"])
def test_a_metric_of_those_without_a_generator_is_refused(strategy: str, player: str) -> None:
    sweep = sweep_of({"strategy": strategy}, metric=f"{player}.modes")
    with pytest.raises(ConfigError, match=f"no player '{player}'.* Known: global"):
        check_player(sweep, POINT)


# --------------------------------------------------------------------------------------------------
# going on


def started(sweep: Sweep, folder: Path, tune: Tune) -> tuple[Run, list[dict[str, Any]]]:
    """(the trial's run after one start more, what Tune was told in it)."""
    before = len(tune.lines)
    try:
        trials.run_trial({"point": POINT}, sweep, str(folder))
    except SystemExit:
        tune.stop_at = math.inf
    return Run.load(folder / "runs" / trial_name(POINT)), tune.lines[before:]


@pytest.mark.parametrize("limit", ["seconds", "megabytes"])
def test_a_trial_that_has_spent_its_budget_has_no_more_of_it_at_the_next_start(
    limit: str, tune: Tune, tmp_path: Path
) -> None:
    settings = {"strategy": {"name": "gap", "swap_every": 5}}
    sweep = sweep_of(settings, budget=Budget(**{limit: 1e-6}))
    first, told = started(sweep, tmp_path, tune)
    step = max(first.info["steps"].values())
    assert step < 30
    for _ in range(2):
        again, later = started(sweep, tmp_path, tune)
        assert max(again.info["steps"].values()) == step
        assert [line["step"] for line in later] == [0, step], "where it really is"
        assert later[-1]["metric"] == told[-1]["metric"]
        assert trials.ended(again.info) == "budget"
    raised = sweep.model_copy(update={"budget": Budget(**{limit: 1e9})})
    whole, _ = started(raised, tmp_path, tune)
    assert max(whole.info["steps"].values()) == 30


@pytest.mark.parametrize(
    ("scheduler", "goes_on"),
    [("asha", False), ("hyperband", True), ("median_stopping_rule", True), ("none", True)],
)
def test_what_a_scheduler_has_stopped_for_good_stays_so(
    scheduler: str, goes_on: bool, tune: Tune, tmp_path: Path
) -> None:
    """Others than ASHA pause trials, too, by the same SystemExit."""
    sweep = sweep_of(scheduler=scheduler)
    tune.stop_at = 10
    stopped, _ = started(sweep, tmp_path, tune)
    assert trials.ended(stopped.info) == "scheduler"
    step = max(stopped.info["steps"].values())
    later, told = started(sweep, tmp_path, tune)
    assert max(later.info["steps"].values()) == (30 if goes_on else step)
    assert told[-1]["step"] == (30 if goes_on else step)
    assert trials.ended(later.info) == ("done" if goes_on else "scheduler")


def test_a_trial_that_was_stopped_at_its_very_end_is_done(tune: Tune, tmp_path: Path) -> None:
    """As releases before have left it: it has had as much as the others."""
    sweep = sweep_of(scheduler="asha")
    tune.stop_at = 30
    stopped, _ = started(sweep, tmp_path, tune)
    assert (trials.ended(stopped.info), max(stopped.info["steps"].values())) == ("scheduler", 30)
    later, told = started(sweep, tmp_path, tune)
    assert (trials.ended(later.info), told[-1]["step"], told[-1]["last"]) == ("done", 30, True)
    assert math.isfinite(told[-1]["mixture.high_quality"])


def test_a_done_trial_goes_on_where_the_file_gives_it_more_steps(
    tune: Tune, tmp_path: Path
) -> None:
    for updates, steps in ((20, 10), (20, 10), (40, 20)):
        run, told = started(sweep_of(budget=Budget(d_updates=updates)), tmp_path, tune)
        assert max(run.info["steps"].values()) == steps
        assert (told[-1]["step"], run.info["status"]) == (steps, "done")
        assert told[-1]["last"], "also where it was done before"


# --------------------------------------------------------------------------------------------------
# pbt


class Numbered(Listener):
    """A score that tells its step."""

    def __call__(self, run: Running, done: Done) -> None:
        if isinstance(done.order, Evaluate):
            for row in done.result.rows:
                row["high_quality"] = row["step"] / 100


def test_pbt_is_told_of_steps_with_a_checkpoint_as_they_were(tune: Tune, tmp_path: Path) -> None:
    sweep = sweep_of(scheduler="pbt", perturb=("seed",), metric="pair-00.high_quality")
    flags = {**SMALL, "steps": 60, "checkpoint": {"every_steps": 15}, "seed": 0}
    resolved = resolve("ring8-gap", flags=flags)
    data = load_data(resolved.config)
    keys = score_keys(resolved.config, data)
    reporter = Reporter(sweep, resolved.config, tmp_path / "x", keys, data)
    train(resolved, run_dir=tmp_path, name="x", inline=True, listeners=[Numbered(), reporter])
    assert tune.steps == [p["step"] for p in tune.pointers] == [30, 60]
    for pointer, there in zip(tune.pointers, tune.there, strict=True):
        assert pointer["step"] in there, "somebody may go on from it"
    assert [line["metric"] for line in tune.lines] == [0.3, 0.6]
    assert [line["last"] for line in tune.lines] == [False, True]
    assert [p["player_seconds"] for p in tune.pointers] == [
        line["player_seconds"] for line in tune.lines
    ]


@pytest.mark.parametrize(
    ("evaluate", "save", "saves"), [(200, 500, 200), (200, 50, 50), (50, 200, 50), (100, 100, 100)]
)
def test_pbt_saves_at_each_evaluation_and_says_so(
    evaluate: int, save: int, saves: int, caplog: pytest.LogCaptureFixture
) -> None:
    from raygan.service.sweeps.checks import tell_saves

    every = {"evaluation": {"every_steps": evaluate}, "checkpoint": {"every_steps": save}}
    sweep = sweep_of(every, scheduler="pbt", perturb=("seed",))
    assert sweep.resolved(POINT).config.checkpoint.every_steps == saves
    other = sweep.model_copy(update={"scheduler": "asha"})
    assert other.resolved(POINT).config.checkpoint.every_steps == save
    tell_saves(other)
    assert not caplog.messages
    tell_saves(sweep)
    told = f"scheduler pbt: checkpoint.every_steps is {saves}, not {save}"
    assert [m.startswith(told) for m in caplog.messages] == [True] * (saves != save)


# --------------------------------------------------------------------------------------------------
# names


def test_a_point_that_is_proposed_twice_is_two_runs(tune: Tune, tmp_path: Path) -> None:
    sweep = sweep_of({"steps": 10}, search="optuna")
    for trial in "aab":
        tune.trial = trial
        trials.run_trial({"point": POINT}, sweep, str(tmp_path))
    runs = {p.name for p in (tmp_path / "runs").iterdir() if not p.is_symlink()}
    assert runs == {"seed-0", "seed-0_2"}
    assert tune.steps == [0, 10] * 3, "the same trial is told again of its one run"

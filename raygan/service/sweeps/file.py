"""Sweeps: many runs over settings, by Ray Tune for search, schedules and room; the authority stays
in the run folders.

    read_sweep(FILE) -> Sweep -> points() -> Tune: one trial a point -> runs/NAME/TRIAL (a normal
    run) -> table, pictures, best.yaml

A point's run has a name made of its settings, so that `--resume` needs nothing of Tune's own state
(a pickle): what is done is read, what was cut off goes on from its checkpoint, what is missing is
run.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from raygan.config import Config, Resolved, Section, Travels, dotted, resolve, validate
from raygan.controller.files import write_atomically
from raygan.controller.run_folder import check_name
from raygan.errors import ConfigError, did_you_mean
from raygan.metrics.ranking import best_at
from raygan.own.inside import settled_here
from raygan.service.sweeps.draws import check_values, draw, numbered
from raygan.service.sweeps.naming import trial_name
from raygan.service.sweeps.source import SweepSource, each_choice, read_source
from raygan.strategies.base import generating, mixed, strategy_of
from raygan.strategies.roles import MIXTURE


class Budget(Section):
    """Equal compute for every trial; the first that is reached ends it. Empty: every trial has its
    config's `steps`.
    """

    d_updates: int | None = Field(
        None, gt=0, description="Updates of discriminators by a batch, of all players together."
    )
    seconds: float | None = Field(
        None, gt=0, description="Seconds of training, of all players together."
    )
    megabytes: float | None = Field(None, gt=0, description="Megabytes that pairs send each other.")

    def over(self, spent: Mapping[str, float]) -> bool:
        """Has a trial that cost this (`costs`) had all of it? `d_updates` give its steps."""
        limits = {"player_seconds": self.seconds, "megabytes": self.megabytes}
        return any(most is not None and spent[name] >= most for name, most in limits.items())


Search = Literal["grid", "optuna", "ax", "bayesopt", "hebo", "hyperopt", "nevergrad", "zoopt"]
"""Ways through a space; the package of each is asked for when a sweep begins."""


class Sweep(Travels):
    """What a sweep file says, checked."""

    name: str = Field(description="Folder of the sweep.")
    about: str = Field("", description="The question, in a sentence.")
    preset: str | None = Field(None, description="Every trial starts from it.")
    settings: dict[str, Any] = Field({}, description="Laid over the preset, as a config file.")
    space: dict[str, Any] = Field(
        description=(
            "Setting -> a list (all of them), or {uniform | log_uniform | randint: [a, b]} or"
            " {choice: [...]} (drawn)."
        )
    )
    samples: int = Field(1, gt=0, description="Draws, each with every combination of the lists.")
    seed: int = Field(0, ge=0, description="Of the draws and of the search.")
    budget: Budget = Budget()
    metric: str = Field(
        "mixture.high_quality",
        description=(
            "PLAYER.SCORE of a run's last evaluation; PLAYER may be `single` (mean over the"
            " locals that have a generator)."
        ),
    )
    search: Search = Field(
        "grid",
        description="Others than grid are Tune's: lists become choices; `samples` trials in all.",
    )
    scheduler: Literal["none", "asha", "pbt", "hyperband", "median_stopping_rule"] = Field(
        "none", description="Who stops, or changes, trials on the way, as Tune names it."
    )
    perturb: tuple[str, ...] = Field(
        (), description="pbt: settings that change on the way; each must be in `space`."
    )
    executor: Literal["inline", "ray"] = Field(
        "inline", description="inline: a trial is one process; ray: an actor a player."
    )
    max_concurrent: int = Field(
        0, ge=0, description="Trials at a time; 0 = as many as there is room for."
    )

    @model_validator(mode="before")
    @classmethod
    def _loggers_are_trackers(cls, values: Any) -> Any:
        """Files of before 0.3 have `loggers`: they are `settings.track`."""
        if not isinstance(values, dict) or "loggers" not in values:
            return values
        rest = {k: v for k, v in values.items() if k != "loggers"}
        settings = rest.get("settings") or {}
        if not values["loggers"] or not isinstance(settings, dict):
            return rest
        if "track" in settings:
            raise ValueError("loggers is settings.track now, which is there too; remove loggers")
        return {**rest, "settings": {**settings, "track": values["loggers"]}}

    @model_validator(mode="before")
    @classmethod
    def _ends_are_numbers(cls, values: Any) -> Any:
        """`log_uniform: [1e-4, 1e-2]`: YAML 1.1 takes numbers without a point for text."""
        if not isinstance(values, dict) or not isinstance(space := values.get("space"), dict):
            return values
        return {**values, "space": {path: numbered(spec) for path, spec in space.items()}}

    @model_validator(mode="after")
    def _fits(self) -> Sweep:
        check_name(self.name)
        if self.budget.d_updates is not None and "steps" in self.space:
            raise ValueError(
                "space.steps: budget.d_updates gives each trial its steps. Leave one of them out"
            )
        if not self.space:
            raise ValueError("space is empty: name what is swept, as in {seed: [0, 1]}")
        for path, values in self.space.items():
            check_values(path, values)
        if self.scheduler == "pbt" and not self.perturb:
            raise ValueError("scheduler pbt needs `perturb`: the settings that change on the way")
        # PBT starts from what was drawn: of anything else there is no value to change
        if missing := [p for p in self.perturb if p not in self.space]:
            raise ValueError(f"perturb: {missing[0]!r} is not in space")
        if "." not in self.metric:
            raise ValueError(
                f"metric {self.metric!r}: write PLAYER.SCORE, as in mixture.high_quality or"
                " single.modes"
            )
        # Tune looks for the least or the greatest, and for nothing between
        if best_at(self.metric.partition(".")[2]) is not None:
            raise ValueError(
                f"metric {self.metric!r}: is best at 1, and a sweep needs a score that is best at"
                " an end. Use mixture.high_quality and look at width in its report"
            )
        return self

    @property
    def settings_named(self) -> list[str]:
        """What is swept, seeds last."""
        return sorted(self.space, key=lambda path: path == "seed")

    def points(self) -> list[dict[str, Any]]:
        """Every combination of the lists, for each draw; the same for the same file. A search makes
        its own.
        """
        return list(self.walk())

    def walk(self) -> Iterator[dict[str, Any]]:
        """The points one by one: the lists of a search may have millions."""
        # A generator of its own: `--resume` finds a trial by what was drawn for it.
        rng = random.Random(self.seed)
        lists = {p: v for p, v in self.space.items() if isinstance(v, list)}
        drawn = {p: v for p, v in self.space.items() if isinstance(v, dict)}
        for _ in range(self.samples):
            draws = {path: draw(rng, spec) for path, spec in drawn.items()}
            for combination in itertools.product(*lists.values()):
                yield dict(zip(lists, combination, strict=True)) | draws

    def tracked(self, track: Any) -> Sweep:
        """The same, with all trials told to these trackers."""
        return self.model_copy(update={"settings": {**self.settings, "track": track}})

    def resolved(self, point: Mapping[str, Any]) -> Resolved:
        """A trial's whole config, with the steps that its budget allows. Raises ConfigError for a
        setting that does not exist.
        """
        flags = {**dict(dotted(self.settings, whole="name")), **point}
        found = resolve(self.preset, (), flags)
        fitted = self.fitted(found.config)
        return resolve(self.preset, (), {**flags, **fitted}) if fitted else found

    def fitted(self, config: Config) -> dict[str, int]:
        """Settings that the budget and the schedule ask of a trial with this config."""
        out, every = dict[str, int](), config.evaluation.every_steps
        if self.budget.d_updates is not None:
            steps = max(1, round(self.budget.d_updates / strategy_of(config).d_updates(config)))
            every = max(1, min(every, steps))
            out |= {"steps": steps, "evaluation.every_steps": every}
        # What others go on from is what has its scores: a step without a checkpoint is nobody's.
        if self.scheduler == "pbt" and every % config.checkpoint.every_steps:
            out["checkpoint.every_steps"] = every
        return out


def read_sweep(source: SweepSource, samples: int | None = None) -> Sweep:
    """A sweep; every point of it is a config that exists. samples: instead of the file's. Raises
    ConfigError.
    """
    values, base = read_source(source)
    try:
        values = _own_parts(values, base)
        sweep = validate(Sweep, values if samples is None else {**values, "samples": samples})
        # All of a usual grid, so that a setting misspelt in one branch is found before hours are
        # spent; of a hundred thousand the first.
        for point in itertools.islice(sweep.walk(), 1000 if sweep.search == "grid" else 1):
            check_player(sweep, point)
        # PBT goes to the ends of a range, which may be no values: a beta1 of 1.
        for setting in sweep.perturb if sweep.scheduler == "pbt" else ():
            for end in listed(sweep.space[setting]):
                check_player(sweep, {**next(sweep.walk()), setting: end})
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    # A search makes points of its own, and each of its trials has a name of its own.
    names = [trial_name(p) for p in sweep.points()] if sweep.search == "grid" else []
    if len(set(names)) < len(names):
        raise ConfigError(
            f"{source}: two trials would have the name {max(names, key=names.count)!r}. Drop a"
            " double value of space, or take fewer `samples` of what is drawn."
        )
    return sweep


def listed(values: Any) -> list[Any]:
    """A setting's values in `space`: all of a list or a choice, the two ends of a range."""
    return list(values if isinstance(values, list) else next(iter(values.values())))


def _own_parts(values: dict[str, Any], base: Path) -> dict[str, Any]:
    """Own parts in `settings` and `space`, relative to the sweep file, by the hashes of their
    sources: trials run elsewhere.
    """
    out = dict(values)
    if isinstance(settings := values.get("settings"), dict):
        out["settings"] = settled_here(settings, base)
    if isinstance(space := values.get("space"), dict):
        out["space"] = {p: _each(p, v, base) for p, v in space.items()}
    return out


def _each(path: str, choices: Any, base: Path) -> Any:
    """One setting's choices, own parts of them by their hashes."""
    parts = str(path).split(".")
    key = parts[-2] if parts[-1] == "name" and len(parts) > 1 else parts[-1]
    return each_choice(choices, lambda one: settled_here({key: one}, base)[key])


def check_player(sweep: Sweep, point: Mapping[str, Any]) -> None:
    """Does the trial have the player that the metric names? Raises ConfigError; also for a config
    that does not exist.
    """
    config = sweep.resolved(point).config
    wanted = sweep.metric.partition(".")[0]
    there = [*scored(config), *(["single"] if generating(config) else [])]
    if wanted not in there:
        trial = f" in trial {trial_name(point)}" if point else ""
        raise ConfigError(
            f"metric {sweep.metric!r}: no player {wanted!r}{trial}. {did_you_mean(wanted, there)}"
        )


def scored(config: Config) -> list[str]:
    """Who has scores in a run of this config, the mixture last."""
    mixture = config.evaluation.mixture and mixed(config)
    return [*strategy_of(config).scored(config), *([MIXTURE] if mixture else [])]


def write_point(folder: Path, point: Mapping[str, Any]) -> None:
    """What a trial's run is a point of."""
    write_atomically(folder / "point.json", (json.dumps(dict(point), indent=1) + "\n").encode())

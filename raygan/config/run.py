"""A whole run's settings, and how each player sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from raygan.components import Component, Spec, load_component, one_line, validate
from raygan.config.failures import FailuresConfig
from raygan.config.intervals import CheckpointConfig, EvaluationConfig
from raygan.config.pair import PairConfig, PairGroup
from raygan.config.resources import ResourcesConfig
from raygan.config.section import Travels
from raygan.errors import did_you_mean
from raygan.own.inside import settled
from raygan.own.names import label

Tempo = Literal["lockstep", "async"]


def _component(default: str, description: str) -> Any:
    """A field that names a component."""
    return Field(default, description=description)


def several(value: object) -> object:
    """One name where a list of them is meant: `--start-from runs/first`."""
    return (value,) if isinstance(value, str) else value


class Config(Travels):
    """A whole run."""

    seed: int = Field(
        0, ge=0, lt=2**63, description="Every random stream of the run derives from it."
    )
    steps: int = Field(1000, gt=0, description="Generator updates of each player.")
    num_pairs: int = Field(5, gt=0, description="Local pairs (N); PMGAN: generators (K).")
    pairs: tuple[PairGroup, ...] = Field(
        (),
        description=(
            "Unlike pairs: a list of {count, network, loss, pair}; the counts add up to num_pairs."
        ),
    )
    members: tuple[int, ...] = Field(
        (),
        description=(
            "Numbers of the members after `raygan scale`; () = 0 .. num_pairs - 1. A number is"
            " never given twice."
        ),
    )
    start_from: Annotated[tuple[str, ...], BeforeValidator(several)] = Field(
        (),
        description=(
            "Runs (RUN, or RUN:pair-02) whose pairs these go on from, in order (GAP's fine-tuning)."
        ),
    )
    batch_size: int = Field(
        128, gt=0, description="Samples a batch, of real data and of each generator."
    )
    tempo: Tempo = Field(
        "lockstep", description="lockstep: the algorithm as printed, bit for bit; async: newest."
    )
    max_ahead: int = Field(
        50,
        ge=0,
        description=(
            "async: steps that a player may be ahead of the slowest, for which it waits then; 0: as"
            " lockstep, bit for bit."
        ),
    )
    record: Literal["nothing", "schedule"] = Field(
        "nothing",
        description=(
            "async: schedule: what each player had read of the others at which of its steps, for"
            " `raygan replay`."
        ),
    )
    round_steps: int = Field(50, gt=0, description="Most steps a player does between two reports.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU where the player got one."
    )
    data: Spec = _component(
        "ring8",
        description="Data set, by name (ring8, grid25 too) or by path (npz:PATH, a folder).",
    )
    network: Spec = _component("mlp", description="Both networks.")
    loss: Spec = _component("non_saturating", description="What G and D are trained by.")
    strategy: Spec = _component("sgan", description="Who helps whom.")
    metrics: tuple[Spec, ...] = Field(
        (),
        description=(
            "Own metrics beside the data set's: [./scores.py:sharpness]; functions (samples,"
            " held_out)."
        ),
    )
    listeners: tuple[Spec, ...] = Field(
        (),
        description=(
            "Own listeners: [./notes.py:Log]; called (controller, done) after each order, in the"
            " driver."
        ),
    )
    track: tuple[Spec, ...] = Field(
        (),
        description=(
            "Trackers that are told too: tensorboard, wandb, mlflow, trackio, or your own"
            " (./mine.py:Mine); several with commas."
        ),
    )
    pair: PairConfig = PairConfig()
    resources: ResourcesConfig = ResourcesConfig()
    failures: FailuresConfig = FailuresConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    code: dict[str, dict[str, Any]] = Field(
        {}, description="Filled in: the sources of own parts, by their hash."
    )

    # Before all others: own parts get their hashes here, and everything after sees settled names.
    @model_validator(mode="before")
    @classmethod
    def _settle_own_parts(cls, values: Any) -> Any:
        return settled(values) if isinstance(values, Mapping) else values

    @property
    def pace(self) -> Tempo:
        """What players keep to: lockstep, too, where async leaves nobody a step of freedom."""
        return self.tempo if self.max_ahead else "lockstep"

    @property
    def ids(self) -> tuple[int, ...]:
        """Numbers of the pairs or generators."""
        return self.members or tuple(range(self.num_pairs))

    @model_validator(mode="after")
    def _members_add_up(self) -> Config:
        if self.members and (
            len(self.members) != self.num_pairs or len(set(self.members)) != self.num_pairs
        ):
            raise ValueError(
                f"num_pairs = {self.num_pairs}, but `members` has {list(self.members)}; use `raygan"
                " scale`"
            )
        return self

    @model_validator(mode="after")
    def _trackers_differ(self) -> Config:
        named = [str(spec.get("name")) for spec in self.track]
        if twice := [name for name in named if named.count(name) > 1]:
            raise ValueError(f"track names {label(twice[0])} twice; it is told of the run once")
        return self

    @model_validator(mode="after")
    def _pairs_add_up(self) -> Config:
        total = sum(group.count for group in self.pairs)
        if self.pairs and total != self.num_pairs:
            raise ValueError(
                f"num_pairs = {self.num_pairs}, but `pairs` has {total}; leave num_pairs out, or"
                " make them agree"
            )
        for group in self.pairs:
            if unknown := set(group.pair) - set(PairConfig.model_fields):
                raise ValueError(
                    f"pairs.pair: no setting {min(unknown)!r}."
                    f" {did_you_mean(min(unknown), PairConfig.model_fields)}"
                )
            try:
                PairConfig(**self._laid_over(group))
            except ValidationError as error:
                raise ValueError(one_line(error, "pairs.pair", PairConfig)) from None
        return self

    def _laid_over(self, group: PairGroup) -> dict[str, Any]:
        """The run's `pair` under what a group says of it."""
        own, said = self.pair.model_dump(), group.pair
        # A group's schedule is laid over the run's like the rest: else naming one setting of it
        # would drop the others.
        if isinstance(moves := said.get("schedule", {}), Mapping):
            return {**own, **said, "schedule": {**own["schedule"], **moves}}
        return {**own, **said}

    def of(self, player: str) -> Config:
        """This config as `player` sees it: the run's, with what its entry in `pairs` says laid over
        it.
        """
        # Players without a number (global, judge) have the run's settings.
        index = player.rpartition("-")[2]
        if not self.pairs or not index.isdigit():
            return self
        groups = [group for group in self.pairs for _ in range(group.count)]
        # Who joins later has a higher number than any group: it is of the last kind.
        group = groups[min(int(index), len(groups) - 1)]
        changes: dict[str, Any] = {"pair": validate(PairConfig, self._laid_over(group))}
        for kind in ("network", "loss"):
            if (spec := getattr(group, kind)) is not None:
                own = getattr(self, kind)
                changes[kind] = (
                    {**own, **spec} if spec.get("name", own["name"]) == own["name"] else spec
                )
        return self.model_copy(update=changes)

    def component(self, kind: str) -> Component:
        """The component that `kind` ("data", "network", "loss" or "strategy") names.

        Raises ConfigError for a name or a setting that does not exist.
        """
        return load_component(kind, getattr(self, kind))

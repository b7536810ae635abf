"""What a run is: settings, where each value came from, and the components that they name.

    default < preset < files in order < flags          resolve() merges, remembers the origin of each value
    {"name": "sgan", "messenger_steps": 5}             a component: `name` is a file in a package ("strategies/sgan/strategy.py"),
                                                       the rest are the fields of the one Component
                                                       class in it

A new loss, network, data set or strategy is therefore one new file; nothing here knows their names.
This module imports neither torch nor Ray.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from raygan.components import KINDS as KINDS
from raygan.components import Component as Component
from raygan.components import Spec as Spec
from raygan.components import load_component as load_component
from raygan.components import names as names
from raygan.components import shorthand as shorthand
from raygan.components import validate as validate
from raygan.errors import ConfigError, did_you_mean
from raygan.own.inside import luggage, refuse_unsettled, settled, unpack, whole, whole_flag
from raygan.own.names import label
from raygan.own.trust import claim

Tempo = Literal["lockstep", "async"]
PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = "ring8-sgan"
BATCHED_BELOW = 250_000
"""Numbers of an MLP's D below which a CPU is faster with one batched model (benchmarks/LOG.md,
"Packs").
"""


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class Travels(Section):
    """Settings that name own parts take their sources along to other processes, as text."""

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "sources": luggage(self.__dict__)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        unpack(state.pop("sources"))
        super().__setstate__(state)


def _component(default: str, description: str) -> Any:
    """A field that names a component."""
    return Field(default, description=description)


class ScheduleConfig(Section):
    """Where settings of a pair go in the course of a run (R3GAN moves all of these); what is left
    out stays as it is.
    """

    shape: Literal["cosine", "linear"] = Field(
        "cosine", description="Of the way from the start to the end value."
    )
    steps: int | None = Field(
        None,
        gt=0,
        description=(
            "Steps that it takes; end values stay after them, and where a run is made longer. None:"
            " the run's `steps` as it was begun."
        ),
    )
    lr: float | None = Field(
        None, ge=0, description="Both rates at its end, as a share of lr_g and lr_d."
    )
    beta1: float | None = Field(None, ge=0, lt=1, description="Adam's first beta at its end.")
    beta2: float | None = Field(None, ge=0, lt=1, description="Adam's second beta at its end.")
    gamma: float | None = Field(
        None, ge=0, description="The penalties' weights at its end, as a share of the loss's."
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of G's moving average at its end."
    )

    def at(self, name: str, start: float, step: int, total: int) -> float:
        """The value of a setting at a step of a run of `total` steps: start + (end - start) w, w =
        (1 - cos(pi t)) / 2 or t.

        >>> ScheduleConfig(lr=0.5).at("lr", 1.0, 50, 100), ScheduleConfig(lr=0.5, steps=10).at("lr", 1.0, 50, 100)
        (0.75, 0.5)
        """
        end: float | None = getattr(self, name)
        if end is None:
            return start
        t = min(1.0, step / (self.steps or total))
        return start + (end - start) * (
            (1 - math.cos(math.pi * t)) / 2 if self.shape == "cosine" else t
        )


SCHEDULED = ("lr", "beta1", "beta2", "gamma", "ema")


class PairConfig(Section):
    """How one pair (and the global pair) trains."""

    lr_g: float = Field(2e-4, gt=0, description="Learning rate of G.")
    lr_d: float = Field(2e-4, gt=0, description="Learning rate of D.")
    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="Of both networks.")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first beta.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's second beta.")
    lr_decay: Literal["constant", "linear"] = Field(
        "constant",
        description=(
            "linear: short for schedule.lr 0 in a straight line, where schedule.lr is not given; a"
            " run that is made longer stays at 0."
        ),
    )
    schedule: ScheduleConfig = ScheduleConfig()
    clip_grad_d: float | None = Field(
        None, gt=0, description="Largest global gradient norm of D (GAP's authors: 7)."
    )
    clip_grad_g: float | None = Field(None, gt=0, description="Largest global gradient norm of G.")
    input_noise: float = Field(
        0.0, ge=0, description="Std of the Gaussian noise on D's inputs at step 0."
    )
    input_noise_steps: int = Field(
        1000, gt=0, description="Steps until that noise has fallen linearly to 0."
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of the moving average of G's weights; 0 = none."
    )
    prior: Literal["gaussian", "uniform"] = Field(
        "gaussian", description="Of z: N(0, 1) or U(-1, 1)."
    )
    data_order: Literal["own", "shared"] = Field(
        "own", description="shared: the same batches as all other such pairs."
    )
    feature_matching: float = Field(
        0.0,
        ge=0,
        description=(
            "Weight of matching D's last hidden features, added to G's loss (training pitfalls)."
        ),
    )
    max_bad_steps: int = Field(
        20,
        gt=0,
        description="Consecutive skipped steps (NaN or infinite loss) after which the run stops.",
    )

    @property
    def rates(self) -> ScheduleConfig:
        """Where both rates go: what `schedule` says, else what `lr_decay` is short for."""
        if self.lr_decay == "constant" or self.schedule.lr is not None:
            return self.schedule
        return self.schedule.model_copy(update={"shape": "linear", "lr": 0.0})

    @property
    def moving(self) -> list[str]:
        """Settings that a schedule moves."""
        return [name for name in SCHEDULED if getattr(self.rates, name) is not None]

    @property
    def optimizer_words(self) -> int:
        """Numbers that the optimizer keeps for each weight."""
        return {"adam": 2, "rmsprop": 1}[self.optimizer]


class PairGroup(Section):
    """Some pairs that differ from the run's; what is left out is the run's."""

    count: int = Field(1, gt=0, description="Pairs of this kind.")
    network: Spec | None = Field(None, description="Their networks.")
    loss: Spec | None = Field(None, description="Their loss.")
    pair: dict[str, Any] = Field(
        {}, description="Settings of `pair` that differ: rates, prior, noise, data order."
    )


def _not_negative(value: int | str) -> int | str:
    if isinstance(value, int) and value < 0:
        raise ValueError("input should be at least 0, or auto")
    return value


class ResourcesConfig(Section):
    """What each player asks of the cluster."""

    pairs_per_actor: int | Literal["auto"] = Field(
        1,
        description=(
            "Pairs in one process; auto: an equal share for each core or GPU, batched if that is"
            " measured faster."
        ),
    )
    batched: bool | None = Field(
        None,
        description=(
            "Pairs of one process as one batched model; None: MLPs with a D below "
            f"{BATCHED_BELOW:,} numbers, and all on a GPU."
        ),
    )
    num_threads: int = Field(
        1, gt=0, description="torch threads of a CPU player; other counts give other bits."
    )
    cpus_per_pair: float | None = Field(
        None, gt=0, description="None: an equal share of the cluster, at most 1."
    )
    gpus_per_pair: float | None = Field(
        None,
        ge=0,
        le=1,
        description="None: an equal share of the GPUs, at most 1: a pair trains on one.",
    )
    placement: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = Field(
        "PACK", description="Ray's placement strategy of the run's one placement group."
    )
    spares: Annotated[int | Literal["auto"], AfterValidator(_not_negative)] = Field(
        1,
        description=(
            "Processes kept ready for players that die (180 MB each; none where players have GPUs);"
            " auto: as many as the fullest other node has."
        ),
    )
    hub: bool = Field(
        True, description="An actor that `watch`, `status`, `scale`, `stop` and Prometheus ask."
    )
    scale: bool = Field(
        True,
        description=(
            "Count the nodes that the cluster's autoscaler may start, and ask for them; false: only"
            " those that are up."
        ),
    )
    wait_s: float = Field(
        600.0,
        gt=0,
        description=(
            "Seconds to wait for room: for nodes that are busy with other runs, or still to come."
        ),
    )
    object_store_mb: int = Field(
        512, ge=80, description="Object store of a Ray that this run starts itself."
    )


Action = Literal["restart", "without", "stop"]


class FailuresConfig(Section):
    """What to do when something breaks: restart from the journal's head, go on without the player,
    or stop (resumable).
    """

    death: Action = Field("restart", description="A player's process is gone.")
    oom: Action = Field("restart", description="The node killed a player for memory.")
    hang: Action = Field("restart", description="A player made no progress within the lease.")
    node: Action = Field("restart", description="A player's machine is gone.")
    preempted: Action = Field(
        "restart", description="A player's machine was taken away with notice."
    )
    head: Literal["restart", "stop"] = Field(
        "restart",
        description=(
            "A process of the Ray that the run has started for itself is gone: start another Ray."
        ),
    )
    non_finite: Literal["without", "stop"] = Field(
        "without",
        description="NaN or infinity that rolling back did not cure: retire the pair, or stop.",
    )
    budget: int = Field(3, ge=0, description="Failures of one kind that a run survives.")
    preemptions: int | None = Field(
        None,
        ge=0,
        description=(
            "Times that machines are taken away with notice, of their own; None: any number."
        ),
    )
    evaluator: int = Field(
        3,
        ge=0,
        description=(
            "Deaths of the evaluator in a row after which the run goes on without scores (exit 4)."
        ),
    )
    rollbacks: int = Field(
        2,
        ge=0,
        description=(
            "Times that a round with NaN is repeated from its beginning with other random numbers."
        ),
    )
    lease_s: float = Field(
        60.0, gt=0, description="Seconds within which a busy player must get a step further."
    )


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
    start_from: tuple[str, ...] = Field(
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
        return self

    def of(self, player: str) -> Config:
        """This config as `player` sees it: the run's, with what its entry in `pairs` says laid over
        it.
        """
        index = player.rpartition("-")[2]
        if not self.pairs or not index.isdigit():
            return self
        groups = [group for group in self.pairs for _ in range(group.count)]
        group = groups[min(int(index), len(groups) - 1)]
        own = self.pair.model_dump()
        moves = {**own["schedule"], **group.pair.get("schedule", {})}
        changes: dict[str, Any] = {
            "pair": validate(PairConfig, {**own, **group.pair, "schedule": moves})
        }
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


# ---------------------------------------------------------------------------------------------------
# resolving


class Resolved(BaseModel):
    """A config with the origin of each of its values (dotted path -> "default", "preset NAME", a
    file, "flag").
    """

    model_config = ConfigDict(frozen=True)
    config: Config
    origins: dict[str, str]

    def yaml(self, texts: Mapping[str, str] = MappingProxyType({})) -> str:
        """The whole config as YAML, each value with its origin behind it, and its text where one
        is given (by dotted path).
        """
        return "\n".join(_yaml_lines(full_dump(self.config), self.origins, texts)) + "\n"


def full_dump(config: Config) -> dict[str, Any]:
    """The config as plain values, with the components' defaults written out."""
    values = config.model_dump(mode="json")
    for kind in KINDS:
        component = config.component(kind)
        values[kind] = {"name": component.name, **component.model_dump(mode="json")}
    if not values["code"]:
        del values["code"]
    return values


def _yaml_lines(
    values: Mapping[str, Any], origins: Mapping[str, str], texts: Mapping[str, str], path: str = "", indent: str = ""
) -> list[str]:  # fmt: skip
    lines: list[str] = []
    for key, value in values.items():
        where = f"{path}{key}"
        if isinstance(value, dict):
            lines += [
                f"{indent}{key}:",
                *_yaml_lines(value, origins, texts, where + ".", indent + "  "),
            ]
        else:
            line = f"{indent}{key}: {json.dumps(value)}"
            origin = origins.get(where, "default")
            text = texts.get(where, "")
            lines.append(f"{line:<32}  # {origin}: {text}" if text else f"{line}  # {origin}")
    return lines


def load_parts(config: Config) -> None:
    """Build every component that players and evaluator need. Raises ConfigError."""
    for kind in ("network", "loss", "strategy"):
        config.component(kind)
    for i in range(len(config.pairs)):
        own = config.of(f"pair-{sum(g.count for g in config.pairs[:i])}")
        own.component("network"), own.component("loss")
    for spec in config.metrics:
        load_component("metric", spec)


def presets() -> list[str]:
    """Names of the presets that come with raygan."""
    return sorted(p.stem for p in PRESETS.glob("*.yaml"))


def preset_values(name: str) -> dict[str, Any]:
    """A preset's values; raises ConfigError for an unknown one."""
    if name not in presets():
        raise ConfigError(f"preset: no preset named {name!r}. {did_you_mean(name, presets())}")
    return read_yaml(PRESETS / f"{name}.yaml")


MAX_VALUES = 10_000
"""Values in a config file, aliases counted each time."""


def expanded(value: object, known: dict[int, int] | None = None) -> int:
    """Values that a YAML document stands for; aliases to one thing are looked at once, and counted
    each time.

    >>> expanded({"a": [1, 2]})
    4
    """
    known = {} if known is None else known
    if id(value) not in known:
        inside = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        known[id(value)] = MAX_VALUES + 1  # what contains itself never ends
        known[id(value)] = 1 + sum(expanded(v, known) for v in inside)
    return known[id(value)]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; raises ConfigError for anything else."""
    try:
        values = yaml.safe_load(path.read_text())
        if expanded(values) > MAX_VALUES:
            raise ConfigError(
                f"config file {str(path)!r} holds more than {MAX_VALUES} values. Its aliases expand"
                " too far."
            )
    except FileNotFoundError:
        raise ConfigError(
            f"config file {str(path)!r} does not exist. Check the path given to --config."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        reason = str(error).replace("\n", " ")
        raise ConfigError(
            f"config file {str(path)!r} cannot be read: {reason}. Write it as YAML."
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"config file {str(path)!r} holds a {type(values).__name__}, not settings `key: value`."
        )
    return {str(k): v for k, v in values.items()}


def merge(
    base: dict[str, Any],
    new: Mapping[str, Any],
    origin: str,
    origins: dict[str, str],
    path: str = "",
) -> dict[str, Any]:
    """Lay `new` over `base`, noting `origin` for each value that it sets.

    A component that changes its name loses the settings of the old one.
    """
    out = dict(base)
    for key, value in new.items():
        where = f"{path}{key}"
        if (not path and key in KINDS) or path + key == "strategy.over":
            value = shorthand(value, key)
        old = out.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if "name" in value and value["name"] != old.get("name"):
                old = {}
                for stale in [o for o in origins if o.startswith(where + ".")]:
                    del origins[stale]
            out[key] = merge(old, value, origin, origins, where + ".")
        elif isinstance(value, dict):
            out[key] = merge({}, value, origin, origins, where + ".")
        else:
            out[key] = value
            origins[where] = origin
    return out


def resolve(
    preset: str | None = None, files: Sequence[Path] = (), flags: Mapping[str, Any] | None = None
) -> Resolved:
    """default < preset < files in order < flags; all components checked.

    `flags` maps dotted paths to values: {"strategy.messenger_steps": 5}. Raises ConfigError with
    one line.
    """
    origins: dict[str, str] = {}
    name = preset or DEFAULT_PRESET
    defaults = {kind: shorthand(Config.model_fields[kind].default) for kind in KINDS}
    values = merge(defaults, preset_values(name), f"preset {name}", origins)
    for file in files:
        values = merge(values, _from_file(file), str(file), origins)
    for path, value in sorted(
        (flags or {}).items(), key=lambda f: "." in f[0]
    ):  # --data mnist before --data.path
        values = merge(
            values,
            nested(
                path, whole_flag(path, shorthand(value, path) if path == "data" else value, Path())
            ),
            "flag",
            origins,
        )
    if isinstance(groups := values.get("pairs"), list | tuple) and origins.get(
        "num_pairs", "preset"
    ).startswith("preset"):
        counts = [g.get("count", 1) for g in groups if isinstance(g, dict)]
        if counts and all(isinstance(c, int) for c in counts):  # `pairs` says how many there are
            values["num_pairs"], origins["num_pairs"] = sum(counts), origins.get("pairs", "pairs")
    config = validate(Config, values)
    from raygan.own.installed import refuse_shadow

    for kind in KINDS:
        if (own := str(getattr(config, kind).get("name"))) in names(kind):
            refuse_shadow(kind, own)
    config.component("data")
    load_parts(config)
    for spec in config.listeners:
        load_component("listener", spec)
    for spec in config.track:
        load_component("tracker", spec)
    return Resolved(config=config, origins=origins)


def _from_file(path: Path) -> dict[str, Any]:
    """A config file's values; own files lie relative to it, and a run's config.yaml says where its
    own were.
    """
    values = read_yaml(path)
    if (path.parent / "run.json").exists():  # a run's, whoever made it
        refuse_unsettled(values, path)
    if "data" in values:  # a path with a data set's suffix is no own part
        values["data"] = shorthand(values["data"], "data")
    values = whole(values, path.parent)
    if isinstance(code := values.pop("code", None), dict):
        claim(path.parent, code)
    return values


def nested(path: str, value: object) -> dict[str, Any]:
    """A dotted path as nested mappings.

    >>> nested("pair.lr_g", 1)
    {'pair': {'lr_g': 1}}
    """
    for part in reversed(path.split(".")):
        value = {part: value}
    assert isinstance(value, dict), "a path has at least one part"
    return value

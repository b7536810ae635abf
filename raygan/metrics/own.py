"""Users' own metrics: functions (samples, held_out) -> a number, or {name: number}; one that raises
costs no score but its own.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, cast

from torch import Tensor

from raygan.config import Component, Config, load_component
from raygan.errors import error_line
from raygan.own.contained import contained
from raygan.own.names import label, short
from raygan.own.settings import parameters, with_settings


class MetricComponent(Component):
    """Scores one generator, or the mixture."""

    @abstractmethod
    def measure(self, samples: Tensor, held_out: Tensor) -> float | Mapping[str, float]:
        """Of samples (N, *shape) against held-out ones; images in [-1, 1]."""


class PlainMetric(MetricComponent):
    """A function, or an object that can be called like one."""

    made_of: ClassVar[Any]

    def measure(self, samples: Tensor, held_out: Tensor) -> float | Mapping[str, float]:
        """Call the user's function on samples and held-out data."""
        kind = type(self)
        settings = {name: getattr(self, name) for name in kind.model_fields}
        if inspect.isclass(kind.made_of):
            made: Any = kind.made_of(**settings)
            return made(samples, held_out)  # type: ignore[no-any-return]
        # whatever the user's function gives: `_number` looks at it
        return kind.made_of(samples, held_out, **settings)  # type: ignore[no-any-return]


def lacks(thing: object) -> str:
    """Which method a metric needs and has not; "" where none is missing."""
    return "" if fits(thing) else "__call__"


def fits(thing: object) -> bool:
    """A function of two arguments or more, or a class whose objects are."""
    if inspect.isclass(thing):
        return "__call__" in vars(thing)
    return callable(thing) and len(parameters(thing)) >= 2


def adapt(thing: Any, name: str) -> type[PlainMetric]:
    """Its further parameters are its settings."""
    made: type[PlainMetric] = with_settings(
        PlainMetric, name, thing, skip=0 if inspect.isclass(thing) else 2
    )
    made.made_of = thing
    return made


def own_metrics(config: Config) -> list[MetricComponent]:
    """Those that the config names. Raises ConfigError."""
    return [cast(MetricComponent, load_component("metric", spec)) for spec in config.metrics]


def called(metric: MetricComponent) -> str:
    """Its name in a protocol, with its settings where it has any: by others it is another score."""
    settings = metric.model_dump(exclude={"name"})
    said = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return f"{metric.name}({said})" if said else metric.name


def measured(
    metrics: Sequence[MetricComponent], samples: Tensor, held_out: Tensor
) -> tuple[dict[str, float], dict[str, str]]:
    """(scores, metric -> why it gave none); a metric's name is its function's, and `name.key` for
    each of several numbers.
    """
    scores, failed = dict[str, float](), dict[str, str]()
    for metric in metrics:
        name = short(metric.name)
        try:
            # copies: a metric that scales its samples in place would change everybody's scores
            with contained():
                found = _numbers(name, metric.measure(samples.clone(), held_out.clone()))
            if twice := set(found) & set(scores):
                raise ValueError(
                    f"another metric gives {min(twice)!r} already; rename its function"
                )
            scores |= found
        # of any kind, an end of the program too: watching never stops training
        except (Exception, SystemExit) as error:
            failed[label(metric.name)] = error_line(error)
    return scores, failed


def _numbers(name: str, found: Any) -> dict[str, float]:
    if isinstance(found, Mapping):
        return {f"{name}.{key}": _number(value) for key, value in found.items()}
    return {name: _number(found)}


def _number(value: Any) -> float:
    if (
        isinstance(value, Real)
        or getattr(value, "size", 0) == 1
        or getattr(value, "numel", lambda: 0)() == 1
    ):
        return float(value)
    # a list or a picture is no number, and its mean is not ours to choose
    raise TypeError(f"gives a {type(value).__name__}; a number, or {{name: number}}, is needed")

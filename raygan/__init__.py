"""raygan: train many GANs at once on a Ray cluster so that they help each other.

    import raygan
    run = raygan.train("ring8-sgan", num_pairs=8)
    x = run.generator("mixture").sample(1024, seed=0)

The names below are imported when they are first used, so that `import raygan` is cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan import moved

if TYPE_CHECKING:
    __version__: str
    from raygan.service.cluster.jobs import Jobs as Jobs
    from raygan.service.runs.generators import Generators as Generators
    from raygan.service.runs.run import Run as Run
    from raygan.service.started import Started as Started

__all__ = ["Jobs", "Run", "Started", "load", "start", "train"]
moved.install()


def train(
    preset: str | None = None, *, run_dir: str | Path = "runs", name: str | None = None,
    address: str = "auto", inline: bool = False, resume: str | None = None,
    trust_code: bool = False, listeners: Sequence[Any] = (), **settings: Any,
) -> Run:  # fmt: skip
    """Run a preset with some settings changed; returns the finished run.

    settings: `num_pairs=8`, or groups as mappings: `pair={"lr_g": 1e-3}`, `strategy={"name":
    "sgan", "messenger_steps": 5}`; own parts by name or as objects: `network=MyNet(width=8)`,
    `loss=Focal`, `data=array`, `metrics=[sharpness]` (README). listeners: functions (run, done), or
    what a config names. trust_code: with `resume`, the run's own parts may run. inline: everything
    in this process, no Ray. Raises a RayganError (raygan.errors).
    """
    from raygan.config import resolve
    from raygan.controller.own_listeners import guarded
    from raygan.own.importing import refuse_while_loading
    from raygan.own.objects import named
    from raygan.service.training import train as start

    refuse_while_loading("raygan.train")
    named_ones = [x for x in listeners if isinstance(x, str | Mapping)]
    asked = {**settings, **({"listeners": named_ones} if named_ones else {})}
    settings = named(asked, _given)
    resolved = resolve(preset, (), settings)
    call = ", ".join([repr(preset), *(f"{k}={v!r}" for k, v in settings.items())])
    return start(
        resolved, run_dir=Path(run_dir), name=name, address=address, inline=inline, resume=resume,
        command=f"raygan.train({call})", trust_code=trust_code, listeners=guarded(listeners),
    )  # fmt: skip


def start(preset: str | None = None, **arguments: Any) -> Started:
    """As `train`, but returns at once: the run goes on in a thread, and can be looked at, scaled,
    stopped and waited for. Bad settings are refused here. Raises a RayganError.
    """
    import inspect

    from raygan.config import resolve
    from raygan.own.importing import refuse_while_loading
    from raygan.own.objects import named
    from raygan.service.started import Started

    refuse_while_loading("raygan.start")
    known = inspect.signature(train).parameters
    # objects by their names from here on: when the thread begins they may be others
    settings = named({k: v for k, v in arguments.items() if k not in known}, _given)
    resolve(preset, (), settings)
    arguments |= settings
    heard = tuple(arguments.pop("listeners", ()))
    return Started(lambda own: train(preset, listeners=(own, *heard), **arguments))


def _given(samples: Any) -> dict[str, Any]:
    from raygan.data.given import spec_of

    return spec_of(samples)


def load(source: str | Path, which: str | None = None, *, trust_code: bool = False) -> Generators:
    """A generator to sample from, without Ray: of a run folder, of what `raygan export` wrote,
    or of hf://org/name.

    which: of a run, "global", "best", "mixture", "pair:3"; None: what the run is for. Raises a
    RayganError.
    """
    from raygan.service.scores.loading import load as found

    return found(source, which, trust_code=trust_code)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("raygan")
    if name == "Started":
        from raygan.service.started import Started

        return Started
    if name == "Run":
        from raygan.service.runs.run import Run

        return Run
    if name == "Jobs":
        from raygan.service.cluster.jobs import Jobs

        return Jobs
    raise AttributeError(f"module 'raygan' has no attribute {name!r}")

"""raygan: train many GANs at once on a Ray cluster so that they help each other.

    import raygan
    run = raygan.train("ring8-sgan", num_pairs=8)
    x = run.generator("mixture").sample(1024, seed=0)

The names below are imported when they are first used, so that `import raygan` is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan import moved

if TYPE_CHECKING:
    __version__: str
    from raygan.service.cluster.jobs import Jobs as Jobs
    from raygan.service.runs.generators import Generators as Generators
    from raygan.service.runs.run import Run as Run
    from raygan.service.started import Started as Started
    from raygan.service.sweeps.result import SweepResult as SweepResult

__all__ = ["Jobs", "Run", "Started", "SweepResult", "load", "start", "sweep", "train"]
LAZY = {
    "Jobs": "raygan.service.cluster.jobs",
    "Run": "raygan.service.runs.run",
    "Started": "raygan.service.started",
    "SweepResult": "raygan.service.sweeps.result",
}
"""Class -> the module that has it."""
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
    from raygan.own.importing import refuse_while_loading

    refuse_while_loading("raygan.train")
    return _prepared(
        preset, settings, run_dir, name, address, inline, resume, trust_code, listeners
    )(())


def start(preset: str | None = None, **arguments: Any) -> Started:
    """As `train`, but returns at once: the run goes on in a thread, and can be looked at, scaled,
    stopped and waited for. Bad settings are refused here. Raises a RayganError.
    """
    import inspect

    from raygan.own.importing import refuse_while_loading
    from raygan.service.started import Started

    refuse_while_loading("raygan.start")
    known = inspect.signature(train).parameters
    options = {k: p.default for k, p in known.items() if p.kind is p.KEYWORD_ONLY}
    settings = {k: arguments.pop(k) for k in [*arguments] if k not in options}
    begin = _prepared(preset, settings, **(options | arguments))
    return Started(lambda own: begin((own,)))


def _prepared(
    preset: str | None, settings: Mapping[str, Any], run_dir: str | Path, name: str | None,
    address: str, inline: bool, resume: str | None, trust_code: bool, listeners: Sequence[Any]
) -> Callable[[Sequence[Any]], Run]:  # fmt: skip
    """What begins this run, and takes further listeners. Objects and paths are what they are now:
    whoever begins it later may stand in another folder. Raises a RayganError.
    """
    from raygan.config import resolve
    from raygan.controller.bucket_copies import runs_folder
    from raygan.controller.own_listeners import live
    from raygan.controller.run_folder import RunFolder, find_run
    from raygan.own.objects import named
    from raygan.paths import in_bucket
    from raygan.service.runs.identity import settled
    from raygan.service.training import train as begin

    # by name they travel in the config, and are made again at a resume; objects do not
    named_ones = [x for x in listeners if isinstance(x, str | Mapping)]
    asked = {**settings, **({"listeners": named_ones} if named_ones else {})}
    settings = named(asked, _given)
    resolved = settled(resolve(preset, (), settings))
    call = ", ".join([repr(preset), *(f"{k}={v!r}" for k, v in settings.items())])
    # absolute from here on: whoever begins it may stand in another folder
    if resume not in (None, "auto") and not in_bucket(str(resume)):
        resume = str(RunFolder(find_run(str(resume))).path)
    there = runs_folder(run_dir)
    return lambda more: begin(
        resolved, run_dir=there, name=name, address=address, inline=inline, resume=resume,
        command=f"raygan.train({call})", trust_code=trust_code,
        listeners=[*more, *live(listeners)],
    )  # fmt: skip


def _given(samples: Any) -> dict[str, Any]:
    from raygan.data.given import spec_of

    return spec_of(samples)


def sweep(
    source: str | Path | Mapping[str, Any], *, run_dir: str | Path = "runs", resume: bool = False,
    address: str = "auto", max_concurrent: int | None = None, samples: int | None = None,
    track: str | None = None,
) -> SweepResult:  # fmt: skip
    """Train many runs over a space of settings, as `raygan sweep` does; returns what they found.

    source: a sweep file, or its keys: `{"name": "mine", "preset": "ring8-gap", "space": {"seed":
    [0, 1]}}`; own parts in `settings` and `space` by name, or as objects. resume: go on with one
    that was cut off. max_concurrent, samples, track (with commas): instead of what it says. Raises
    a RayganError; where trials have failed, once all have been tried and the report is written.
    """
    from raygan.paths import expanded
    from raygan.service.sweeps.result import run_sweep
    from raygan.service.sweeps.source import Values

    asked = Values(source) if isinstance(source, Mapping) else expanded(source)
    return run_sweep(
        asked, run_dir=expanded(run_dir), resume=resume, address=address,
        max_concurrent=max_concurrent, samples=samples, track=track,
    )  # fmt: skip


def load(source: str | Path, which: str | None = None, *, trust_code: bool = False) -> Generators:
    """A generator to sample from, without Ray: of a run (its folder, its name in `runs/`, its
    address in a bucket), of what `raygan export` wrote, or of hf://org/name.

    which: of a run, "global", "best", "mixture", "pair:3"; None: what the run is for. Raises a
    RayganError.
    """
    from raygan.service.scores.loading import load as found

    return found(source, which, trust_code=trust_code)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("raygan")
    if name in LAZY:
        return getattr(import_module(LAZY[name]), name)
    raise AttributeError(f"module 'raygan' has no attribute {name!r}")

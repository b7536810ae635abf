"""Verbs about what a run is made of: data, presets, own parts; and completion."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from raygan.cli.flags import Arguments, parse
from raygan.config import PRESETS, resolve
from raygan.config import presets as preset_names
from raygan.errors import ConfigError
from raygan.paths import expanded
from raygan.visible import as_json
from raygan.visible import say as print


def data(argv: Sequence[str]) -> int:
    """What a source holds, as training would be given it."""
    args = parse("data", argv)
    if args.has("cache") or args.get("clear-cache") is not None:
        return _cached(args)
    if not args.positional:
        raise ConfigError("raygan data: no SOURCE. Name one, as in `raygan data npz:points.npz`")
    from raygan.service.runs import inspecting

    flags = {
        # The least that any data set fits: `raygan data` is about the source, not about a run.
        "network": "mlp",
        "strategy": "independent",
        **args.settings,
        "data": args.positional[0],
    }
    found, report = inspecting.report_of(resolve(flags=flags).config)
    drawn = inspecting.write_sheet(found, expanded(out)) if (out := args.get("out")) else ""
    if args.has("json"):
        print(as_json({**report, **({"sheet": drawn} if drawn else {})}, indent=1))
    else:
        print(
            "\n".join(
                [*inspecting.lines(found, report), *([f"sheet          {drawn}"] if drawn else [])]
            )
        )
    return 0


def _cached(args: Arguments) -> int:
    """What large sources have left in the cache; remove what was not read for so many days."""
    from raygan.data import cache_listing

    folder, days = cache_listing.cache_folder(), args.get("clear-cache")
    if days is None:
        print(cache_listing.listing(cache_listing.cached_sources(folder), folder))
        return 0
    try:
        print(cache_listing.listing(cache_listing.cleared(_days(days), folder), folder, gone=True))
    except OSError as error:
        raise ConfigError(f"data cache {folder}: {error.strerror}: {error.filename}") from None
    return 0


def _days(value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = -1.0
    if not 0 <= days < math.inf:
        raise ConfigError(f"--clear-cache = {value!r}: write a number of days, 0 for all")
    return days


def presets(argv: Sequence[str]) -> int:
    """List presets, or show one."""
    args = parse("presets", argv)
    if args.positional:
        from raygan.cli.settings import texts

        preset = resolve(args.positional[0])
        print(preset.yaml(texts(preset)), end="")
        return 0
    width = max(map(len, preset_names()))
    for name in preset_names():
        first = (PRESETS / f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")
        print(f"{name:<{width}}  {first}")
    from raygan.own.installed import GROUPS, entry_points

    for kind in GROUPS:
        if found := entry_points(kind):
            print(f"{kind + ' of installed packages':<{width}}  {', '.join(found)}")
    return 0


def new(argv: Sequence[str]) -> int:
    """Write a part of one's own, to begin from."""
    args = parse("new", argv)
    kind, name = args.positional
    from raygan.service.new import write_new

    part, test = write_new(kind, name, Path(expanded(args.get("to") or ".")))
    shown = part if part.is_absolute() else f"./{part}"
    flag = "--metrics" if kind == "metric" else f"--{kind}"
    print(f"{part} and {test}\n{shlex.join(['pytest', str(test)])}")
    print(shlex.join(["raygan", "train", flag, str(shown)]))
    return 0


def completion(argv: Sequence[str]) -> int:
    """What a shell needs to complete a command line."""
    args = parse("completion", argv)
    from raygan.cli.completion import script

    print(script(args.positional[0]))
    return 0

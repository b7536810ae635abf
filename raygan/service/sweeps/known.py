"""What a sweep's runs know of their data: who goes on with a sweep is asked nothing that was not
asked when it began, and trains none of its trials on other data than the others.

    run.json of each run -> known(): of one on the same data -> outlined(.., known), train(known=..)
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygan.config import Config
from raygan.controller.jsonl import read_info
from raygan.errors import RayganError
from raygan.service.places import outlined
from raygan.service.runs.code import load_config
from raygan.service.runs.identity import differing, read_as, settled
from raygan.service.sweeps.file import Sweep
from raygan.strategies.sources import sources_of

MOST = 1000
"""Points whose data are looked at: of a hundred thousand the first."""


def known(folder: Path | None, config: Config, run: Path | None = None) -> Mapping[str, Any] | None:
    """run.json of a run in a sweep's folder that was made on the data of a config, `run` before all
    others; None: there is none.
    """
    if folder is None:
        return None
    wanted = read_as(config)
    for path in [*([run] if run else []), *sorted((folder / "runs").glob("*"))]:
        # one that is damaged, or is no run yet, knows nothing
        with contextlib.suppress(RayganError, OSError, ValueError):
            info, began = read_info(path), load_config(path)
            found = read_as(began)
            if not isinstance(info.get("data"), Mapping):
                continue
            if found == wanted:
                return info
            # how many parts a whole is cut into changes nothing in what is read
            one_whole = not (sources_of(began) or sources_of(config))
            if one_whole and of_whole(found) == of_whole(wanted):
                return {**info, "data": {**info["data"], "parts": {}}}
    return None


def of_whole(data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a data set without those of its parts."""
    return {k: v for k, v in data.items() if not k.startswith("partition")}


def changed_data(spec: Sweep, folder: Path) -> str:
    """Which data that the sweep's runs were made on are others now; "" where none are. Parts that
    are read where their pairs live are compared there, as each trial begins.
    """
    seen = list[dict[str, Any]]()
    for point in itertools.islice(spec.walk(), MOST if spec.search == "grid" else 1):
        config = settled(spec.resolved(point)).config
        if config.data in seen:
            continue
        seen.append(config.data)
        if (info := known(folder, config)) and (
            differs := differing(info, outlined(config, True, info))
        ):
            return differs
    return ""

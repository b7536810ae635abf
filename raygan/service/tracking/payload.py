"""What a tracker is told of a run: its config, tags and numbers; never a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from raygan.config import Config, full_dump, settings_of
from raygan.controller.files import folder_within
from raygan.controller.jsonl import read_info
from raygan.own.names import label
from raygan.trackers.base import Tracked

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


class Payload:
    """What each tracker is told of the run when it begins."""

    def __init__(self, config: Config, folder: Path) -> None:
        info = read_info(folder)
        self.name, self.id, self.folder = folder.name, str(info.get("id", folder.name)), folder
        self.config, self.tags = settings_of(full_dump(config)), tags(config, folder, info)

    def to(self, known: str | None, step: int, calls: int) -> Tracked:
        """What one tracker is told as it begins."""
        return Tracked(
            self.name, self.id, self.folder, self.config, self.tags, known, step, calls, self._room
        )

    def _room(self, name: str) -> Path:
        with folder_within(self.folder, name, make=True):
            return self.folder / name


def numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """A row's numbers: losses and times as they are named there, scores as score/NAME."""
    prefix = "score/" if row["kind"] == "score" else ""
    for name, value in row.items():
        if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)


def tags(config: Config, folder: Path, info: Mapping[str, Any]) -> dict[str, str]:
    """What runs are searched by."""
    kinds = ("strategy", "data", "loss", "network")
    out = {kind: label(str(getattr(config, kind)["name"])) for kind in kinds}
    out["version"] = metadata.version("raygan")
    sweep = folder.resolve().parent.parent
    if (folder / "point.json").exists() or (sweep / "sweep.json").exists():
        out["sweep"] = sweep.name
    if isinstance(forked := info.get("forked"), Mapping):
        out["forked"] = str(forked.get("from"))
    return out


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """An error's text, which may name an address with a password, or a key.

    >>> without_secrets("no http://me:pw@host, key abcdefgh", {"WANDB_API_KEY": "abcdefgh"})
    'no http://***@host, key ***'
    """
    for name, value in environment.items():
        # A DEBUG_TOKEN=1 would star every 1 of the text.
        if SECRET.search(name) and len(value) >= 6:
            text = text.replace(value, "***")
    return re.sub(r"://[^/@\s]+@", "://***@", text)

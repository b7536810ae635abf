"""What a config names beside its own parts: data, labels, runs to start from. A job has them only
where they go along, or lie where all nodes see them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raygan.config import KINDS, Resolved, full_dump
from raygan.errors import ConfigError
from raygan.paths import ADDRESS, run_and_pair

PATH = "path"
"""The setting that names a file, or a folder; of others a value that is the name of a file does."""


def named_files(resolved: Resolved, folder: Path) -> list[str]:
    """`setting=path` of each path relative to the job's folder.
    Raises ConfigError for one that lies outside.
    """
    values = full_dump(resolved.config)
    found = [
        (setting, value)
        for setting, value in _texts({kind: values[kind] for kind in KINDS}, "")
        # A file may have any name, "auto" too: a word alone is a setting's value.
        if setting.rpartition(".")[2] == PATH
        or ({".", "/"} & {*value} and (folder / value).is_file())
    ]
    found += [("start_from", run_and_pair(entry)[0]) for entry in resolved.config.start_from]
    relative = [(s, v) for s, v in found if not v.startswith(("/", "~")) and not ADDRESS.match(v)]
    for setting, value in relative:
        if os.path.normpath(value).startswith("..") and (folder / value).exists():
            raise ConfigError(
                f"{setting}={value}: lies outside --working-dir {str(folder)!r}, and would not go"
                " along. Copy it there, or name it by its whole path on storage that all nodes see."
            )
    return [f"{setting}={value}" for setting, value in relative]


def _texts(values: Any, at: str) -> Iterator[tuple[str, str]]:
    """(setting, text) of all that is text, but names of components."""
    if isinstance(values, dict):
        for key, value in values.items():
            if key != "name":
                yield from _texts(value, f"{at}.{key}".lstrip("."))
    elif isinstance(values, list):
        for value in values:
            yield from _texts(value, at)
    elif isinstance(values, str) and values:
        yield at, values

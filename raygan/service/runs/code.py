"""The source of a run's own parts in its folder, and what happens to it when the run goes on.

    code/3f2a9c1b7d04/nets.py    as it was when the run began;
                                 config.json has its SHA-256 and where it came from

It is there to be read, and to be used on other machines by `--trust-code`: nothing in a run folder
is executed unasked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygan.config import Config, validate
from raygan.controller.files import write_within
from raygan.controller.jsonl import NOTES, read_json
from raygan.errors import ConfigError
from raygan.own import trust
from raygan.own.importing import register
from raygan.own.inside import objects, refuse_unsettled
from raygan.own.source import OBJECTS, SOURCES, Source

UNSPLIT = ("folder", "idx", "npz", "parquet", "zip")
"""Data sets whose last samples were held out, before a config said how."""


def load_config(path: Path) -> Config:
    """The config of a run folder; raises ConfigError when it is damaged. Its own parts are found
    when they are needed.
    """
    values = read_json(path, "config.json")
    refuse_unsettled(values, path / "config.json")
    if isinstance(code := values.get("code"), dict):
        trust.claim(path, code)
    return validate(Config, as_begun(values))


def as_begun(values: dict[str, Any]) -> dict[str, Any]:
    """A stored config that says how its data are split and scaled: a run from before goes on as it
    began.
    """
    data = values.get("data")
    if isinstance(data, dict) and data.get("name") in UNSPLIT:
        # Points were not scaled then: their networks know them in their own units.
        as_it_is = {"scale": "none"} if data["name"] == "npz" else {}
        return {**values, "data": {"held_out_by": "tail", **as_it_is, **data}}
    return values


def write_code(folder: Path, code: Mapping[str, Any]) -> None:
    """Keep the sources that a config names. Raises OSError."""
    # Objects without a source are left out: there is nothing of them to keep (decision 62).
    for key in set(code) - set(objects(code)):
        for name, text in SOURCES[key].files.items():
            write_within(folder, f"{trust.CODE}/{key}/{name}", text.encode())


def tell_objects(config: Config, inline: bool) -> None:
    """Of parts without a source. Raises ConfigError where they would have to travel."""
    for key in objects(config.code):
        thing = OBJECTS.get(key)
        what = getattr(thing, "__qualname__", type(thing).__name__)
        if not inline:
            raise ConfigError(
                f"{what}: it has no source (a lambda, a nested class, a REPL), and cannot travel to"
                " Ray's workers. Put it into a file, at its top, or train with inline=True."
            )
        NOTES.warning(
            "%s has no source: the run can be resumed and sampled in this process only", what
        )


def use_code(folder: Path, config: Config, trusted: bool = False) -> None:
    """Everything that the config needs may run from here on. Raises ConfigError: name and hash, and
    what to say.
    """
    if trusted:
        trust.trust(folder)
    for key in set(config.code) - set(OBJECTS):
        trust.source("code", trust.named(config.code[key], key))


def other_code(folder: Path, config: Config) -> tuple[Config, list[str]]:
    """The config with its own parts as their files are now, and what has changed. Raises
    ConfigError where one is gone.
    """
    text, changed = config.model_dump_json(), list[str]()
    for key, record in config.code.items():
        here = trust.original(trust.Claim(folder.resolve(), record))
        if here is None:
            raise ConfigError(
                f"--other-code: {record.get('path')!r} is not on this machine. Leave --other-code"
                " out."
            )
        # the config names code by its hash: another text is another name
        if here.sha256 != record.get("sha256"):
            register(here)
            text = text.replace(f"@{key}", f"@{here.key}")
            changed.append(
                f"{_name(here)}: sha256 {record.get('sha256')} before, {here.sha256} from here on"
            )
    return validate(Config, json.loads(text)), changed


def _name(source: Source) -> str:
    return source.module or source.package or next(iter(source.files))

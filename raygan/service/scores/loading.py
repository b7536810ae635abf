"""`raygan.load(...)`: a generator to sample from, out of a run (in a folder or a bucket), an
exported folder, or one on the Hugging Face Hub; imports no Ray.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.controller.run_folder import find_run, is_export
from raygan.errors import CheckpointError, ConfigError
from raygan.paths import expanded, in_bucket

if TYPE_CHECKING:
    from raygan.service.runs.generators import Generators

SCHEME = "hf://"


def load(source: str | Path, which: str | None = None, *, trust_code: bool = False) -> Generators:
    """What is there, ready to sample from: `load("runs/latest").sample(64, seed=0)`.

    which: of a run, as in `raygan sample --from`; None: what the run is for. Raises ConfigError for
    an address that is none, and for `which` of an export, which holds one; CheckpointError for what
    cannot be loaded.
    """
    place = place_of(source)
    folder = from_hub(place) if place.startswith(SCHEME) else place
    if in_bucket(folder) is None and is_export(folder):
        from raygan.service.scores.export import load_exported

        if which is not None:
            raise ConfigError(
                f"load: {str(source)!r} is an export, which holds one generator. Leave {which!r}"
                " out."
            )
        return load_exported(folder, trust_code=trust_code)
    from raygan.service.runs.run import Run

    run = Run.load(folder, trust_code=trust_code).use_code()
    return run.generator(which or run.main_player)


def place_of(source: str | Path) -> str:
    """Where that lies, in words that any process can open, also on another machine that sees it:
    hf://org/name, the address of a run in a bucket, or a whole path of a run or an export. Raises
    ConfigError for what is none of these.
    """
    if str(source).startswith(SCHEME):
        return str(source)
    if place := in_bucket(source):
        return place
    return str((expanded(source) if is_export(source) else find_run(source)).resolve())


def address(source: str) -> str:
    """org/name of hf://org/name. Raises ConfigError for another form.

    >>> address("hf://me/ring")
    'me/ring'
    """
    name = source.removeprefix(SCHEME)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ConfigError(f"{source!r}: write hf://ORGANISATION/NAME.")
    return name


def from_hub(source: str) -> Path:
    """The folder of a model on the Hub, in huggingface_hub's own cache."""
    name = address(source)
    try:
        # By name: it is an extra, and mypy and import-linter need not know it.
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise ConfigError(f"{source}: needs huggingface_hub: pip install 'raygan[hub]'.") from None
    try:
        return Path(hub.snapshot_download(name))
    except Exception as error:  # of many kinds: no network, no such model, no right to it
        why = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{source} cannot be fetched ({why}).") from None

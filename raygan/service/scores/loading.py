"""`raygan.load(...)`: a generator to sample from, out of a run folder, an exported folder, or one
on the Hugging Face Hub; imports no Ray.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.controller.run_folder import is_export
from raygan.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from raygan.service.runs.generators import Generators

SCHEME = "hf://"


def load(source: str | Path, which: str | None = None, *, trust_code: bool = False) -> Generators:
    """What is there, ready to sample from: `load("runs/latest").sample(64, seed=0)`.

    which: of a run, as in `raygan sample --from`; None: what the run is for. Raises ConfigError for
    an address that is none, and for `which` of an export, which holds one; CheckpointError for what
    cannot be loaded.
    """
    folder = from_hub(str(source)) if str(source).startswith(SCHEME) else Path(source)
    if is_export(folder):
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

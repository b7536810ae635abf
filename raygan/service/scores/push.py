"""`raygan push RUN hf://org/name`: an export with samples and a model card, on the Hugging Face
Hub; `raygan.load("hf://org/name")` brings it back.
"""

from __future__ import annotations

import importlib
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.errors import ConfigError, RayganError
from raygan.own.names import label, short
from raygan.service.runs.run import Run
from raygan.service.scores.export import write_export
from raygan.service.scores.loading import SCHEME, address
from raygan.service.scores.sampling import write_drawn

SHOWN = 64
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")


def push(
    run: Run, target: str, which: str, licence: str = "unknown", private: bool = False,
    dry: bool = False, reject: bool = False,
) -> str:  # fmt: skip
    """Write the model's folder and send it; returns what was, or would be, sent. dry: no network.
    reject: as `export`.

    licence: as the Hub names it (apache-2.0). The token is huggingface_hub's own affair. Raises
    ConfigError for a target or licence that is none, RayganError where the Hub does not take it.
    """
    name = address(target) if target.startswith(SCHEME) else ""
    if not name:
        raise ConfigError(f"push: {target!r}: write hf://ORGANISATION/NAME.")
    if not LICENCE.fullmatch(licence):
        raise ConfigError(f"--licence {licence!r}: write it as the Hub does, as in apache-2.0.")
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise ConfigError("push needs huggingface_hub: pip install 'raygan[hub]'.") from None
    with tempfile.TemporaryDirectory(prefix="raygan-push-") as room:
        folder = model_folder(run, which, Path(room) / "model", target, licence, reject)
        listed = listing(folder)
        if dry:
            return f"{listed}\nnothing was sent (--dry-run): {target}"
        _send(hub, name, folder, f"{run.name}: {which}", private)
    return f"{listed}\nsent to {target}\nnext    raygan.load({target!r}).sample({SHOWN}, seed=0)"


def model_folder(
    run: Run, which: str, out: Path, target: str, licence: str, reject: bool = False
) -> Path:
    """What `export` writes, with samples, and a card that the Hub reads. Raises ConfigError."""
    # The same ones for both: a judge takes a thousand updates, and a run may go on.
    generators = write_export(run, which, out, reject=reject, source=target)
    samples = "samples.txt" if generators.alphabet else "samples.png"
    write_drawn(generators, run.name, SHOWN, 0, out / samples)
    shown = "" if samples.endswith(".txt") else f"\n![{SHOWN} samples, seed 0]({samples})\n"
    text = (out / "README.md").read_text()
    (out / "README.md").write_text(front_matter(run, licence) + shown + text)
    return out


def front_matter(run: Run, licence: str) -> str:
    """What the Hub files a model under; JSON is YAML, so no name can break it."""
    kinds = [short(label(run.config.strategy["name"])), short(label(run.config.data["name"]))]
    facts = {
        "license": licence, "library_name": "raygan", "tags": ["raygan", "gan", *kinds],
    }  # fmt: skip
    return "---\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in facts.items()) + "---\n"


def listing(folder: Path) -> str:
    """Every file, with its size: a run's own code goes along, and is seen here."""
    files: Sequence[Path] = sorted(p for p in folder.rglob("*") if p.is_file())
    return "\n".join(f"{p.stat().st_size:>12,}  {p.relative_to(folder).as_posix()}" for p in files)


def _send(hub: Any, name: str, folder: Path, message: str, private: bool) -> None:
    try:
        hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=str(folder), commit_message=message)
    except Exception as error:  # of many kinds: no network, no token, no right to it
        why = " ".join(str(error).split())[:200]
        raise RayganError(
            f"{SCHEME}{name} does not take it ({type(error).__name__}: {why}). Log in with `hf auth"
            " login`, or see to the network; --dry-run shows what would be sent."
        ) from None

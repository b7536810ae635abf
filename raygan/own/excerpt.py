"""What a class needs of the script or notebook that it stands in, as a source of its own."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from raygan.own.script import needed
from raygan.own.source import Source, hashed


def from_script(module: ModuleType, names: Sequence[str]) -> Source | None:
    """What these names need of the script or notebook that runs; None where there is no text."""
    if file := getattr(module, "__file__", None):
        return taken(Path(file).absolute(), names)
    cells = _cells()
    return _source("\n\n".join(cells), "", names, "notebook.py") if cells else None


def taken(path: Path, names: Sequence[str]) -> Source | None:
    """The same out of a file, which is not executed."""
    try:
        return _source(path.read_bytes().decode(), str(path), names, path.name)
    except (OSError, UnicodeDecodeError, SyntaxError):
        return None


def _cells() -> list[str]:
    """What was entered in a notebook, without magics."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return []
    cells = []
    for cell in shell.user_ns.get("In", ()):
        text = "\n".join(
            "" if line.startswith(("%", "!", "?")) else line for line in cell.splitlines()
        )
        try:
            ast.parse(text)
        except SyntaxError:
            continue
        cells.append(text)
    return cells


def _source(text: str, path: str, names: Sequence[str], file: str) -> Source | None:
    found = needed(text, names, file)
    if not found:
        return None
    files = {file: found}
    return Source(files, path, hashed(files), taken=tuple(names))

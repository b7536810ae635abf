"""Which files of a folder may go along with a job: what git tracks, or all of them,
less what .rayignore names.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from raygan.errors import ConfigError
from raygan.service.cluster.secret_files import secret_name

UNTRACKED = "git does not track it"
IGNORED = ".rayignore names it"
Candidates = tuple[list[str], list[tuple[str, str]]]
"""(names relative to the folder, [(name, why it is left out)])."""


def candidates(root: Path) -> Candidates:
    """Of a folder; in a git repository what it tracks, however it is ignored."""
    found = (
        _tracked(root)
        if any((p / ".git").exists() for p in (root, *root.parents))
        else _everything(root)
    )
    ignored = _rayignore(root)
    left = [(name, IGNORED) for name in found[0] if ignored(name)]
    return [name for name in found[0] if not ignored(name)], [*found[1], *left]


def _tracked(root: Path) -> Candidates:
    tracked = _git(root, "--cached")
    others = _git(root, "--others", "--directory", "--no-empty-directory")
    return tracked, [(name, UNTRACKED) for name in others]


def _git(root: Path, *what: str) -> list[str]:
    """`git ls-files`, running nothing that the repository's own settings name."""
    # GIT_DIR and its like would answer for another repository.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    # A repository's own config may name a program for git to run: not by us, in a folder that
    # somebody has sent.
    line = ["git", "-c", "core.fsmonitor=false", "-C", str(root), "ls-files", "-z", *what]
    try:
        done = subprocess.run(line, capture_output=True, env=kept, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        text = " ".join(said.decode(errors="replace").split())[:160]
        raise ConfigError(
            f"--working-dir {str(root)!r}: git does not say what it tracks ({text}). Mend that, or"
            " submit from a copy without .git."
        ) from None
    return [os.fsdecode(n) for n in done.stdout.split(b"\0") if n]


def _everything(root: Path) -> Candidates:
    names: list[str] = []
    left: list[tuple[str, str]] = []
    for at, folders, files in os.walk(root):
        here = Path(at).relative_to(root)
        for name in list(folders):
            path = (here / name).as_posix()
            if why := _folder(root, path):
                folders.remove(name)
                left.append((f"{path}/", why))
        names += [(here / name).as_posix() for name in files]
    return names, left


def _folder(root: Path, path: str) -> str:
    """Why a folder stays here as a whole, or ""."""
    if (root / path).is_symlink():
        return "a link to a folder"
    return secret_name(f"{path}/") or ("a run" if (root / path / "run.json").exists() else "")


def _rayignore(root: Path) -> Callable[[str], bool]:
    """Is a file named by the .rayignore of a folder above it? By Ray's own rules."""
    from ray._private.runtime_env import packaging

    @functools.cache
    def of(folder: Path) -> Callable[[Path], bool]:
        return packaging._get_ignore_file(folder, ".rayignore") or (lambda path: False)

    return lambda name: any(
        of(p)(root / name) for p in (root / name).parents if p.is_relative_to(root)
    )

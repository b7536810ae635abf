"""What goes along with a job: an archive that we make, so that Ray uploads exactly that.

folder --candidates--> what git tracks, or all files where there is no git
       --named-------> less what is never to leave (keys, credentials, runs), by name and by
       content; `include` forces a file
       --Package-----> an archive with the same bytes each time, and what was left out, counted and
       named

Left out too: links that leave the folder, links to folders, submodules, what is no plain file. What
lies compressed within a file that goes along is not looked into.
"""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raygan.errors import ConfigError
from raygan.service.cluster.secret_files import secret_content, secret_name

SHOWN = 5
"""Of what was left out, so many are named."""
MODE = 0o100644
DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive: the same files make the same archive, which is uploaded once."""
UNTRACKED = "git does not track it"
IGNORED = ".rayignore names it"
Candidates = tuple[list[str], list[tuple[str, str]]]
"""(names relative to the folder, [(name, why it is left out)])."""


@dataclass(frozen=True)
class Package:
    """What a job's folder weighs, and what of it stays here."""

    files: int
    bytes: int
    largest: str
    left_out: tuple[tuple[str, str], ...] = ()
    """(name, why)."""

    @property
    def text(self) -> str:
        """One line, and one more where something was left out."""
        size = f"{self.bytes / 2**20:.1f} MB in {self.files} files (at most {limit() >> 20} MB)"
        if not self.left_out:
            return f"package {size}"
        order = Counter(why for _, why in self.left_out)
        rare = sorted(
            self.left_out, key=lambda entry: order[entry[1]]
        )  # a key is not hidden behind a thousand others
        named = ", ".join(f"{ascii(name)[1:-1]} ({why})" for name, why in rare[:SHOWN])
        more = f" and {len(rare) - SHOWN} more" if len(rare) > SHOWN else ""
        return (
            f"package {size}\nleft out: {len(rare)}: {named}{more}. To send one nevertheless:"
            " --include PATH"
        )


def limit() -> int:
    """Bytes that a package may have."""
    from ray._private.runtime_env import packaging

    return int(packaging.GCS_STORAGE_MAX_SIZE)


def weigh(folder: Path, include: Sequence[str] = ()) -> Package:
    """What would go along. Raises ConfigError when there is no such folder."""
    return _walk(folder, include, None)


def pack(
    folder: Path, include: Sequence[str] = (), needed: Sequence[str] = ()
) -> tuple[Path, Package]:
    """(archive, what is in it), where nobody else can read or swap it until it is sent; the caller
    removes its folder.

    needed: arguments of the job. Raises ConfigError when one of them names a file that stays here,
    when there is no such folder, and for a package that is too large.
    """
    out = Path(tempfile.mkdtemp(prefix="raygan-package-")) / "package.zip"
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            package = _walk(folder, include, archive)
        missed(package, needed)
    except BaseException as error:
        shutil.rmtree(out.parent, ignore_errors=True)
        if isinstance(error, OSError):
            raise ConfigError(
                f"--working-dir {str(folder)!r}: cannot be packed ({error}). Mend that, or name"
                " another."
            ) from None
        raise
    return out, package


def missed(package: Package, arguments: Sequence[str]) -> None:
    """Raises ConfigError when an argument (also `--flag=FILE`, `kind:FILE`) names a file that stays
    here.
    """
    for argument in arguments:
        for text in (argument, argument.partition("=")[2], argument.rpartition(":")[2]):
            name = os.path.normpath(text) if text else ""
            why = next(
                (
                    w
                    for n, w in package.left_out
                    if n == name or (n.endswith("/") and f"{name}/".startswith(n))
                ),
                None,
            )
            if why is not None:
                raise ConfigError(
                    f"{argument}: {name!r} would not go along ({why}). To send it: --include {name}"
                )


def _walk(folder: Path, include: Sequence[str], archive: zipfile.ZipFile | None) -> Package:
    if not folder.is_dir():
        raise ConfigError(
            f"--working-dir {str(folder)!r} is not a folder. Name the one with your configs."
        )
    root = folder.resolve()
    forced = _forced(root, include)
    names, left = candidates(root)
    sizes = dict[str, int]()
    for name in sorted({*names, *forced}):
        why = unfit(root, name) or ("" if name in forced else _secret(root, name))
        if not why:
            sizes[name] = (root / name).stat().st_size
        else:
            left.append((name, why))
    _fits(folder, sizes)
    for name in list(sizes):
        raw = (root / name).read_bytes()  # once: what was judged is what is sent
        if name not in forced and (why := secret_content(raw)):
            left.append((name, why))
            del sizes[name]
        elif archive is not None:
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = (MODE | ((root / name).stat().st_mode & 0o111)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, raw)
    whole = {os.path.normpath(given) for given in include}
    left = [
        (name, why) for name, why in left if name not in sizes and name.rstrip("/") not in whole
    ]
    return Package(len(sizes), sum(sizes.values()), _largest(sizes), tuple(sorted(set(left))))


def _fits(folder: Path, sizes: dict[str, int]) -> None:
    if (total := sum(sizes.values())) >= limit():
        raise ConfigError(
            f"--working-dir {str(folder)!r}: {total / 2**20:.0f} MB, and a cluster takes at most"
            f" {limit() >> 20} MB. The largest file is {_largest(sizes)}: name it in .rayignore, or"
            " submit from a folder with your configs only."
        )


def _largest(sizes: dict[str, int]) -> str:
    name = max(sizes, key=lambda n: sizes[n], default="")
    return f"{name} ({sizes[name] / 2**20:.0f} MB)" if name else "none"


# ----------------------------------------------------------------------------------------------------
# what is a candidate


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
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
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


def _forced(root: Path, include: Sequence[str]) -> set[str]:
    out = set[str]()
    for given in include:
        path = root / given
        inside = Path(os.path.normpath(path)).is_relative_to(
            root
        ) and path.resolve().is_relative_to(root)
        if not inside or not path.exists():
            raise ConfigError(
                f"--include {given!r}: not in {str(root)!r}. Name a file below the working"
                " directory."
            )
        name = Path(os.path.normpath(path)).relative_to(root).as_posix()
        out |= set(_below(root, path)) if path.is_dir() else {name}
    return out


def _below(root: Path, folder: Path) -> Iterator[str]:
    for at, _, files in os.walk(folder):
        yield from (
            Path(os.path.normpath(Path(at) / name)).relative_to(root).as_posix() for name in files
        )


# ------------------------------------------------------------------------------------------------------
# what stays here


def unfit(root: Path, name: str) -> str:
    """Why nothing of that name can go along, or ""; an order to include it does not help."""
    path = root / name
    try:
        name.encode()
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
    except UnicodeError:
        return "its name is no text"
    except (OSError, RuntimeError):  # a loop of links
        return "a link to nothing" if path.is_symlink() else "gone"
    if not real.is_relative_to(root):
        return "a link that leaves the folder"
    if stat.S_ISDIR(mode):
        return "a link to a folder" if path.is_symlink() else "a submodule"
    return (
        ""
        if stat.S_ISREG(mode) and os.access(real, os.R_OK)
        else "not a plain file that can be read"
    )


def _secret(root: Path, name: str) -> str:
    """By its own name, and by that of what a link shows."""
    real = (root / name).resolve().relative_to(root).as_posix()
    in_run = any((p / "run.json").exists() for p in (root / name).parents if root in p.parents)
    return secret_name(name) or secret_name(real) or ("a run" if in_run else "")

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

import os
import shutil
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raygan.errors import ConfigError
from raygan.service.cluster.candidates import candidates
from raygan.service.cluster.secret_files import secret_content, secret_name

SHOWN = 5
"""Of what was left out, so many are named."""
MODE = 0o100644
DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive: the same files make the same archive, which is uploaded once."""


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
        # A key is not hidden behind a thousand others.
        rare = sorted(self.left_out, key=lambda entry: order[entry[1]])
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

    needed: arguments of the job, `setting=FILE` of its config. Raises ConfigError when one of them
    names a file that stays here, when there is no such folder, and for a package that is too large.
    """
    # mkdtemp: 0700, under a name that nobody else could have made a link of.
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
        # as it stands, behind a flag's =, and behind a kind's colon
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
    # By size first: a hundred gigabytes are refused before they are read for secrets.
    _fits(folder, sizes)
    for name in list(sizes):
        # Once: what was judged is what is sent.
        raw = (root / name).read_bytes()
        if name not in forced and (why := secret_content(raw)):
            left.append((name, why))
            del sizes[name]
        elif archive is not None:
            # Time and mode fixed, so that Ray, which names a package by its hash, uploads an
            # unchanged one once.
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

"""The source of users' own parts: read once, and named by its SHA-256.

    read_path("/home/me/nets.py") -> Source -> module raygan_own_3f2a9c1b7d04
                                               what is hashed is what is executed (importing.py)

A file stands alone. One that lies in a package (a folder with __init__.py) brings the whole
package, Python files only, and may import its neighbours by `from .layers import ...`. A module
that is imported by its name stays where it is installed; its text is only compared.
"""

from __future__ import annotations

import hashlib
import importlib.util
import site
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raygan.errors import ConfigError, error_line
from raygan.own.names import DIGITS, Name
from raygan.paths import include_hint

PREFIX = "raygan_own_"
MOST_BYTES = 2 << 20
"""Of all files of a part together."""


FOLDERS = {"data": "what it holds, folder:{path} (pictures), parquet:{path}, hf:{path}; or "}
FILES = {
    "data": ", or say its kind (csv:PATH, npz:PATH, zip:PATH, ..); unpack what is none of those"
}
"""Kind -> what else a path may be that names no part."""


@dataclass(frozen=True)
class Source:
    """One file, or all Python files of a package."""

    files: Mapping[str, str] = field(compare=False)
    """name -> text; a package's begin with its folder: parts/nets.py."""
    path: str = field(compare=False)
    """Where it was read: the file, the package's folder, or the script that it was taken from."""
    sha256: str = ""
    module: str = field(default="", compare=False)
    """Imported by this name instead, where it is installed."""
    taken: tuple[str, ...] = field(default=(), compare=False)
    """Taken out of a script or a notebook: these names and what they need."""

    @property
    def key(self) -> str:
        """The start of the hash by which a config names it."""
        return self.sha256[:DIGITS]

    @property
    def package(self) -> str:
        """The package's folder; "" of a single file."""
        return next(iter(self.files)).partition("/")[0] if "/" in next(iter(self.files)) else ""

    def record(self) -> dict[str, Any]:
        """What config.json says of it."""
        return (
            {"sha256": self.sha256, "path": self.path, "files": sorted(self.files)}
            | ({"module": self.module} if self.module else {})
            | ({"taken": list(self.taken)} if self.taken else {})
        )


def hashed(files: Mapping[str, str]) -> str:
    """A single file's is that of its bytes, as `sha256sum` tells it; a package's is that of its
    files' names and hashes.
    """
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    if list(sums) == [name := next(iter(sums))] and "/" not in name:
        return sums[name]
    return hashlib.sha256("".join(f"{sums[n]}  {n}\n" for n in sorted(sums)).encode()).hexdigest()


SOURCES: dict[str, Source] = {}
"""Everything that this process may import, by key: as sys.modules, one a process."""
OBJECTS: dict[str, Any] = {}
"""What has no source: key -> the object."""


# --------------------------------------------------------------------------------------------------
# reading


def read(kind: str, name: Name) -> Source:
    """What a name that is not settled yet means on this machine. Raises ConfigError."""
    return read_module(kind, name.where) if name.is_module else read_path(kind, Path(name.where))


def read_path(kind: str, path: Path) -> Source:
    """A file, with its whole package where it lies in one; or a package's folder. Raises
    ConfigError.
    """
    what = f"{kind}: {str(path)!r}"
    try:
        if not path.exists():
            raise ConfigError(
                f"{what} does not exist. Check the path (it is relative to where it is written)."
                f"{include_hint(path)}"
            )
        if path.is_dir() and not (path / "__init__.py").exists():
            held = FOLDERS.get(kind, "").format(path=path)
            raise ConfigError(f"{what} is a folder. Name {held}a file in it: {path}/FILE.py:NAME.")
        if not path.is_dir() and not path.is_file():
            raise ConfigError(f"{what} is no plain file. Name a Python file.")
        if path.suffix != ".py" and not path.is_dir():
            other = FILES.get(kind, "")
            raise ConfigError(f"{what} is no Python file. Name one that ends in .py{other}.")
        root = path if path.is_dir() else path.parent
        if not (root / "__init__.py").exists():
            files = {path.name: _text(path)}
            return Source(files, str(path.absolute()), hashed(files))
        # to its top: `from ..layers import` reaches as far
        while (root.parent / "__init__.py").exists():
            root = root.parent
        files = _package(what, root.absolute())
        return Source(files, str(root.absolute()), hashed(files))
    except OSError as error:
        raise ConfigError(f"{what} cannot be read ({error.strerror}). Check the path.") from None
    except (UnicodeDecodeError, SyntaxError):
        raise ConfigError(f"{what} is not UTF-8 text. Save it as UTF-8.") from None


def _text(path: Path) -> str:
    # before it is read: it travels to every actor, and into the run folder
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(
            f"{str(path)!r} has {path.stat().st_size >> 20} MB: more than source code. Name a .py"
            " file."
        )
    return path.read_bytes().decode()


def _package(what: str, root: Path) -> dict[str, str]:
    files, size = dict[str, str](), 0
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root.parent)
        if not path.is_file() or any(
            part.startswith((".", "__pycache__")) for part in relative.parts
        ):
            continue
        files[relative.as_posix()] = _text(path)
        size += len(files[relative.as_posix()])
        if size > MOST_BYTES:
            raise ConfigError(
                f"{what}: the package {str(root)!r} has more than {MOST_BYTES >> 20} MB of Python."
                " Put the part into a small one."
            )
    return files


def read_module(kind: str, module: str) -> Source:
    """A module that can be imported. Its parents are executed to find it, as Python does. Raises
    ConfigError.
    """
    spec = None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError as error:
        # of a parent
        if not f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{kind}: module {module!r}: {error_line(error)}. Install it."
            ) from None
    except (Exception, SystemExit) as error:
        # of a parent that does not import, whatever it does
        raise ConfigError(
            f"{kind}: module {module!r} cannot be imported ({error_line(error)}). Mend or install"
            " it."
        ) from None
    # a file's name without a folder looks like a module's: x.tar
    if spec is None and Path(module).exists():
        return read_path(kind, Path(module))
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        file = Path(*module.split(".")).with_suffix(".py")
        hint = (
            f"Give the file: ./{file}:NAME"
            if file.exists()
            else "Install it, or give a file: ./nets.py:NAME"
        )
        what = "no module named" if spec is None else "no Python source of module"
        what = f"no file and {what}" if kind == "data" else what
        raise ConfigError(f"{kind}: {what} {module!r}. {hint}.")
    path = Path(spec.origin)
    files = {path.name: _text(path)}
    return Source(files, str(path), hashed(files), module=module)


def is_installed(file: str) -> bool:
    """Does it lie where installed packages, or Python's own, lie?"""
    paths = sysconfig.get_paths()
    folders = [paths[k] for k in ("purelib", "platlib", "stdlib")] + [site.getusersitepackages()]
    return any(Path(file).is_relative_to(folder) for folder in folders)

"""Users' own parts as modules: imported from the text that was hashed, never from the file, which
may say something else by now.

    raygan_own_3f2a9c1b7d04 -> SOURCES -> that text, executed once a process
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import linecache
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from raygan.errors import ConfigError, error_line
from raygan.own.names import Name
from raygan.own.source import PREFIX, SOURCES, Source, read_module

LOADING: ContextVar[str] = ContextVar("LOADING", default="")
"""The file of the part that is being imported; "" most of the time."""
_LOCK = threading.Lock()
_ARGV = list[list[str]]()


@contextlib.contextmanager
def loading(file: str) -> Iterator[None]:
    """While a part is imported: no run can be started, and the command line is empty."""
    token = LOADING.set(file)
    # a worker's is Ray's, a later command's another one: what a part reads there is the same
    # everywhere, and so is seen to differ where it is made (alike.py)
    with _LOCK:
        _ARGV.append(sys.argv)
        sys.argv = [file]
    try:
        yield
    finally:
        LOADING.reset(token)
        # several threads may import: the last one puts back what the first one found
        with _LOCK:
            first = _ARGV[0]
            _ARGV.pop()
            if not _ARGV:
                sys.argv = first


def refuse_while_loading(call: str) -> None:
    """Raises ConfigError where a part that is being imported would start something: each worker
    imports it, and would start another.
    """
    if file := LOADING.get():
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_code.co_filename != file:
            frame = frame.f_back
        at = f"{file}:{frame.f_lineno}" if frame.f_code.co_filename == file else file
        raise ConfigError(
            f"{at}: {call} is called while this part is loaded, which each worker does. Put the"
            " call under `if __name__ == '__main__':`."
        )


def register(source: Source) -> Source:
    """From now on it can be imported here."""
    _Finder.install()
    return SOURCES.setdefault(source.key, source)


def import_part(kind: str, name: Name, source: Source) -> ModuleType:
    """The module of a settled name. Raises ConfigError: one line that names file, line and what to
    do.
    """
    if source.module:
        _check_installed(kind, source)
        module = source.module
    else:
        inner = name.where.removesuffix(".py").split("/")[1:] if source.package else []
        module = ".".join([PREFIX + source.key, *inner])
    try:
        with loading(filename(source, next(iter(source.files)))):
            return importlib.import_module(module)
    except SyntaxError as error:
        raise ConfigError(
            f"{kind}: {_file(source, error.filename)}:{error.lineno}: {error.msg}. Mend it."
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{kind}: {_at(source, error)}: {_not_found(source, str(error.name))}"
        ) from None
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        # of any kind: whatever a user's file does when it is imported, an end of the program too
        raise ConfigError(f"{kind}: {_at(source, error)}: {error_line(error)}. Mend it.") from None


def import_again(kind: str, name: Name, source: Source) -> ModuleType:
    """The same as another process would have it: what was imported here may have been used since.
    Raises ConfigError.
    """
    top = PREFIX + source.key
    used = {m: sys.modules.pop(m) for m in list(sys.modules) if m.partition(".")[0] == top}
    try:
        return import_part(kind, name, source)
    finally:
        sys.modules.update(used)


def _check_installed(kind: str, source: Source) -> None:
    """Is the module here, and the same?"""
    try:
        here = read_module(kind, source.module)
    except ConfigError:
        raise ConfigError(
            f"{kind}: module {source.module!r} is on the machine that started the run and not on"
            f" this one ({sys.platform}, Python {sys.version.split()[0]}). Install it there, or"
            " give its file: the source travels then."
        ) from None
    if here.sha256 != source.sha256:
        raise ConfigError(
            f"{kind}: module {source.module!r} has sha256 {here.key} in {here.path}, the run's has"
            f" {source.key}. Install the same version."
        )


def _not_found(source: Source, missing: str) -> str:
    top = missing.partition(".")[0]
    beside = Path(source.path).parent if not source.package else Path(source.path)
    if not source.module and (
        (beside / f"{top}.py").exists() or (beside / top).is_dir() or top == source.package
    ):
        how = f"`from .{top if top != source.package else 'layers'} import ...`"
        return (
            f"no module named {missing!r}: it lies beside the file, and a file travels alone. Make"
            f" the folder a package (__init__.py) and write {how}, or install it."
        )
    return f"no module named {missing!r}. Install it here and on every machine of the cluster."


def _file(source: Source, name: str | None) -> str:
    return name or next(iter(source.files))


def _at(source: Source, error: BaseException) -> str:
    """file:line of the last place in the user's own source."""
    at, trace = "", error.__traceback__
    files = {filename(source, name) for name in source.files}
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in files:
            at = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return at or source.module or source.path


def filename(source: Source, name: str) -> str:
    """What tracebacks say: the user's own file; where that is another machine's, it is shown from
    the text that travelled.
    """
    if source.taken:
        return f"<{', '.join(source.taken)} of {source.path}>"
    if not source.package:
        return source.path
    return str(Path(source.path).parent / name)


class _Finder:
    """Imports raygan_own_* from SOURCES; everything else is others' business."""

    def find_spec(
        self, module: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        # the usual import, of anything: nothing is looked up for it
        if not module.startswith(PREFIX):
            return None
        top, *inner = module.split(".")
        source = SOURCES.get(top.removeprefix(PREFIX))
        if source is None:
            return None
        stem = (
            "/".join([source.package, *inner])
            if source.package
            else next(iter(source.files)).removesuffix(".py")
        )
        for name in (f"{stem}.py", f"{stem}/__init__.py"):
            if name in source.files:
                is_package = name.endswith("/__init__.py")
                return importlib.machinery.ModuleSpec(
                    module,
                    _Loader(source, name),
                    origin=filename(source, name),
                    is_package=is_package,
                )
        return None

    @classmethod
    def install(cls) -> None:
        """Make imports find registered texts; once a process."""
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            # last: a name that somebody has installed is theirs
            sys.meta_path.append(cls())


class _Loader(importlib.abc.Loader):
    """Executes the one text that was hashed."""

    def __init__(self, source: Source, name: str) -> None:
        self.source = source
        self.name = name

    def exec_module(self, module: ModuleType) -> None:
        """What was hashed, not what the file says by now."""
        text, file = self.source.files[self.name], filename(self.source, self.name)
        # tracebacks show the text that ran: the file may have changed since, or be on another
        # machine
        linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
        module.__file__ = file
        # not with this module's `annotations` from __future__: it is the user's text
        code = compile(text.removeprefix("\ufeff"), file, "exec", dont_inherit=True)
        with loading(file):
            exec(code, module.__dict__)

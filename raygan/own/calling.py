"""Errors out of users' own code, as one line: which part, its file and line, what was raised."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator

from raygan.errors import ConfigError, RayganError
from raygan.own.importing import filename
from raygan.own.names import is_own, label
from raygan.own.source import SOURCES

PLACE = re.compile(r'File "([^"]+)", line (\d+)')


def place(error: BaseException) -> str:
    """file:line of the innermost frame in a user's own source, also where it came from an actor as
    text; "" where there is none.
    """
    files = {filename(source, name) for source in SOURCES.values() for name in source.files}
    text = "".join(traceback.format_exception(error))
    found = [f"{file}:{line}" for file, line in PLACE.findall(text) if file in files]
    return found[-1] if found else ""


def last_line(error: BaseException) -> str:
    """Its kind and its words, in a line."""
    error = getattr(error, "cause", None) or error
    last = str(error).strip().splitlines()[-1:] if len(str(error)) > 400 else [str(error)]
    return f"{type(error).__name__}: {' '.join(' '.join(last).split())[:200]}".rstrip(": ")


@contextlib.contextmanager
def calling(kind: str, name: str, what: str) -> Iterator[None]:
    """Calls a user's own part: whatever it raises is a ConfigError. Built-in ones raise what they
    raise.
    """
    try:
        yield
    except RayganError:
        raise
    except (Exception, SystemExit) as error:
        if not is_own(name):
            raise
        at = place(error)
        raise ConfigError(
            f"{kind} {label(name)}: {what} raises {last_line(error)}{at and f' ({at})'}. Mend it."
        ) from error

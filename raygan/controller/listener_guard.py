"""The guard around those who look on at a run: an error of one of them never ends it, and never
keeps it from the others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from raygan.controller.jsonl import NOTES
from raygan.controller.listener import Hears, Listener
from raygan.errors import Interrupted, StaleEpochError, error_line

WARNING = "W210 listener-raised"


class Guard:
    """Tells the first error of each, and lets none out but of those who decide."""

    def __init__(self, warn: Callable[[str, str], None]) -> None:
        """warn: a warning's name, and its text."""
        self.warn = warn
        self._told: set[int] = set()

    @contextlib.contextmanager
    def around(self, listener: Listener) -> Iterator[None]:
        """A call of one of its methods."""
        try:
            yield
        except (Interrupted, StaleEpochError):
            # what a run ends by, whoever happens to find it
            raise
        except (Exception, SystemExit) as error:
            # of any kind, an end of the program too: watching never stops training. Tune's way to
            # end a trial comes out of one that decides
            if listener.decides:
                raise
            if id(listener) not in self._told:
                self._told.add(id(listener))
                text = (
                    f"{name_of(listener)}: {error_line(error)}; the run goes on, it is still called"
                )
                self.warn(WARNING, text)


def tell_done(listeners: Iterable[Listener], path: Path, steps: int) -> None:
    """There is nothing to do: each hears it, whatever the ones before it do."""
    for listener in listeners:
        with _errors_logged(listener, "as the run was done already"):
            listener.done_already(path, steps)


def tell_trained(listeners: Iterable[Listener]) -> None:
    """Nothing is left to train: each hears it, whatever the ones before it do."""
    for listener in listeners:
        with _errors_logged(listener, "as training ended"):
            listener.trained()


def close_all(listeners: Iterable[Listener]) -> None:
    """The run has ended: each hears it, whatever the ones before it do. Raises only what is no
    error (Ctrl-C, an exit of one that decides), once all have heard.
    """
    with contextlib.ExitStack() as stack:
        # the last one in is the first one out
        for listener in reversed([*listeners]):
            stack.callback(_close, listener)


def _close(listener: Listener) -> None:
    with _errors_logged(listener, "as it closed"):
        listener.close()


@contextlib.contextmanager
def _errors_logged(listener: Listener, when: str) -> Iterator[None]:
    """An error of a call that comes when the run's log is closed."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if listener.decides and isinstance(error, SystemExit):
            raise
        NOTES.warning("%s: %s, %s: %s", WARNING, name_of(listener), when, error_line(error))


def name_of(listener: Listener) -> str:
    """Its class, or what it is made of."""
    heard = listener.heard if isinstance(listener, Hears) else listener
    return str(getattr(listener, "name", getattr(heard, "__name__", type(heard).__name__)))

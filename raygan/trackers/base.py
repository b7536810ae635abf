"""What a tracker is told of a run, and what a class of one's own needs to be one."""

from __future__ import annotations

import importlib.util
import inspect
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from raygan.config import Component
from raygan.errors import ConfigError
from raygan.own.settings import with_settings

NEEDED = ("begin", "scalars")


@dataclass(frozen=True)
class Tracked:
    """A run, as a tracker is told of it when it begins."""

    name: str
    id: str
    """Of the run, as run.json has it: no other run has it, and it stays when the run goes on."""
    folder: Path
    """The run's."""
    config: Mapping[str, Any]
    """Dotted path -> value: numbers, text, true, false, none and lists."""
    tags: Mapping[str, str]
    """strategy, data, loss, network, version; `sweep` of a trial, `forked` of a fork."""
    known: str | None
    """What `begin` gave when it was first told of this run: it is to go on there."""
    step: int
    """The first step that nothing was told of yet."""
    calls: int
    """Of `scalars` and `picture` until now."""
    room: Callable[[str], Path]
    """Makes a folder of this name in the run's, and refuses a link. Raises OSError."""


class TrackerComponent(Component):
    """Keeps what a run tells elsewhere too. Called in a thread of its own, one call at a time.

    Whatever a method raises is counted and told once (W211); the run goes on, and so do later
    calls.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """Modules that have to be installed."""
    extra: ClassVar[str] = ""
    """What brings them: pip install 'raygan[EXTRA]'."""

    lag_s: ClassVar[float] = 0.0
    """Seconds after `flush` until what was told outlives the process; until then it is not noted as
    told.
    """

    def made(self) -> Any:
        """What is called: itself."""
        return self

    def refuse_missing(self) -> None:
        """Raises ConfigError where a module that it needs is not installed."""
        for module in self.needs:
            if not installed(module):
                raise ConfigError(
                    f"track: {self.name} needs {module}, which is not installed. Run: pip install"
                    f" 'raygan[{self.extra}]', or leave it out (--track [])."
                )

    @abstractmethod
    def begin(self, run: Tracked) -> str:
        """Open its run, or go on with `run.known`; gives the name by which it knows it again.

        Called again, 30 s later or more, where it raised, or takes or keeps nothing any more.
        """

    @abstractmethod
    def scalars(self, step: int, player: str, values: Mapping[str, float]) -> None:
        """Numbers of a player at a step, NaN and infinity among them; a step comes once."""

    def picture(self, step: int, player: str, png: bytes) -> None:
        """Samples of a player at a step."""

    def artefact(self, path: Path) -> None:
        """A file of the run folder, at the end."""

    def flush(self) -> None:
        """What was told is kept once this returns. Raises where it is not: the tracker is made
        anew, later, begins with `run.known`, and is told that again.
        """

    def end(self, status: str) -> None:
        """The run has ended: done, degraded, stopped (it may go on later), or failed."""


class PlainTracker(TrackerComponent):
    """A user's own class with `begin` and `scalars`, and what else of a tracker it has."""

    made_of: ClassVar[Any]

    def made(self) -> Any:
        """An object of that class."""
        return self.made_of(**{name: getattr(self, name) for name in type(self).model_fields})

    def begin(self, run: Tracked) -> str:
        """Not called itself: `made` is asked."""
        raise NotImplementedError

    def scalars(self, step: int, player: str, values: Mapping[str, float]) -> None:
        """Not called itself."""
        raise NotImplementedError


def installed(module: str) -> bool:
    """Can it be imported? A folder `wandb/` that lies around is no module: it has no origin."""
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None


def plain_name(metric: str) -> str:
    """With letters, digits and _ - . / only, which all trackers take.

    >>> plain_name("score/modes@10%")
    'score/modes_at_10_percent'
    """
    return re.sub(r"[^\w\-./]", "_", metric.replace("@", "_at_").replace("%", "_percent"))


def lacks(thing: object) -> str:
    """Which of the methods that it needs are not there, in words."""
    return " and ".join(m for m in NEEDED if not callable(getattr(thing, m, None)))


def fits(thing: object) -> bool:
    """A class with what a tracker needs."""
    return inspect.isclass(thing) and not lacks(thing)


def adapt(thing: Any, name: str) -> type[PlainTracker]:
    """A component; the constructor's parameters are its settings."""
    made: type[PlainTracker] = with_settings(PlainTracker, name, thing, made_of=thing)
    return made

"""Every error that raygan raises on purpose, with the exit code that the command line gives it.

RayganError                  exit 1
├── ConfigError              exit 2   a setting, a name or a path is wrong: fix it and start again
│   └── DataError            exit 2   a data set is missing, damaged or of another shape
├── InfeasibleError          exit 3   the cluster can never hold this run
├── CheckpointError          exit 2   nothing usable to resume from, or it belongs to another run
├── NonFiniteError           exit 1   a player's losses stayed NaN or infinite
├── PlayerDied               exit 1   a player's process is gone
│   └── Leaving              exit 1   its machine gave notice: it goes elsewhere from what was saved
├── StaleEpochError          exit 6   another process has taken this run over
├── RequirementError         exit 5   `--require` was not met
├── OutOfSightError          exit 7   a job that was submitted cannot be seen any more; it may go on
└── Interrupted              exit 129 / 130 / 143   stopped by a signal, with a checkpoint saved

A message for people is one line: the thing, the value, the next move.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class RayganError(Exception):
    """Base of all errors with a message for people."""

    exit_code = 1


class ConfigError(RayganError):
    """A setting, a name or a path is wrong."""

    exit_code = 2


class DataError(ConfigError):
    """A data set is missing, damaged or of another shape."""


class InfeasibleError(RayganError):
    """The cluster can never hold this run."""

    exit_code = 3


class CheckpointError(RayganError):
    """Nothing usable to resume from, or it belongs to another run."""

    exit_code = 2


class NonFiniteError(RayganError):
    """A player's weights, or its losses for `max_bad_steps` steps, are NaN or infinite."""

    kind = "non_finite"

    def __init__(self, player: str, what: str) -> None:
        super().__init__(player, what)
        self.player = player
        self.what = what
        self.advice = ""

    def __str__(self) -> str:
        return f"{self.player}: {self.what}{self.advice}"


class PlayerDied(RayganError):
    """A player's process is gone, or as good as that. `kind`: death, oom, hang, node, preempted,
    head.
    """

    def __init__(
        self, player: str, cause: str, kind: str = "death", along: Sequence[str] = ()
    ) -> None:
        super().__init__(player, cause, kind)
        self.player = player
        self.cause = cause
        self.kind = kind
        self.along = tuple(along)
        """Players that lived in the same process, and are gone with it."""
        self.advice = ""
        self.stack = ""
        """Of one that hung: where each of its threads was, or why nobody can tell."""

    @property
    def home(self) -> tuple[str, ...]:
        """All players that are gone with the process."""
        return self.player, *self.along

    def __str__(self) -> str:
        who = self.player + (f" and {len(self.along)} beside it" if self.along else "")
        return f"{who} died ({self.cause}){self.advice and '.' + self.advice}"


class Leaving(PlayerDied):
    """Nobody died: a player's machine gave notice, everything is saved, and the player is to go
    elsewhere.
    """

    def __init__(self, player: str, cause: str, kind: str = "preempted") -> None:
        super().__init__(player, cause, kind)

    def __str__(self) -> str:
        return f"{self.player} leaves its machine ({self.cause}){self.advice and '.' + self.advice}"


class StaleEpochError(RayganError):
    """Another process has opened the run since; this one must not write any more."""

    exit_code = 6

    def __init__(self, mine: int, newest: int) -> None:
        super().__init__(mine, newest)
        self.mine = mine
        self.newest = newest

    def __str__(self) -> str:
        return (
            f"the run was taken over by another process (epoch {self.newest}, this one is"
            f" {self.mine}). This one ends; what it had committed is kept. See run.json for who"
            " writes it now."
        )


class RequirementError(RayganError):
    """The run ended, but below what `--require` asked for."""

    exit_code = 5


class OutOfSightError(RayganError):
    """A job that was submitted cannot be seen any more. gone: its cluster answers,
    and does not know it.
    """

    exit_code = 7

    def __init__(self, message: str, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class Interrupted(RayganError):
    """A signal stopped the run; `exit_code` is 128 + its number."""

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(signum, message)
        self.message = message
        self.exit_code = 128 + signum

    def __str__(self) -> str:
        return self.message


def error_line(error: BaseException) -> str:
    """Its kind and its words, in a line that is not too long for a log.

    >>> error_line(ValueError("no\\n  such thing")), error_line(KeyboardInterrupt())
    ('ValueError: no such thing', 'KeyboardInterrupt')
    """
    return f"{type(error).__name__}: {words_of(error)[:160]}".rstrip(": ")


def words_of(error: BaseException) -> str:
    """What an error says, in a line; a user's own may raise where it is asked.

    >>> words_of(ValueError("two", "things"))
    "('two', 'things')"
    """
    try:
        return " ".join(str(error).split())
    except Exception:
        return "(says nothing)"


SHOWN = 24
"""Names that an error lists at most."""


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """The half-sentence that helps after a misspelt name.

    >>> did_you_mean("swap_evry", ["swap_every", "carry"])
    "Did you mean 'swap_every'?"
    >>> did_you_mean("zzz", ["b", "a"])
    'Known: a, b.'
    >>> did_you_mean("global", ["global"])
    'There is nothing else.'
    """
    names = sorted({*known} - {value})  # what was typed is there, and was not meant: no help
    close = difflib.get_close_matches(value, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"Known: {', '.join(names[:SHOWN])}{more}." if names else "There is nothing else."

"""Who looks on while a run goes on: the console, the hub, a sweep's trial, users' own
(`own_listeners.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

# the command line and the hub's actor start without PyTorch (decision 34)
if TYPE_CHECKING:
    from raygan.controller.loop import Loop
    from raygan.controller.orders import Done, Executor
    from raygan.controller.run_log import RunLog
    from raygan.controller.state import RunState


class Running(Protocol):
    """What a listener sees of a run, to read; and what it may ask of it."""

    state: RunState
    log: RunLog
    loop: Loop | None
    """Of the attempt that is under way."""
    executor: Executor | None

    def stop(self, signum: int) -> None:
        """Finish the rounds under way, save, and end."""

    def asked(self, request: Mapping[str, Any]) -> None:
        """Pass on what somebody elsewhere wants."""


Heard = Callable[[Running, "Done"], None]


class Listener:
    """Hears of a run, in the driver: is called (run, done) after each order that was carried out.

    Each method does nothing unless it is overridden.
    """

    decides: ClassVar[bool] = False
    """Does an error of it end the run? It has a say in it then; all others only look on."""

    def begin(self, run: Running) -> None:
        """Called once, before the first step."""

    def read(self, lines: Sequence[str]) -> None:
        """What the reader of the data has to say of it."""

    def note(self, name: str, text: str) -> None:
        """A named warning of before the first step."""

    def tick(self, run: Running) -> None:
        """Each turn of the loop, at least twice a second."""

    def __call__(self, run: Running, done: Done) -> None:
        """An order was carried out."""

    def done_already(self, path: Path, steps: int) -> None:
        """The run that was to be resumed is at its end."""

    def trained(self) -> None:
        """It came to its last step: what is measured at the end comes next, then `close`."""

    def close(self) -> None:
        """The run has ended, well or not, and run.json says all of it."""


class Hears(Listener):
    """A function of (run, done), or an object that is called so and may have some of a Listener's
    other methods. An error of it ends the run; not of users' own (own_listeners.py).
    """

    decides = True

    def __init__(self, heard: Heard) -> None:
        self.heard = heard

    def begin(self, run: Running) -> None:
        """Pass on that the first step comes next."""
        self.tell("begin", run)

    def tick(self, run: Running) -> None:
        """Each turn of the loop."""
        self.tell("tick", run)

    def __call__(self, run: Running, done: Done) -> None:
        """An order was carried out."""
        self.tell("__call__", run, done)

    def trained(self) -> None:
        """It came to its last step."""
        self.tell("trained")

    def close(self) -> None:
        """The run has ended, and run.json says all of it."""
        self.tell("close")

    def tell(self, what: str, *facts: Any) -> None:
        """Call that method, if there is one."""
        if (hear := getattr(self.heard, what, None)) is not None:
            hear(*facts)


def as_listener(heard: Listener | Heard) -> Listener:
    """A Listener as it is, anything else as one."""
    return heard if isinstance(heard, Listener) else Hears(heard)

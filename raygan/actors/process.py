"""What every actor process of ours does first."""

from __future__ import annotations

import signal


class Process:
    """Base of all actors: SIGTERM ends the process there and then.

    Ray 2.60's own handler raises SystemExit wherever the process happens to be. Inside a `__del__` Python only prints it, and the
    user reads "Exception ignored in ActorHandle.__del__" at the end of a good run. Nothing of ours waits for an orderly exit: what
    counts is in the journal and the bundles.
    """

    def __init__(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

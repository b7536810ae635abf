"""What becomes of whoever looks at a job when the head, its dashboard or the network goes away: the
look is taken up again for a while, then the job is out of sight, which says nothing of the job.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from raygan.controller.jsonl import NOTES
from raygan.errors import OutOfSightError

T = TypeVar("T")
SIGHT_S = 120.0
"""So long a cluster may be away."""
PAUSE_S = 1.0
"""Between two tries."""


def dropped(error: Exception) -> bool:
    """Is it a connection that broke, or nobody who answers, rather than an answer?"""
    from aiohttp import ClientError

    # By its words: Ray raises a bare RuntimeError for these as for all else.
    return isinstance(error, OSError | ClientError) or bool(
        re.search(r"WebSocket (connection|error)|status code 5\d\d", str(error))
    )


class Patience:
    """Asks a cluster about one job, again where it does not answer."""

    def __init__(self, job: str, address: str) -> None:
        self.job, self.address = job, address
        self.since: float | None = None
        """When it was first missed; None: it has answered since."""

    def ask(self, what: Callable[[], T]) -> T:
        """What the cluster says. Raises OutOfSightError."""
        while True:
            try:
                answer = what()
            except Exception as error:
                self.missed(error)
            else:
                self.since = None
                return answer

    def missed(self, error: Exception) -> None:
        """Wait a little for a cluster that is away. Raises OutOfSightError where it stays away or
        has lost the job, and what is no such error.
        """
        look = f"`raygan runs --address {self.address}`"
        if "status code 404" in str(error):
            raise OutOfSightError(
                f"job {self.job}: the cluster does not know it any more: its head was begun anew."
                f" {look} lists what it knows; what was committed is kept: `raygan resume RUN`.",
                gone=True,
            ) from None
        if not dropped(error):
            raise error
        now = time.monotonic()
        if self.since is None:
            self.since = now
            NOTES.warning(
                "job %s: the connection was lost (%s); it is tried again for %.0f s",
                self.job, _said(error), SIGHT_S,
            )  # fmt: skip
        if now - self.since > SIGHT_S:
            raise OutOfSightError(
                f"job {self.job}: cannot see the job any more ({_said(error)}); it may go on:"
                f" {look} tells once the cluster answers, `raygan fetch {self.job}` brings its run."
            ) from None
        time.sleep(PAUSE_S)


def _said(error: Exception) -> str:
    if isinstance(error, OSError):  # its own words are those of a library's pool of connections
        return "nobody answers"
    return " ".join(str(error).split())[:160] or type(error).__name__


def answers(address: str) -> None:
    """Raises OSError where nobody listens at http://HOST:PORT: a head without power is mute."""
    at = urlsplit(address)
    port = at.port or (443 if at.scheme == "https" else 80)
    socket.create_connection((at.hostname or "", port), 10.0).close()

"""What every actor process of ours does first."""

from __future__ import annotations

import ctypes
import signal

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


class Process:
    """Base of all actors: SIGTERM ends the process there and then.

    Ray 2.60's own handler raises SystemExit wherever the process happens to be. Inside a `__del__` Python only prints it, and the
    user reads "Exception ignored in ActorHandle.__del__" at the end of a good run. Nothing of ours waits for an orderly exit: what
    counts is in the journal and the bundles.
    """

    def __init__(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def keep_freed_memory() -> None:
    """For processes that train: tensors of 128 KiB to 32 MiB are taken from memory that was freed before.

    Ray calls an actor's methods in a thread that is not the main one. There glibc gives what is freed back to the kernel, and each
    step asks for it again: 6,000 to 19,000 page faults a second for a small DCGAN, a sixth of its time (benchmarks/RESULTS.md,
    "PMGAN, asynchronous"). Other C libraries have no mallopt and keep their own ways.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_MMAP_THRESHOLD, 2**25)

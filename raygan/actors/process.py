"""What every actor process of ours does first, and how it asks others."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorAlreadyExistsError, GetTimeoutError

from raygan.actors.hang_stacks import listen
from raygan.errors import PlayerDied

TIMEOUT_S = 120.0
"""For whoever is asked something by another actor; a lease that is shorter finds it earlier."""
NOTICE_S = 25.0
"""Between SIGTERM and the end of a process that hosts players; Kubernetes kills after 30 s, Ray's
raylet after 5.
"""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Without tcache: what glibc keeps there it does not overwrite.
SCRUBBED = {
    "env_vars": {"GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"}
}  # fmt: skip
"""`runtime_env` of a process that reads a pair's own SOURCE: freed memory is overwritten there.

Ray 2.60 pads a small result to a multiple of 64 bytes with memory as it comes, and sends that:
samples that had been freed left their process so (decision 87).
"""


class Process:
    """Base of all actors: SIGTERM ends the process there and then, SIGUSR2 makes it tell where it
    is.

    Ray 2.60's own handler raises SystemExit wherever the process happens to be. Inside a `__del__`
    Python only prints it, and the user reads "Exception ignored in ActorHandle.__del__" at the end
    of a good run. Nothing of ours waits for an orderly exit: what counts is in the journal and the
    bundles.
    """

    def __init__(self) -> None:
        # before anything else: Ray has put its own handler there (decision 37)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        listen()


class Helper(Process):
    """A run's actor that is no player: the board, the matchmaker, the evaluator, a deputy."""

    @ray.method(concurrency_group="ctl")
    def where(self, name: str) -> dict[str, Any]:
        """Node and process; answered while it works, so that one that hangs is found (see
        liveness.py).
        """
        return {"pid": os.getpid(), "node": ray.get_runtime_context().get_node_id(), "beats": 0}


def actor_class(cls: type[Process], **threads: int) -> Any:
    """The Ray class, with a thread that answers, and others by group."""
    # Ray's types have no overload for groups without other options
    wrap: Any = ray.remote(concurrency_groups={"ctl": 1, **threads})  # type: ignore[call-overload]
    return wrap(cls)


@dataclass(frozen=True)
class Named:
    """The Ray class of an actor of a run; `remote` makes it, under a name that is free."""

    cls: Any
    run: str
    name: str
    options: Mapping[str, Any]

    def remote(self, *args: Any) -> Any:
        """Start the actor under a free name; its handle."""
        while True:
            name = free_name(self.run, self.name)
            try:
                return self.cls.options(name=name, **self.options).remote(*args)
            except ActorAlreadyExistsError:
                # Another run of that name has made one between our look and this: the next number.
                continue


def put(
    cls: Any, run: str, name: str, where: Any, cpus: float, gpus: float = 0.0, restarts: int = 0,
    scrubs: bool = False
) -> Named:  # fmt: skip
    """The Ray class of an actor of this run, with its name and its place; scrubs: it will read a
    pair's own SOURCE.
    """
    # no restarts and no retries: Ray would bring back a process without its players, and call
    # again what has half happened; who is made again, and from what, is the controller's decision
    options = {
        "num_cpus": cpus, "num_gpus": gpus, "max_restarts": restarts, "max_task_retries": 0,
        "scheduling_strategy": where, **({"runtime_env": SCRUBBED} if scrubs else {}),
    }  # fmt: skip
    return Named(cls, run, name, options)


def free_name(run: str, name: str) -> str:
    """The readable name; numbered where an actor of an earlier attempt, hung or cut off, or of
    another run of that name, holds it.
    """
    stem = whole = f"raygan/{run}/{name}"
    number = 1
    while name_taken(whole):
        number += 1
        whole = f"{stem}@{number}"
    return whole


def name_taken(name: str) -> bool:
    """Is there an actor of this name?"""
    try:
        ray.get_actor(name)
    except ValueError:
        return False
    return True


def heed_sigterm() -> threading.Event:
    """For who hosts players: SIGTERM is a notice. The event is set at once, and the process ends
    NOTICE_S later, if not before.

    Python's C handler writes into a pipe: a handler in Python would have to wait until the main
    thread runs Python again.
    """
    heard = threading.Event()
    reader, writer = os.pipe()
    # a handler that blocked on a full pipe would stop the process at the signal
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def attend() -> None:
        while os.read(reader, 1) != bytes([signal.SIGTERM]):
            pass
        heard.set()
        time.sleep(NOTICE_S)
        # not sys.exit, which would end this thread only
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=attend, daemon=True, name="sigterm").start()
    return heard


def keep_freed_memory() -> None:
    """For processes that train: tensors of 128 KiB to 32 MiB are taken from memory that was freed
    before.

    Ray calls an actor's methods in a thread that is not the main one. There glibc gives what is
    freed back to the kernel, and each step asks for it again: 6,000 to 19,000 page faults a second
    for a small DCGAN, a sixth of its time (benchmarks/LOG.md, "PMGAN, asynchronous"). Other C
    libraries have no mallopt and keep their own ways.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_MMAP_THRESHOLD, 2**25)


def by_actor(names: Iterable[str], actor_of: Callable[[str], Any]) -> dict[Any, list[str]]:
    """Those who live together, by their actor."""
    homes: dict[Any, list[str]] = {}
    for name in names:
        homes.setdefault(actor_of(name), []).append(name)
    return homes


def answers(references: Mapping[str, Any], timeout_s: float | None = None) -> dict[str, Any]:
    """What each of those that were asked says, by name (or shelf). Raises PlayerDied for one that
    does not answer within `timeout_s` (TIMEOUT_S).
    """
    patience = TIMEOUT_S if timeout_s is None else timeout_s
    try:
        return dict(
            zip(references, ray.get(list(references.values()), timeout=patience), strict=True)
        )
    except GetTimeoutError:
        # the one that is late, not the first that was asked: it is the one to be replaced
        late = [n for n, reference in references.items() if not ray.wait([reference], timeout=0)[0]]
        name = next(iter([*late, *references])).partition("/")[0]
        raise PlayerDied(name, f"no answer within {patience:g} s", "hang") from None


def answer(name: str, reference: Any, timeout_s: float | None = None) -> Any:
    """As `answers`, for a single call."""
    return answers({name: reference}, timeout_s)[name]

"""Drive a run that has a folder and a journal to its end.

    listeners, executor -> Controller.run -> how it ended, in run.json -> measure (measuring.py)
                                                                       -> listeners close

`train` and `resume_run` come here with all that is refused refused already; from here on every way
out, an error or a signal too, leaves a folder that says how the run ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

from raygan.config import Config
from raygan.controller.bucket_copies import (
    typed,
)
from raygan.controller.checkpoint import Checkpoint
from raygan.controller.controller import Controller
from raygan.controller.evaluator import with_parts_of
from raygan.controller.files import say
from raygan.controller.inline import InlineExecutor
from raygan.controller.journal import Journal
from raygan.controller.jsonl import NOTES
from raygan.controller.listener import Heard, Listener, as_listener
from raygan.controller.listener_guard import close_all, tell_trained
from raygan.controller.mirror import mirror_of
from raygan.controller.orders import Executor
from raygan.controller.own_listeners import listeners_of
from raygan.controller.run_folder import RunFolder
from raygan.data.base import Samples
from raygan.data.odd import oddities
from raygan.data.partition import part_oddities
from raygan.errors import (
    Interrupted,
    RayganError,
    StaleEpochError,
)
from raygan.gan.device import CPU
from raygan.own.calling import last_line, place
from raygan.service.autopack import not_batched
from raygan.service.measuring import measure
from raygan.service.places import inline_device
from raygan.service.runs.alive import who
from raygan.service.runs.run import Run
from raygan.service.runs.summary import Keeper
from raygan.service.signals import ending, listening
from raygan.service.tracking.listener import Tracking
from raygan.service.views.sheet import sheet
from raygan.service.views.tables import fate
from raygan.strategies.base import Setup, with_data

EMPTY: Mapping[str, str] = MappingProxyType({})


def drive(
    config: Config, folder: RunFolder, journal: Journal, data: Samples, inline: bool,
    checkpoint: Checkpoint | None, heard: Sequence[Listener | Heard], problems: Sequence[str] = (),
    notes: Mapping[str, str] = EMPTY,
) -> Run:  # fmt: skip
    """Train to the end, from `checkpoint` or from step 0; the finished run. Raises a RayganError,
    with run.json telling how it ended.

    problems: of checkpoints that were passed over; notes: warning -> its text, told at the start.
    """
    # On Ray the driver itself computes nothing on a GPU: players have them all.
    setup = Setup(config, data, inline_device(config) if inline else CPU)
    listeners, controller = _begun(config, folder, journal, setup, inline, heard)
    with listening(ending()), contextlib.ExitStack() as last:
        last.callback(_close, folder, listeners)
        _start(folder, setup, journal)
        end: dict[str, Any] = {}
        try:
            with _signals(controller):
                _open(controller, listeners, setup, problems, notes)
                controller.run(checkpoint)
            end = _outcome(controller)
        except BaseException as error:
            end, told = _failure(error, folder.path)
            if told is None:
                raise
            raise told from told.__cause__
        finally:
            # The folder says how it ended before listeners close: one that hangs or raises there, a
            # tracker without a network say, leaves no run that is "running" for ever.
            controller.log.end(str(end.get("status", "failed")))
            _say(
                folder, **end, steps=controller.state.done, **controller.state.told(),
                measured=False,
            )  # fmt: skip
        # Before they close, too: what is measured is among the last words that they pass on.
        tell_trained(listeners)
        # who has left has taken its part along
        members = with_data(controller.state.config)
        known = measure(folder, with_parts_of(setup, members), end, inline)
    return Run(folder.path.resolve(), known)


def _start(folder: RunFolder, setup: Setup, journal: Journal) -> None:
    """The folder says who drives the run, and shows what it is given."""
    if not (folder.path / "data.png").exists() and (drawn := sheet(setup.data)) is not None:
        folder.telemetry.keep({"data.png": drawn})
    folder.status(
        status="starting", **who(), epoch=journal.epoch, exit_code=None, error=None,
        total_steps=setup.config.steps, rejected=None,
        started=time.time(),  # noqa: TID251  shown only
    )  # fmt: skip


def _begun(
    config: Config, folder: RunFolder, journal: Journal, setup: Setup, inline: bool,
    heard: Sequence[Listener | Heard]
) -> tuple[list[Listener], Controller]:  # fmt: skip
    """Who hears, and who decides. Of a run that fails here the folder says so, too."""
    listeners = list[Listener]()
    try:
        for listener in _listeners(config, folder, journal, setup.data, inline, heard):
            listeners.append(listener)
        make = _executors(setup, folder.path.name, inline)
        return listeners, Controller(config, folder, make, listeners, setup.num_samples, journal)
    except BaseException as error:
        end, told = _failure(error, folder.path)
        try:
            _say(folder, **end)
        finally:
            _close(folder, listeners)
        if told is None:
            raise
        raise told from told.__cause__


def _say(folder: RunFolder, **how: Any) -> None:
    """The folder says how it ended."""
    try:
        # a run that somebody else has taken over is theirs to tell of
        with contextlib.suppress(StaleEpochError):
            folder.status(**how, ended=time.time())  # noqa: TID251  shown only
    finally:
        # with the room that is kept free for it: on a full disk it would not be said until later
        folder.close()


def _close(folder: RunFolder, listeners: Sequence[Listener]) -> None:
    """Everybody hears the end: each, whatever becomes of another."""
    try:
        close_all(listeners)
    finally:
        tell_unwritten(folder)


def _executors(setup: Setup, name: str, inline: bool) -> Callable[[], Executor]:
    """What makes the run an executor, at each attempt another one."""
    if inline:
        return lambda: InlineExecutor(setup)
    # Here, not at the top: an inline run never imports Ray.
    from raygan.actors.executor import RayExecutor

    return lambda: RayExecutor(name, setup)


def _listeners(
    config: Config, folder: RunFolder, journal: Journal, data: Samples, inline: bool,
    heard: Sequence[Listener | Heard]
) -> Iterator[Listener]:  # fmt: skip
    """Who hears of each order: the caller's, the config's, and what writes, tracks and passes on;
    one by one, so that those that were made can be closed where one cannot be.
    """
    yield from map(as_listener, heard)
    yield from listeners_of(config)
    yield Keeper(folder.path)
    if config.track:
        yield Tracking(config, folder.path, data)
    if not inline and config.resources.hub:
        from raygan.actors.hub_link import HubLink

        yield HubLink(folder.path.name, folder.path)
    # Last: when it closes it sends what is left, and the others write their last lines then.
    for mirror in mirror_of(folder, journal):
        folder.mirror = mirror.push
        yield mirror


def _open(
    controller: Controller, listeners: Sequence[Listener], setup: Setup, problems: Sequence[str],
    notes: Mapping[str, str]
) -> None:  # fmt: skip
    """What is told before the first step: the data, and every warning that is known by then."""
    data: Samples = setup.data
    for listener in listeners:
        with controller.guard.around(listener):
            listener.begin(controller)
            listener.read([*(data.record.lines() if data.record else []), *part_lines(data)])
    controller.log.warn_checkpoints(problems)
    for name, text in notes.items():
        if text:
            controller.log.warn(name, text)
            for listener in listeners:
                with controller.guard.around(listener):
                    listener.note(name, text)
    for odd in [*oddities(data), *part_oddities(data.parts)]:
        controller.log.warn("W108 odd-data", odd)
        NOTES.warning("W108 odd-data: %s", odd)
    if slow := not_batched(setup):
        controller.log.warn(
            "W107 not-batched",
            f"{slow[0]} pairs in one actor train one after the other: {slow[1]}",
        )


def _outcome(controller: Controller) -> dict[str, Any]:
    """Of a run that came to its end: run.json's words for it."""
    state = controller.state
    degraded = {p: why for p, why in state.failures.degraded.items() if p not in state.players}
    if degraded:
        return {"status": "degraded", "exit_code": 4, "degraded": degraded}
    return {"status": "done", "exit_code": 0}


def _failure(error: BaseException, path: Path) -> tuple[dict[str, Any], RayganError | None]:
    """Of a run that was ended by this error: run.json's words for it, and what is raised in its
    place; None: itself.
    """
    if isinstance(error, RayganError):
        status = "stopped" if isinstance(error, Interrupted) else "failed"
        return {"status": status, "exit_code": error.exit_code, "error": str(error)}, None
    # A connection that broke and a time that ran out are OSErrors too, but no room on a disk
    # mends them: they are told as what they are, below.
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
        # Not of telemetry, which never raises (decision 54): nothing more can be committed.
        text = (
            f"stopped ({say(error)}). What was committed is kept. Make room there; then: raygan"
            f" resume {typed(path)}"
        )
        return {"status": "stopped", "exit_code": 1, "error": text}, RayganError(text)
    end = {"status": "failed", "exit_code": 1, "error": f"{type(error).__name__}: {error}"}
    # a user's own code may end the program; Tune's way to end a trial is none of it
    if not isinstance(error, Exception | SystemExit) or not (at := place(error)):
        return end, None
    told = RayganError(
        f"{at}: {last_line(error)}. It is in your own code; what was committed is kept."
    )
    told.__cause__ = error
    return end, told


def part_lines(data: Samples) -> list[str]:
    """What each pair trains on, where that is not the same."""
    return [
        f"data {line}"
        for pair, part in data.parts.items()
        for line in (part.line(pair), *part.reading(pair))
    ]


def data_facts(data: Samples) -> dict[str, Any]:
    """What run.json keeps of a reader's work: the record, and the way back to the data's units."""
    out: dict[str, Any] = {"reading": data.record.plain()} if data.record else {}
    return {**out, "scaling": data.scaling.plain()} if data.scaling else out


def _signals(controller: Controller) -> contextlib.AbstractContextManager[None]:
    """SIGINT, SIGTERM and SIGHUP save and stop; a second one ends the process at once, but for
    SIGHUP: a terminal that is closed sends two, one by its shell and one by the kernel.
    """

    def handler(signum: int, frame: FrameType | None) -> None:
        if controller.state.stop_signal is not None:
            if signum == signal.SIGHUP:
                return
            os._exit(128 + signum)
        controller.stop(signum)

    return listening(handler)


def tell_unwritten(folder: RunFolder) -> None:
    """At the end: what is missing on disk."""
    if lost := folder.unwritten():
        what = ", ".join(f"{name} {count}" for name, count in lost.items())
        NOTES.warning(
            "not written in %s: %s (lines, or files); %s", folder.path, what, fate("W203")
        )

"""`raygan.start(...)`: a run in a thread of this process, to be looked at, scaled and stopped.

run = raygan.start("ring8-sgan", name="mine")
for event in run:               # rows of metrics.jsonl and events.jsonl, as they come
    ...
run.stop()
done = run.wait()               # a raygan.Run
"""

from __future__ import annotations

import asyncio
import signal
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.controller.jsonl import Lines, told_by_a_run
from raygan.controller.listener import Listener, Running
from raygan.errors import ConfigError, Interrupted
from raygan.service.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

PAUSE_S = 0.2
"""Between two looks at the run's files."""


class Requests(Listener):
    """What the user asks for, passed on between two orders in the thread of the run:
    nobody else may touch its state.
    """

    def __init__(self) -> None:
        self.path: Path | None = None
        self.begun = threading.Event()
        """There is a folder, or there never will be."""
        self.asked: list[dict[str, Any]] = []
        self.stopping = False

    def begin(self, run: Running) -> None:
        """The run's folder is there: whoever waits may look."""
        self.path = run.log.folder.path
        self.begun.set()

    def tick(self, run: Running) -> None:
        """Every turn of the loop."""
        # In the order in which they were asked.
        while self.asked:
            run.asked(self.asked.pop(0))
        if self.stopping:
            run.stop(signal.SIGTERM)


class Started:
    """A run that goes on meanwhile; several of them share the process and its Ray."""

    def __init__(self, train: Callable[[Listener], Run]) -> None:
        """train: does it, with a listener of ours."""
        self._requests = Requests()
        self._run: Run | None = None
        self._error: BaseException | None = None
        self._over = threading.Event()

        def go() -> None:
            try:
                self._run = train(self._requests)
                self._requests.path = self._run.path
            except BaseException as error:  # whoever waits gets it
                self._error = error
            finally:
                self._over.set()
                self._requests.begun.set()

        # A daemon: a notebook that is closed ends the run as a killed driver does, and the run can
        # be resumed. A thread that is waited for would hold the process until the last step.
        threading.Thread(target=go, name="raygan", daemon=True).start()

    @property
    def running(self) -> bool:
        """Is the run still going on?"""
        return not self._over.is_set()

    @property
    def path(self) -> Path:
        """Its folder; waits until there is one. Raises what ended the run before."""
        self._requests.begun.wait()
        if self._requests.path is None:
            assert self._error is not None, "a run that ended well has a folder"
            raise self._error
        return self._requests.path

    @property
    def run(self) -> Run:
        """What is on disk by now."""
        return self._run or Run(self.path)

    @property
    def metrics(self) -> pd.DataFrame:
        """By now; `run.training` and `run.scored` have the two kinds apart."""
        return self.run.metrics

    def wait(self, timeout_s: float | None = None) -> Run:
        """The finished run; after `stop` the stopped one. Raises what ended it, or TimeoutError."""
        if not self._over.wait(timeout_s):
            raise TimeoutError(f"the run goes on after {timeout_s:g} s")
        if self._run is not None:
            return self._run
        assert self._error is not None, "a thread ends with a run or an error"
        if self._requests.stopping and isinstance(self._error, Interrupted):
            return self.run
        raise self._error

    def stop(self) -> Started:
        """Let it save a checkpoint and end; `wait` tells when."""
        self._requests.stopping = True
        return self

    def scale(self, pairs: int) -> Started:
        """Let members join or leave; the run's events tell when, or why not. Raises ConfigError."""
        if isinstance(pairs, bool) or not isinstance(pairs, int) or pairs < 1:
            raise ConfigError(f"scale: {pairs!r} pairs: needs a whole number of at least 1.")
        if not self.running:
            raise ConfigError("scale: the run has ended. raygan.train(..., resume=RUN) goes on.")
        self._requests.asked.append(
            {"verb": "scale", "id": f"start-{uuid.uuid4().hex[:12]}", "pairs": pairs}
        )
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows of metrics.jsonl (kind "train", "score") and events.jsonl as they come."""
        files = [
            Lines(self.path / name, told_by_a_run) for name in ("events.jsonl", "metrics.jsonl")
        ]
        while True:
            over = self._over.wait(PAUSE_S)
            for file in files:
                yield from file.fresh()
            if over:
                return

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """The same, for `async for`."""
        rows = iter(self)
        while (row := await asyncio.to_thread(next, rows, None)) is not None:
            yield row

    def __repr__(self) -> str:
        state = "running" if self.running else "ended"
        return f"<raygan run {self._requests.path or '(starting)'}: {state}>"

    def _repr_html_(self) -> str:
        return self.run._repr_html_() if self._requests.path is not None else repr(self)[1:-1]

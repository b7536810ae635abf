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
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.controller.lines import Lines, told_by_a_run
from raygan.controller.listener import Listener, Running
from raygan.errors import ConfigError, Interrupted
from raygan.service.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

PAUSE_S = 0.2
"""Between two looks at the run's files."""


class Started(Listener):
    """A run that goes on meanwhile; several of them share the process and its Ray."""

    def __init__(self, train: Callable[[Listener], Run]) -> None:
        """train: does it, with this as a listener."""
        self._train = train
        self._path: Path | None = None
        self._run: Run | None = None
        self._error: BaseException | None = None
        self._asked: list[dict[str, Any]] = []
        self._stopping = False
        self._begun, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._go, name="raygan", daemon=True)
        self._thread.start()

    def _go(self) -> None:
        try:
            self._run = self._train(self)
            self._path = self._run.path
        except BaseException as error:  # whoever waits gets it
            self._error = error
        finally:
            self._over.set()
            self._begun.set()

    # ------------------------------------------------------------------------------ as a listener

    def begin(self, run: Running) -> None:
        """Its folder is there."""
        self._path = run.log.folder.path
        self._begun.set()

    def tick(self, run: Running) -> None:
        """Pass on what was asked for meanwhile, in the thread of the run."""
        while self._asked:
            run.asked(self._asked.pop(0))
        if self._stopping:
            run.stop(signal.SIGTERM)

    # -------------------------------------------------------------------------------- for the user

    @property
    def running(self) -> bool:
        """Does it go on?"""
        return not self._over.is_set()

    @property
    def path(self) -> Path:
        """Its folder; waits until there is one. Raises what ended the run before."""
        self._begun.wait()
        if self._path is None:
            assert self._error is not None, "a run that ended well has a folder"
            raise self._error
        return self._path

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
        if self._stopping and isinstance(self._error, Interrupted):
            return self.run
        raise self._error

    def stop(self) -> Started:
        """Let it save a checkpoint and end; `wait` tells when."""
        self._stopping = True
        return self

    def scale(self, pairs: int) -> Started:
        """Let members join or leave; the run's events tell when, or why not. Raises ConfigError."""
        if isinstance(pairs, bool) or not isinstance(pairs, int) or pairs < 1:
            raise ConfigError(f"scale: {pairs!r} pairs: needs a whole number of at least 1.")
        if not self.running:
            raise ConfigError("scale: the run has ended. raygan.train(..., resume=RUN) goes on.")
        self._asked.append({"verb": "scale", "id": f"start-{id(self):x}-{pairs}", "pairs": pairs})
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows of metrics.jsonl (kind "train", "score") and events.jsonl as they come, to the end."""
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
        return f"<raygan run {self._path or '(starting)'}: {state}>"

    def _repr_html_(self) -> str:
        return self.run._repr_html_() if self._path is not None else repr(self)[1:-1]

"""What a user sees while a run goes on: a live table on a terminal, plain lines elsewhere, JSON
lines, or nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.cli.ending import ending, in_run, shown
from raygan.cli.telling import cells, describe, progress_line
from raygan.controller.bucket_copies import address_of
from raygan.controller.listener import Listener
from raygan.controller.orders import Done, Evaluate
from raygan.service.runs.code import load_config
from raygan.service.runs.run import Run
from raygan.service.runs.schedules import to_go_on
from raygan.service.views.follow import Feed
from raygan.service.views.outcome import exit_code
from raygan.service.views.state import state, state_text
from raygan.visible import as_json, visible
from raygan.visible import say as print
from raygan.watching import tell

if TYPE_CHECKING:
    from raygan.controller.listener import Running

EVERY_S = 10.0


class Quiet(Listener):
    """Says nothing until the end, and then only what went wrong."""

    def finish(self, run: Run, report: Path | None) -> None:
        """Say nothing of a run that ended well."""


class Json(Quiet):
    """One JSON object a line: progress at every score, the scores of all at the end."""

    def __call__(self, run: Running, done: Done) -> None:
        """Print each row of scores as one JSON line."""
        if isinstance(done.order, Evaluate):
            for row in done.result.rows:
                print(as_json({"elapsed": run.state.elapsed, **row}), flush=True)

    def done_already(self, path: Path, steps: int) -> None:
        """One JSON line that says that no step is left."""
        where = address_of(path) or str(path)
        print(as_json({"kind": "done already", "run": where, "steps": steps}), flush=True)

    def finish(self, run: Run, report: Path | None) -> None:
        """One JSON line with the run's end and where its report lies."""
        print(
            as_json(
                {
                    "kind": "end",
                    "run": address_of(run.path) or str(run.path),
                    "report": report and (in_run(run, report) or str(report)),
                    "scores": run.scores(),
                }
            ),
            flush=True,
        )


class Plain(Quiet):
    """One line every ten seconds, and every warning once; no escape codes."""

    def __init__(self) -> None:
        self._next = 0.0
        self._begun = False
        self._told: set[str] = set()
        self._before: dict[str, int] = {}
        """Warnings of the run's earlier lives."""

    def note(self, name: str, text: str) -> None:
        """A warning that is told before anything starts, with its text."""
        self._told.add(name)
        print(f"warning {name}: {text}", flush=True)

    def read(self, lines: Sequence[str]) -> None:
        """What was made of the data."""
        for line in lines:
            print(line, flush=True)

    def begin(self, run: Running) -> None:
        """Say what starts, and where."""
        self._before = dict(run.state.totals.warnings)
        print(describe(run), flush=True)
        tell("waiting for the players' first step")

    def done_already(self, path: Path, steps: int) -> None:
        """Say that no step is left, and how to go on."""
        print(
            f"run {shown(path)} is done: {steps} of {steps} steps. To go on:"
            f" {to_go_on(load_config(path), path)}",
            flush=True,
        )

    def __call__(self, run: Running, done: Done) -> None:
        """Now and then, a line."""
        if not self._begun:
            self._begun = True
            tell("")
        counts = run.state.totals.warnings
        for name in sorted(
            n for n in counts if counts[n] > self._before.get(n, 0) and n not in self._told
        ):
            self._told.add(name)
            print(f"warning {name} (see events.jsonl; shown once, counted)", flush=True)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            print(progress_line(run), flush=True)

    def finish(self, run: Run, report: Path | None) -> None:
        """The result table, the report, the next command."""
        print(ending(run, report), flush=True)


class Live(Plain):
    """The table of interface.md, redrawn in place."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console()
        self._live: RichLive | None = None

    def begin(self, run: Running) -> None:
        """Describe the run and draw its empty table."""
        from rich.live import Live as RichLive

        self._console.print(describe(run), markup=False, highlight=False)
        tell("")
        # Its clock runs while Ray starts the players: an empty table that stands still looks like
        # a hang.
        first = Waiting(self._table(run))
        self._live = RichLive(first, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def __call__(self, run: Running, done: Done) -> None:
        """Draw the table again, if the last time was long enough ago."""
        # Four times a second: rich redraws the whole table, and orders of small nets come by the
        # hundred.
        if self._live is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.25
            self._live.update(self._table(run))

    def trained(self) -> None:
        """The table stands still from here on, and what is measured shows itself."""
        self.close()

    def close(self) -> None:
        """Leave the table as it is, and give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self, run: Running) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for column in (
            "pair",
            "opponent",
            "progress",
            "step",
            "it/s",
            "loss D",
            "loss G",
            "score",
            "lag",
            "state",
        ):
            table.add_column(
                column,
                justify="left" if column in ("pair", "opponent", "progress", "state") else "right",
            )
        for player in run.state.players:
            # as Text: rich takes [..] of a plain string, which a name may have, for markup
            table.add_row(*(Text(visible(cell)) for cell in cells(run, player)))
        return Group(table, Text(progress_line(run)))


class Waiting:
    """The first table, with the seconds that nothing has come yet."""

    def __init__(self, table: Any) -> None:
        self.table, self.since = table, time.monotonic()

    def __rich__(self) -> Any:
        """As it is drawn, four times a second."""
        from rich.console import Group
        from rich.text import Text

        waited = time.monotonic() - self.since
        return Group(self.table, Text(f"waiting for the players' first step ({waited:.0f} s)"))


def console(style: str | None) -> Quiet:
    """The console for `--plain`, `--json`, `--quiet`, or for what stdout is."""
    if style == "quiet":
        return Quiet()
    if style == "json":
        return Json()
    if style == "plain" or not sys.stdout.isatty():
        return Plain()
    return Live()


def show(feed: Feed, every_s: int) -> int:
    """`raygan watch`: the state of a run, redrawn on a terminal, else told again and again; returns
    the run's exit code.
    """
    if sys.stdout.isatty():
        from rich.live import Live as RichLive
        from rich.text import Text

        with RichLive(Text(""), refresh_per_second=2) as live:
            while True:
                more = feed.refresh()
                live.update(Text(state_text(state(feed.run))))
                if not more:
                    break
                _wait(feed, every_s)
    else:
        while True:
            more = feed.refresh()
            print(state_text(state(feed.run)), flush=True)
            if not more:
                break
            _wait(feed, every_s)
    return exit_code(feed)


def _wait(feed: Feed, every_s: float) -> None:
    """Until it is to be told again; sooner where there is no more to come. A hub is looked at
    meanwhile: it does not stay for somebody who comes once a minute.
    """
    left = float(every_s)
    while left > 0:
        time.sleep(min(left, feed.look_s))
        left -= feed.look_s
        if left > 0 and not feed.refresh():
            return

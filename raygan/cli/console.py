"""What a user sees while a run goes on: a live table on a terminal, plain lines elsewhere, JSON
lines, or nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.controller.copies import address_of
from raygan.controller.listener import Listener
from raygan.controller.orders import Done, Evaluate
from raygan.metrics.ranking import headline
from raygan.own.names import label
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import result_table
from raygan.service.views.follow import Feed, state, state_text
from raygan.service.views.tables import fate, waiting_line
from raygan.strategies.roles import MIXTURE
from raygan.visible import say as print
from raygan.visible import visible
from raygan.watching import command_seconds, tell

if TYPE_CHECKING:
    from raygan.controller.listener import Running

EVERY_S = 10.0


class Quiet(Listener):
    """Says nothing until the end, and then only what went wrong."""

    def finish(self, run: Run, report: Path | None) -> None:
        """The run ended well."""


class Json(Quiet):
    """One JSON object a line: progress at every score, the scores of all at the end."""

    def __call__(self, run: Running, done: Done) -> None:
        """Pass the scores on."""
        if isinstance(done.order, Evaluate):
            for row in done.result.rows:
                print(json.dumps({"elapsed": run.state.elapsed, **row}, default=str), flush=True)

    def done_already(self, path: Path, steps: int) -> None:
        """Said before the result."""
        print(
            json.dumps(
                {"kind": "done already", "run": address_of(path) or str(path), "steps": steps}
            ),
            flush=True,
        )

    def finish(self, run: Run, report: Path | None) -> None:
        """The result."""
        print(
            json.dumps(
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
        """Say why nothing happens."""
        print(
            f"run {shown(path)} is done: {steps} of {steps} steps. To go on: raygan resume {shown(path)} --steps"
            " +1000",
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
        """Draw the empty table."""
        from rich.live import Live as RichLive

        self._console.print(describe(run), markup=False, highlight=False)
        tell("")
        first = Waiting(self._table(run))
        self._live = RichLive(first, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def __call__(self, run: Running, done: Done) -> None:
        """Redraw."""
        if self._live is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.25
            self._live.update(self._table(run))

    def close(self) -> None:
        """Give the terminal back."""
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


def cells(run: Running, player: str) -> list[str]:
    """One player's row."""
    step, total = run.state.done.get(player, 0), run.state.plan.steps
    report = run.state.latest.get(player, {})
    filled = round(16 * step / total)
    seconds = run.state.totals.busy[player]
    state = "done" if step >= total else ("ready" if player in run.state.ledger.idle else "train")
    lag = f"{report['lag']:.0f}" if "lag" in report else ""
    return [
        player,
        opponent(run, player),
        "#" * filled + "-" * (16 - filled),
        f"{step}/{total}",
        f"{step / seconds:.0f}" if seconds else "",
        f"{report['loss_d']:.3f}" if "loss_d" in report else "",
        f"{report['loss_g']:.3f}" if "loss_g" in report else "",
        short_score(run, player),
        lag,
        state,
    ]


def opponent(run: Running, player: str) -> str:
    """Whose discriminator it plays: the pool, the judge's, its own, or the one that it was given by
    a swap.
    """
    role = run.state.roles[player]
    if role.main:
        return "pool"
    if judge := next((p for p, r in run.state.roles.items() if r.judges), None):
        return "mixture" if player == judge else judge
    if not role.scored:
        return ""
    holds = run.state.holds.get(player, player)
    return "own D" if holds == player else f"D of {holds}"


def short_score(run: Running, player: str) -> str:
    """`8/8` modes and the high quality, or the headline score."""
    row = run.state.scores.get(player)
    if not row:
        return ""
    if "high_quality" in row:
        width = f" width {row['width']:.2f}" if "width" in row else ""
        return f"{row['modes']:.0f} modes {row['high_quality']:.0%}{width}"
    metric = headline(row)
    return f"{float(row[metric]):.2f}" if metric else ""


def progress_line(run: Running) -> str:
    """The last line of the table, and the one line of a plain console."""
    main = [p for p, role in run.state.roles.items() if role.main]
    total = run.state.plan.steps * len(run.state.players)
    done = sum(run.state.done.values())
    rate = done / max(run.state.elapsed, 1e-9)
    parts = [
        f"{done / total:4.0%}",
        f"{rate:.0f} it/s",
        f"elapsed {run.state.elapsed:.0f} s",
        f"eta {(total - done) / rate:.0f} s" if done else "starting",
    ]
    parts += [
        f"{player} {text} (step {run.state.scores[player]['step']})"
        for player in (*main, MIXTURE)
        if (text := short_score(run, player))
    ]
    for player in main:
        if "lag" in run.state.latest.get(player, {}):
            parts.append(f"lag {run.state.latest[player]['lag']:.0f}")
    if run.state.totals.swaps:
        parts.append(
            f"swaps {run.state.totals.swaps}"
            + (f" ({run.state.totals.skipped} missed)" if run.state.totals.skipped else "")
        )
    if run.state.totals.warnings:
        parts.append(f"warnings {sum(run.state.totals.warnings.values())}")
    return visible("  ".join([*parts, address_of(run.log.folder.path) or str(run.log.folder.path)]))


def describe(run: Running) -> str:
    """One line about what starts."""
    c = run.state.config
    strategy, loss, data = (label(spec["name"]) for spec in (c.strategy, c.loss, c.data))
    data += f" {c.data['modes']}" if "modes" in c.data else ""
    return visible(
        f"raygan: {strategy} ({c.tempo}), {c.num_pairs} pairs, {data}, {loss}, {c.steps} steps,"
        f" seed {c.seed} -> {address_of(run.log.folder.path) or run.log.folder.path}"
    )


def ending(run: Run, report: Path | None) -> str:
    """Result table, warnings with their counts, time (of the whole command: before and after
    training too), report, what to do next.
    """
    info = run.info
    where = shown(run.path)
    lines = [result_table(run), ""]
    if alphabet := str(info.get("alphabet", "")):
        lines += [f"  {line}" for line in some_sentences(run, alphabet)] + [""]
    lines += [
        f"warning {name}: {count} times; {fate(name)}"
        for name, count in info.get("warnings", {}).items()
    ]
    seconds = sum(info["busy_seconds"].values())
    if info.get("swaps"):
        missed = info.get("skipped_swaps", 0)
        lines.append(
            f"swaps {info['swaps']} in the journal"
            + (f", {missed} missed (nobody ready within max_wait)" if missed else "")
        )
    lines += [
        (
            f"time {whole_time(info['elapsed'])}; {seconds:.0f} s of training in"
            f" {len(info['busy_seconds'])} players, seed {run.config.seed}"
        ),
        *([waiting] if (waiting := waiting_line(info)) else []),
        *([f"report  {in_run(run, report) or shown(report)}"] if report else []),
        (
            f"next    raygan sample {where} --from {run.main_player} -n 1024 -o"
            f" samples.{'txt' if alphabet else 'png'}"
        ),
    ]
    return visible("\n".join(lines))


def in_run(run: Run, file: Path) -> str:
    """A file of a run in a bucket, there: its local side goes. "" of another run."""
    address = address_of(run.path)
    return f"{address}/{file.relative_to(run.path)}" if address else ""


def whole_time(elapsed: float) -> str:
    """Of the command where one runs, with the share of the run in it; else of the run alone."""
    if (whole := command_seconds()) is None:
        return f"{elapsed:.0f} s"
    return f"{whole:.0f} s from the command to here, the run itself {elapsed:.0f} s"


def some_sentences(run: Run, alphabet: str, count: int = 5) -> list[str]:
    """Of the main generator, as it ended."""
    from raygan.data.lm1b import decode

    return decode(run.generator(run.main_player).sample(count, 0).argmax(1), alphabet)


def shown(path: Path) -> str:
    """A path as short as it can be typed here; of a run in a bucket its address."""
    if address := address_of(path):
        return address
    try:
        return str(path.relative_to(Path.cwd()))
    except (
        ValueError,
        FileNotFoundError,
    ):  # elsewhere; or the working directory is gone (a job's is thrown away)
        return str(path)


def console(style: str | None) -> Quiet:
    """The console for `--plain`, `--json`, `--quiet`, or for what stdout is."""
    if style == "quiet":
        return Quiet()
    if style == "json":
        return Json()
    if style == "plain" or not sys.stdout.isatty():
        return Plain()
    return Live()


def follow(feed: Feed, every_s: int) -> int:
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
                time.sleep(every_s)
    else:
        while True:
            more = feed.refresh()
            print(state_text(state(feed.run)), flush=True)
            if not more:
                break
            time.sleep(every_s)
    return int(feed.run.info.get("exit_code") or 0)

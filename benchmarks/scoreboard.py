"""RESULTS.md: what is claimed, made from the JSON that benchmarks keep in results/.

    python -m benchmarks scoreboard             writes benchmarks/RESULTS.md
    python -m benchmarks scoreboard --check     exit code 1 where it is not what the JSON says

A test asks the second. What is no claim (tables in full, trials, what did not work) stands in
LOG.md by date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims import GROUPS, Cell, Json, Source

HERE = Path(__file__).parent
PAGE = HERE / "RESULTS.md"
COLUMNS = 100
INTRO = """# Scoreboard

Made by `python -m benchmarks scoreboard` from the JSON files in `benchmarks/results`; a test
compares. Do not edit. What was tried, and all tables in full: [the log](LOG.md), by date.

Above each table: command, date, commit, machine, the log's entry. Spread: standard deviation over
seeds (least .. most), or median of turns (least .. most). "Negative": it does not do what was
hoped, or misses its aim. High quality: share of samples within three standard deviations of a
mode; modes count from 10 % of their share. Real data has a high quality of .988 on the ring of 8.
"""


def lines(source: Source) -> list[str]:
    """The conditions, and a table. Raises Unmade."""
    file = f"benchmarks/results/{source.file}.json"
    try:
        payload = json.loads((HERE / f"results/{source.file}.json").read_text())
        told = payload["conditions"]
    except FileNotFoundError:
        raise Unmade(f"{file} is not there. Make it: {source.command}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Unmade(f"{file} is damaged ({error!r}). Make it anew: {source.command}") from None
    commit = str(told["commit"]).partition(";")[0] or "not noted"
    about = [f"`{source.command}`", told["date"], f"commit {commit}", machine(told["machine"])]
    rows = [[claim, *taken(file, source, claim, payload)] for claim in source.claims]
    rows = [["claim", "figure", "spread"], ["---"] * 3, *rows]
    table = [f"| {' | '.join(row)} |" for row in rows]
    return [*wrapped(" · ".join([*about, f"[log](LOG.md#{source.entry})"])), "", *table, ""]


class Unmade(Exception):
    """A result that the page cannot be made from, and how to make it."""


def taken(file: str, source: Source, claim: str, payload: Json) -> Cell:
    """A claim's figure and spread. Raises Unmade where a shorter run has left it out."""
    try:
        return source.claims[claim](payload)
    except (LookupError, ValueError, TypeError, ZeroDivisionError) as error:
        raise Unmade(
            f"{file} has nothing for {claim!r} ({error!r}). Make all of it: {source.command}"
        ) from None


def machine(name: str) -> str:
    """A processor's name without its marks.

    >>> machine("Intel(R) Xeon(R) Processor, 2 cores")
    'Intel Xeon, 2 cores'
    """
    return name.replace("(R)", "").replace(" Processor", "")


def wrapped(text: str) -> list[str]:
    """The line that names a source, as several where it is too long; no part is broken."""
    out = [""]
    for part in text.split(" · "):
        line = f"{out[-1]} · {part}" if out[-1] else part
        if len(line) + 2 <= COLUMNS:
            out[-1] = line
        else:
            out = [*out[:-1], out[-1] + " ·", part]
    return out


def unclaimed() -> list[str]:
    """A row for each kept result that nobody claims anything from."""
    claimed = {source.file for sources in GROUPS.values() for source in sources}
    rows = []
    for path in sorted((HERE / "results").glob("*.json")):
        if path.stem not in claimed:
            told = json.loads(path.read_text()).get("conditions", {})
            rows.append(f"| `{path.name}` | {told.get('date', '')} | {told.get('commit', '')} |")
    return rows


def page() -> str:
    """The whole of RESULTS.md."""
    out = [INTRO]
    for title, sources in GROUPS.items():
        out += [f"## {title}", "", *(line for source in sources for line in lines(source))]
    if rows := unclaimed():
        out += ["## Kept, and not claimed", "", "| result | date | commit |", "| --- | --- | --- |"]
        out += rows
    return "\n".join(out).rstrip() + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the page, or say that it is not current; 2 for what it does not know."""
    if unknown := [word for word in argv if word != "--check"]:
        print(f"scoreboard: {unknown[0]!r}: it knows --check alone", file=sys.stderr)
        return 2
    try:
        made = page()
    except Unmade as error:
        print(f"scoreboard: {error}", file=sys.stderr)
        return 1
    if "--check" not in argv:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        told = "benchmarks/RESULTS.md is not what benchmarks/results says"
        print(f"{told}: python -m benchmarks scoreboard", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

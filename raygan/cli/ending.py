"""The last words about a run: scores, warnings, time, what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path

from raygan.controller.bucket_copies import address_of
from raygan.errors import RayganError
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import result_table
from raygan.service.scores.rejection_score import rejected_rows
from raygan.service.views.tables import fate, waiting_line
from raygan.visible import visible
from raygan.watching import command_seconds


def ending(run: Run, report: Path | None) -> str:
    """Result table, warnings with their counts, time (of the whole command: before and after
    training too), report, what to do next.
    """
    info = run.info
    where = shown(run.path)
    lines = [result_table(run), ""]
    if alphabet := str(info.get("alphabet", "")):
        # what the run is worth stands above: a checkpoint that cannot be read does not hide it
        try:
            lines += [f"  {line}" for line in some_sentences(run, alphabet)] + [""]
        except RayganError as error:
            lines += [f"  no sentences: {error}", ""]
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
            f"next    raygan sample {shlex.quote(where)} --from {run.main_player}"
            f"{' --reject' if rejected_rows(run) else ''} -n 1024 -o"
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

"""`raygan runs`: what is in a folder of runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.controller.bucket_copies import names_at
from raygan.controller.run_folder import find_run
from raygan.controller.run_format import refuse_newer
from raygan.errors import RayganError
from raygan.metrics.ranking import headline
from raygan.own.names import short
from raygan.service.runs.alive import GOES_ON, running
from raygan.service.runs.run import Run
from raygan.service.views.tables import format_number, text_table


def list_runs_at(address: str) -> list[dict[str, Any]]:
    """Of a folder of runs in a bucket; no Ray, and no cluster any more. Raises ConfigError."""
    folders = [find_run(f"{address}/{name}") for name in names_at(address)]
    return list_runs(folders[0].parent, [f.name for f in folders]) if folders else []


def list_runs(parent: Path, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One entry a run, oldest first; a damaged run is listed with its error. names: only these."""
    out = []
    for file in sorted(parent.glob("[!.]*/run.json"), key=lambda p: p.stat().st_mtime):
        # `latest` is one of them already.
        if file.parent.is_symlink() or (names is not None and file.parent.name not in names):
            continue
        try:
            run = Run(file.parent)
            # A newer release may mean something else by the same words: better said than shown
            # wrongly.
            refuse_newer(file.parent)
            info, config = run.info, run.config
            row = run.scores().get(run.main_player, {})
            metric = headline(row)
            out.append({
                "name": run.name,
                "status": "lost" if info["status"] in GOES_ON and not running(info)
                else info["status"], "strategy": short(config.strategy["name"]),
                "data": short(config.data["name"]),
                "pairs": config.num_pairs,
                "step": _step(run, info),
                "score": f"{metric} {format_number(row[metric])}" if metric else "",
                "created": info["created"],
            })  # fmt: skip
        except (RayganError, ValueError, KeyError) as error:
            out.append({"name": file.parent.name, "status": f"damaged: {error}"})
    return out


def _step(run: Run, info: dict[str, Any]) -> int:
    """Of the furthest player, as `status` has it."""
    # run.json is told of the steps where a life ends by itself, and a kill is no such end.
    if info["status"] not in GOES_ON and info.get("steps"):
        return int(max(info["steps"].values()))
    return max((int(row["step"]) for row in run.summary.newest.values()), default=0)


def runs_table(found: list[dict[str, Any]]) -> str:
    """The list of runs as a text table."""
    if not found:
        return "no runs here. `raygan train` makes one."
    header = ["name", "status", "strategy", "data", "pairs", "step", "score", "created"]
    rows = []
    for entry in found:
        when = (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["created"]))
            if "created" in entry
            else ""
        )
        rows.append([str(entry.get(h, "")) for h in header[:-1]] + [when])
    return text_table(header, rows)


def jobs_table(sent: list[dict[str, Any]]) -> str:
    """The runs that were submitted to a cluster, as text."""
    if not sent:
        return "no runs were submitted there. `raygan submit -- train` sends one."
    header = ["run", "job", "status", "exit code", "started", "folder"]
    rows = [
        [j["run"], j["id"], j["status"], "" if j["exit_code"] is None else str(j["exit_code"]),
         time.strftime("%Y-%m-%d %H:%M", time.localtime(j["started"])), j["run_dir"]]
        for j in sent
    ]  # fmt: skip
    return text_table(header, rows)

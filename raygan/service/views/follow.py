"""A run that goes on, as others see it: its folder where that can be seen, else a copy that its hub
keeps up to date.

with follow("runs/mine") as feed:       # or follow("mine", address): a run on the cluster, through `raygan/mine/hub`
    feed.refresh()
    feed.run.scores(), state(feed.run)
    feed.ask({"verb": "stop"})
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from raygan.controller.bucket import BucketStorage
from raygan.controller.copies import refresh, storage_of
from raygan.controller.files import say, write_within
from raygan.controller.lines import Lines, told_by_a_run
from raygan.controller.requests import file_of
from raygan.controller.run_folder import check_name, find_run, inside, write_atomically
from raygan.controller.versions import refuse_newer
from raygan.errors import ConfigError
from raygan.own.names import label
from raygan.service.runs.listing import alive
from raygan.service.runs.run import Run
from raygan.strategies.roles import role_of
from raygan.visible import visible

ENDED = ("done", "degraded", "stopped", "failed")


class Feed(Protocol):
    """What can be seen of a run, and what can be asked of it."""

    run: Run

    def refresh(self) -> bool:
        """Look again; False when there is nothing more to come."""

    def ask(self, request: dict[str, Any]) -> None:
        """Leave a request for the driver: {"verb": "stop"} or {"verb": "scale", "id": ..., "pairs":
        ...}.
        """


class FolderFeed:
    """The run's own folder."""

    def __init__(self, path: Path) -> None:
        self.run = Run.load(path)

    def refresh(self) -> bool:
        """The files are what they are; of a run in a bucket they are brought."""
        refresh(self.run.path)
        return running(self.run.info)

    def ask(self, request: dict[str, Any]) -> None:
        """As a file that the driver looks for."""
        name = file_of(request)
        try:
            raw = json.dumps(request).encode()
            if isinstance(there := storage_of(self.run.path), BucketStorage):
                there.write(name, raw)  # the driver looks there
            else:
                write_within(self.run.path, name, raw)
        except OSError as error:
            raise ConfigError(
                f"run {str(self.run.path)!r}: {name} cannot be written ({say(error)}). Ask on the"
                " machine that drives the run, or by its name and --address."
            ) from None


class HubFeed:
    """A copy of the run's small files in a folder of its own, from the hub."""

    def __init__(self, name: str, hub: Any, folder: Path) -> None:
        self.hub = hub
        self.path = folder / name
        (self.path / "samples").mkdir(parents=True)
        (self.path / "checkpoints").mkdir()
        self.offsets: dict[str, int] = {}
        self.skipped = 0
        """Bytes of logs that the hub had dropped already."""
        if not self.refresh() or not (self.path / "run.json").exists():
            raise ConfigError(
                f"run {name!r}: its hub knows nothing yet. Look again in a few seconds."
            )
        refuse_newer(self.path)
        self.run = Run(self.path)

    def refresh(self) -> bool:
        """Take what is new."""
        import ray
        from ray.exceptions import RayError

        have = [str(p.relative_to(self.path)) for p in (self.path / "samples").glob("*.npy")]
        try:
            added, whole = ray.get(self.hub.read.remote(have, self.offsets), timeout=20.0)
        except RayError:  # the run is over, and its hub with it
            return False
        for name, (begin, raw) in added.items():
            self.skipped += begin - self.offsets.get(name, 0)
            with inside(self.path, name).open("ab") as file:
                file.write(raw)
            self.offsets[name] = begin + len(raw)
        for name, raw in whole.items():
            write_atomically(inside(self.path, name), raw)
        return True

    def ask(self, request: dict[str, Any]) -> None:
        """Through the hub, to the driver."""
        import ray

        ray.get(self.hub.ask.remote(request), timeout=20.0)


def running(info: dict[str, Any]) -> bool:
    """Is there a driver that goes on with it, as far as this machine can tell?"""
    if info["status"] not in ("starting", "running"):
        return False
    return info.get("host") != os.uname().nodename or alive(info)


@contextlib.contextmanager
def follow(run: str, address: str = "auto") -> Iterator[Feed]:
    """The run in this folder, or of this name on the cluster. Raises ConfigError with what was
    looked at.
    """
    try:
        found: Path | None = find_run(run)
    except ConfigError:
        if "/" in run:
            raise
        found = None  # of a name alone the cluster may know
    if found is not None:
        yield FolderFeed(found)
        return
    check_name(run)
    from raygan.actors.cluster import cluster

    with (
        cluster(address, 0, start=False),
        tempfile.TemporaryDirectory(prefix="raygan-follow-") as folder,
    ):
        import ray

        from raygan.actors.hub import hub_name

        try:
            hub = ray.get_actor(hub_name(run))
        except ValueError:
            raise ConfigError(
                f"run {run!r}: no folder of that name here, and no running run on the cluster."
                f" `raygan runs --address {address}` lists what the cluster knows."
            ) from None
        yield HubFeed(run, hub, Path(folder))


def scale(feed: Feed, pairs: int, timeout_s: float = 120.0) -> str:
    """Ask, wait for the answer in the run's events; returns one line. Raises ConfigError when
    refused or unanswered.
    """
    refuse_unless_running(feed, "scaled")
    request, answers = uuid.uuid4().hex, Lines(feed.run.path / "events.jsonl", told_by_a_run)
    answers.skip()
    feed.ask({"verb": "scale", "id": request, "pairs": pairs})
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        feed.refresh()
        for event in answers.fresh():
            if event.get("request") == request:
                if event["kind"] == "refused":
                    raise ConfigError(f"scale: {event['why']}")
                return f"{feed.run.name}: {pairs} members since step {event['step']}" + (
                    f" ({event['why']})" if "why" in event else ""
                )
        time.sleep(0.2)
    raise ConfigError(
        f"scale: no answer of {feed.run.name} within {timeout_s:.0f} s. Is its driver alive?"
        " `raygan runs` tells."
    )


def stop(feed: Feed, timeout_s: float = 120.0) -> str:
    """Ask for a checkpoint and an end, wait for it; returns one line. Raises ConfigError when
    nobody answers.
    """
    refuse_unless_running(feed, "stopped")
    began = time.monotonic()
    feed.ask({"verb": "stop"})
    while time.monotonic() - began < timeout_s:
        more = feed.refresh()
        info = feed.run.info
        if info["status"] in ENDED or not more:
            saved = feed.run.summary.last.get("checkpoint")
            where = f", checkpoint of step {saved['step']}" if saved else ""
            status = (
                info["status"] if info["status"] in ENDED else "gone"
            )  # its hub went before it could tell the end
            return f"{feed.run.name}: {status} after {time.monotonic() - began:.1f} s{where}"
        time.sleep(0.1)
    raise ConfigError(
        f"stop: {feed.run.name} has not ended within {timeout_s:.0f} s. `kill"
        f" {feed.run.info.get('pid')}` on {feed.run.info.get('host')} asks its driver itself."
    )


def refuse_unless_running(feed: Feed, what: str) -> None:
    """Raises ConfigError for a run that has ended, or whose driver is gone."""
    info = feed.run.info
    if not running(info):
        status = (
            info["status"]
            if info["status"] in ENDED
            else f"{info['status']} by name, but its driver is gone: lost"
        )
        raise ConfigError(
            f"run {str(feed.run.path)!r} is {status}, not running. Only a running run can be"
            f" {what}."
        )


# ------------------------------------------------------------------------------------------------------
# what is seen


def state(run: Run) -> dict[str, Any]:
    """A run at this moment, as plain values: for `status`, `watch`, and the live page."""
    from raygan.metrics.ranking import headline
    from raygan.service.views.tables import lives, waiting_line

    info, config, summary, roles = run.info, run.config, run.summary, run.roles
    trained, scores, gone = summary.newest, summary.scores, summary.gone
    players: list[dict[str, Any]] = []
    for player in [*run.players, *(p for p in gone if p in trained)]:
        row, score = trained.get(player, {}), scores.get(player, {})
        seconds, held = row.get("seconds", 0.0), row.get("held_s", 0.0)
        metric = headline(score) if score else None
        step = int(row.get("step", 0))
        players.append({
            "player": player, "main": role_of(player, roles).main, "step": step, "holds": summary.holds.get(player, player),
            "rate": row["steps"] / seconds if seconds else None,
            "wait": (row.get("wait_s", 0.0) + held) / (seconds + held) if seconds else None,
            "loss_d": row.get("loss_d"), "loss_g": row.get("loss_g"), "lag": row.get("lag"),
            "score": f"{metric} {score[metric]:.4g}" if metric else None,
            "state": gone.get(player) or ("done" if step >= config.steps else "train"),
        })  # fmt: skip
    status = info["status"] if running(info) or info["status"] in ENDED else "lost"
    here = [p for p in players if p["state"] not in ("retire", "leave")]
    done = sum(p["step"] for p in here) / (config.steps * max(1, len(here)))
    elapsed = summary.elapsed
    mixture = scores.get("mixture")
    seen = {
        "name": run.name, "status": status, "exit_code": info.get("exit_code"), "error": info.get("error"),
        "strategy": label(config.strategy["name"]), "tempo": config.tempo, "data": label(config.data["name"]), "seed": config.seed,
        "steps": config.steps, "progress": done, "elapsed": elapsed,
        "eta": elapsed * (1 - done) / done if done and status == "running" else None,
        "players": players, "mixture": {k: v for k, v in (mixture or {}).items() if isinstance(v, float)},
        "swaps": summary.counts["swap"],
        "deaths": summary.counts["death"],
        "warnings": dict(sorted(summary.warnings.items())),
        "events": list(summary.recent),
        "player_seconds": summary.player_seconds,
        "damaged": summary.damaged,
        "waiting": waiting_line(info),
        "lives": lives(info),
    }  # fmt: skip
    return {key: finite(value) for key, value in seen.items()}


def finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: None.

    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def state_text(seen: dict[str, Any]) -> str:
    """The same as text."""
    from raygan.service.views.tables import LIFE, text_table

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    header = ["pair", "holds", "step", "it/s", "wait", "loss D", "loss G", "score", "lag", "state"]
    rows = [
        [
            p["player"], p["holds"], f"{p['step']}/{seen['steps']}", number(p["rate"], ".0f"), number(p["wait"], ".0%"),
            number(p["loss_d"], ".3f"), number(p["loss_g"], ".3f"), p["score"] or "", number(p["lag"], ".0f"), p["state"],
        ]
        for p in seen["players"]
    ]  # fmt: skip
    exit_code = "" if seen["exit_code"] is None else f" (exit code {seen['exit_code']})"
    lines = [
        (
            f"{seen['name']}: {seen['status']}{exit_code}, {seen['strategy']} ({seen['tempo']}),"
            f" {seen['data']}, seed {seen['seed']}"
        ),
        text_table(header, rows),
        f"{seen['progress']:.0%}  elapsed {seen['elapsed']:.0f} s"
        + (f"  eta {seen['eta']:.0f} s" if seen["eta"] is not None else "")
        + (f"  swaps {seen['swaps']}" if seen["swaps"] else "")
        + (f"  deaths {seen['deaths']}" if seen["deaths"] else "")
        + "".join(f"  {name} {count}x" for name, count in seen["warnings"].items()),
    ]
    lines += [
        f"damaged lines, passed over: {name} {count}" for name, count in seen["damaged"].items()
    ]
    lines += [seen["waiting"]] if seen["waiting"] else []
    if seen["lives"]:
        lines += ["", text_table(LIFE, seen["lives"])]
    if seen["error"]:
        lines.append(f"error  {seen['error']}")
    return visible("\n".join(lines))

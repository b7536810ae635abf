"""Everything that Prometheus sees of a run: gauges with the labels run, player, role, and no other.

What a label says is a run's name, a player's name or a role: `PLAYER` and `run_folder.NAME` leave
no letter in them that means anything to Prometheus, Grafana or a browser, and a row that names
anybody else (a run folder may be somebody else's) is left.

Ray forgets a gauge that is not set again, so all of them are set on each tick. A dead player is
seen by the age of its last sign of life, which grows, never by a series that is missing. Ray puts
`ray_` before each name.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ray.util.metrics import Gauge

from raygan.metrics.ranking import headline
from raygan.strategies.roles import PLAYER as NAMES
from raygan.strategies.roles import Roles, label_of, roles_told

PLAYER = {
    "raygan_heartbeat_age_seconds": "Seconds since the player's last sign of life.",
    "raygan_steps": "Generator updates done.",
    "raygan_steps_per_second": "Generator updates a second of the last round.",
    "raygan_wait_ratio": "Share of the last round spent waiting for others.",
    "raygan_lag_steps": "Age of the copies that it learns from, in steps.",
    "raygan_loss_d": "Loss of D.",
    "raygan_loss_g": "Loss of G.",
    "raygan_d_accuracy": "Share of a batch on which D is right.",
    "raygan_modes": "Modes or classes that the generator covers.",
    "raygan_high_quality": "Share of samples near a mode.",
    "raygan_score": "The data set's headline score.",
    "raygan_swaps": "Networks that it was given by swaps.",
    "raygan_swap_bytes": "Bytes that it was given by swaps.",
    "raygan_slot_spread_steps": "Steps between the oldest and the newest slot in use.",
    "raygan_bad_steps": "Steps skipped for NaN or infinity.",
    "raygan_busy_seconds": "Seconds of training.",
    "raygan_deaths": "Times that it died or hung.",
}
ALIVE_S = 30.0
"""Since the driver's last heartbeat."""
RUN = {
    "raygan_progress_ratio": "Steps done by all, of those that there are to do.",
    "raygan_eta_seconds": "Seconds to the end at the rate so far.",
    "raygan_up": f"1 while the driver gives signs of life ({ALIVE_S:.0f} s), else 0.",
    "raygan_driver_age_seconds": "Seconds since the driver's last sign of life.",
    "raygan_elapsed_seconds": "Seconds since the start.",
    "raygan_warnings": "Warnings so far.",
    "raygan_restarts": "Times that the run went back to a checkpoint.",
    "raygan_kept_ratio": "Steps that still count, of those that were trained; 1: none twice.",
    "raygan_notices": "Players whose machine or process was told to go (preemption).",
    "raygan_checkpoint_age_seconds": "Seconds since the last checkpoint.",
    "raygan_checkpoint_bytes": "Bytes of the last checkpoint.",
    "raygan_object_store_bytes": "Bytes in the cluster's object stores.",
    "raygan_object_store_capacity_bytes": "Bytes that fit into them.",
    "raygan_player_seconds": "Seconds of training, of all players together: what it costs.",
}


class Gauges:
    """What a run's logs and its driver's pushes say, as series; when heartbeats were heard."""

    def __init__(self, run: str) -> None:
        self.series = Series(run)
        self.heard: dict[str, float] = {}
        """player -> clock reading of its last sign of life."""
        self.pushed = self.checkpointed = time.monotonic()
        self.steps = 0.0
        self.roles: Roles = {}
        self.roster: frozenset[str] = frozenset()
        """Who takes part, as run.json says."""
        self.trained: dict[str, float] = {}
        """player -> steps that its rows tell of, those that were undone too."""
        self.reached: dict[str, tuple[float, float]] = {}
        """player -> the step before its first row, its step now."""
        self.gone: set[str] = set()
        """Who has left or was retired, as the events say."""

    def take(self, log: str, row: Mapping[str, Any]) -> None:
        """A line of metrics.jsonl or events.jsonl; one with a name that no player has, or no number
        for one, is left.
        """
        # a run folder may be somebody else's: a row that is none must not end the hub
        with contextlib.suppress(ValueError, TypeError, KeyError):
            if log == "metrics.jsonl":
                self._row(row)
            else:
                self._event(row)

    def _row(self, row: Mapping[str, Any]) -> None:
        player, series = str(row["player"]), self.series
        trains = row["kind"] == "train"
        seconds = float(row.get("seconds", 0.0)) if trains else 0.0
        # the whole run's: also what somebody has done that has left since
        series.add("player_seconds", "", seconds)
        if trains:
            self._count(player, float(row["step"]), float(row["steps"]))
        series.set("elapsed_seconds", "", row.get("elapsed", 0.0))
        # its last rows and scores may come after it has left
        if self._left(player):
            return
        if trains:
            names = {"loss_d": "loss_d", "loss_g": "loss_g", "d_accuracy": "d_accuracy",
                     "lag": "lag_steps",
                     "bad_steps": "bad_steps", "slot_spread": "slot_spread_steps"}  # fmt: skip
            for key, name in names.items():
                if key in row:
                    series.set(name, player, row[key])
            series.set("steps", player, row["step"])
            if seconds > 0:
                series.set("steps_per_second", player, row["steps"] / seconds)
                held = row.get("held_s", 0.0)
                wait = (row.get("wait_s", 0.0) + held) / (seconds + held)
                series.set("wait_ratio", player, wait)
            series.add("busy_seconds", player, seconds)
        else:
            for key in ("modes", "high_quality"):
                if key in row:
                    series.set(key, player, row[key])
            if metric := headline(row):
                series.set("score", player, row[metric])

    def _count(self, player: str, step: float, steps: float) -> None:
        """Of a round."""
        self.trained[player] = self.trained.get(player, 0.0) + steps
        begin, _ = self.reached.get(player, (step - steps, step))
        # a member that joined may be back to before its first row
        self.reached[player] = min(begin, step - steps), step

    def _event(self, event: Mapping[str, Any]) -> None:
        kind, series = event["kind"], self.series
        if kind == "swap":
            for move in event["moves"]:
                series.add("swaps", move["player"], 1)
                series.add("swap_bytes", move["player"], move["bytes"])
        elif kind == "death":
            series.add("deaths", event["player"], 1)
        elif kind == "notice":
            series.add("notices", "", 1)
        elif kind == "restart":
            series.add("restarts", "", 1)
        elif kind == "warning":
            series.add("warnings", "", 1)
        elif kind in ("leave", "retire"):
            self.gone.add(event["player"])
            if self._left(event["player"]):
                self.heard.pop(event["player"], None)
                # that it died stays told: who was retired for it is in no roster any more
                series.forget(event["player"], but=("deaths",) if kind == "retire" else ())
        elif kind == "checkpoint":
            self.checkpointed = time.monotonic() - max(
                0.0,
                time.time() - float(event["time"]),  # noqa: TID251  shown only
            )
            series.set("checkpoint_bytes", "", event["bytes"])

    def info(self, info: Mapping[str, Any]) -> None:
        """Take up run.json: how long the run is, who is in it, what each player is."""
        self.steps = float(info.get("total_steps") or 0.0)
        self.roles = roles_told(info) or self.roles
        self.roster = frozenset(info.get("roster") or self.roster)
        # a run that goes back to before it left has it again
        self.gone -= self.roster

    def _left(self, player: str) -> bool:
        return player in self.gone and player not in self.roster

    def beats(self, ages: Mapping[str, float]) -> None:
        """Seconds since each process's last sign of life, told by a driver that lives. Of players
        only: a board or a deputy has no steps, and none of them is a pair that could be dead.
        """
        self.pushed = time.monotonic()
        for player, age in ages.items():
            # not by the roster alone: who died in async is off it until it is back
            if player in self.roles and NAMES.fullmatch(player) and not self._left(player):
                self.heard[player] = self.pushed - age

    def store(self, use: Mapping[str, float]) -> None:
        """Bytes in the cluster's object stores."""
        self.series.set("object_store_bytes", "", use["store_used"])
        self.series.set("object_store_capacity_bytes", "", use["store_capacity"])

    def end(self) -> None:
        """Nothing is exported any more."""
        self.series.values.clear()
        self.heard.clear()

    def tick(self) -> None:
        """Set all of them again."""
        series = self.series
        if not series.values and not self.heard:
            return
        now = time.monotonic()
        driver = now - self.pushed
        series.set("driver_age_seconds", "", driver)
        series.set("up", "", float(driver < ALIVE_S))
        series.set("checkpoint_age_seconds", "", now - self.checkpointed)
        # 0, not missing, before anything was counted: Prometheus takes a first 1 for no increase
        for player, at in self.heard.items():
            series.set("heartbeat_age_seconds", player, now - at)
            for name in ("swaps", "deaths", "bad_steps"):
                series.add(name, player, 0.0)
        for name in ("warnings", "restarts", "notices"):
            series.add(name, "", 0.0)
        if trained := sum(self.trained.values()):
            kept = sum(now - begin for begin, now in self.reached.values())
            series.set("kept_ratio", "", kept / trained)
        done = [
            steps for player in self.heard if (steps := series.get("steps", player)) is not None
        ]
        if done and self.steps:
            share = sum(done) / (self.steps * len(self.heard))
            elapsed = series.get("elapsed_seconds", "") or 0.0
            series.set("progress_ratio", "", share)
            series.set("eta_seconds", "", elapsed * (1 - share) / share if share > 0 else 0.0)
        series.export(self.roles)


class Series:
    """The latest value of each, by (name, player); "": of the whole run."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.values: dict[tuple[str, str], float] = {}
        self._exported: dict[str, Gauge] = {}

    def get(self, name: str, player: str) -> float | None:
        """None where nothing was set."""
        return self.values.get((f"raygan_{name}", player))

    def set(self, name: str, player: str, value: float) -> None:
        """Raises ValueError for a name that no player can have."""
        if player and not NAMES.fullmatch(player):
            raise ValueError(player)
        self.values[f"raygan_{name}", player] = float(value)

    def add(self, name: str, player: str, value: float) -> None:
        """To what is there, or to 0."""
        self.set(name, player, (self.get(name, player) or 0.0) + float(value))

    def forget(self, player: str, but: Sequence[str] = ()) -> None:
        """All that is a player's, but these counts."""
        kept = {f"raygan_{name}" for name in but}
        self.values = {k: v for k, v in self.values.items() if k[1] != player or k[0] in kept}

    def export(self, roles: Roles) -> None:
        """To Prometheus, by way of Ray's agent on this node."""
        # all of them each time: Ray forgets a gauge that is not set again
        for (name, player), value in self.values.items():
            if math.isfinite(value):
                tags = {"run": self.run, "player": player, "role": label_of(player, roles)}
                self._gauge(name).set(value, tags=tags)

    def _gauge(self, name: str) -> Gauge:
        if name not in self._exported:
            text = (PLAYER | RUN)[name]
            self._exported[name] = Gauge(name, description=text, tag_keys=("run", "player", "role"))
        return self._exported[name]

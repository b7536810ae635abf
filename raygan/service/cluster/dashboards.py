"""Grafana dashboards and Prometheus alerts, made of dataclasses; `dashboards/` holds what comes
out.

    raygan dashboards install --to DIR    writes raygan.json and raygan-sweep.json beside Ray's
                                          own, and alerts.yml
    raygan dashboards check               asks a Prometheus for every expression: which ones have
                                          series?
    raygan dashboards draw --out DIR      the panels as pictures (panel_pictures.py), for whoever
                                          has a Prometheus and no Grafana

Every panel's title is the question that it answers. All expressions are over gauges with the labels
run, player and role only (`actors/gauges.py`), and aggregate by them, so that two nodes' exports of
one run are one line.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raygan.controller.run_folder import write_atomically
from raygan.errors import ConfigError
from raygan.service.cluster.grafana import Dashboard, Panel, Query

RUN = '{run=~"$run"}'


def by_player(gauge: str, how: str = "max") -> Query:
    """A query that gives a line for each player."""
    return Query(f"{how} by (run, player) (ray_raygan_{gauge}{RUN})", "{{run}} {{player}}")


def by_run(gauge: str, legend: str = "{{run}}") -> Query:
    """A query that gives a line for each run."""
    return Query(f"max by (run) (ray_raygan_{gauge}{RUN})", legend)


ONE_RUN = Dashboard("raygan", "raygan", (
    Panel("Is a pair dead?", "Age of each player's last sign of life; a killed or hung one climbs.",
          (by_player("heartbeat_age_seconds"),),
          "s", 45),
    Panel("How often did somebody die?",
          "Deaths and hangs by player, and runs that went back to a checkpoint.",
          (by_player("deaths"), by_run("restarts", "{{run}} went back"))),
    Panel("What was done in vain?", "Share of the steps trained that still count.",
          (by_run("kept_ratio"),), "percentunit"),
    Panel("Are machines taken away?", "Players whose machine was told to go, so far.",
          (by_run("notices"),)),
    Panel("Who is waiting?", "Share of a round that a player waited for others' versions.",
          (by_player("wait_ratio"),), "percentunit", 0.5),
    Panel("How fast does it go?", "Generator updates a second.", (by_player("steps_per_second"),)),
    Panel("How stale are the weights?", "Steps that the copies in use are behind their publishers.",
          (by_player("lag_steps"),)),
    Panel("Is a mode lost?",
          "Modes or classes that each generator covers; the mixture is not a single generator.",
          (by_player("modes"),)),
    Panel("Is it any good?", "The data set's headline score.", (by_player("score"),)),
    Panel("Is a discriminator saturated?",
          "Share of a batch on which D is right; at 1 the generator gets no gradient.",
          (by_player("d_accuracy"),), "percentunit", 0.995),
    Panel("Do the losses explode?", "Losses of D and G.", (
        Query(f"max by (run, player) (ray_raygan_loss_d{RUN})", "{{run}} {{player}} D"),
        Query(f"max by (run, player) (ray_raygan_loss_g{RUN})", "{{run}} {{player}} G"))),
    Panel("Are steps thrown away?", "Steps skipped for NaN or infinity.",
          (by_player("bad_steps"),)),
    Panel("Do pairs swap?", "Swaps so far.",
          (Query(f"sum by (run) (ray_raygan_swaps{RUN})", "{{run}}"),)),
    Panel("What do swaps cost?", "Bytes a second that swaps move.", (
        Query(f"sum by (run) (clamp_min(deriv(ray_raygan_swap_bytes{RUN}[2m]), 0))", "{{run}}"),),
          "Bps"),
    Panel("Is the slot buffer starved?",
          "Steps between the oldest and the newest slot that the judge used.",
          (by_player("slot_spread_steps"),)),
    Panel("Is the object store filling?", "Share in use; above 0.7 readers begin to fail.", (
        Query(f"max by (run) (ray_raygan_object_store_bytes{RUN} /"
              f" ray_raygan_object_store_capacity_bytes{RUN})", "{{run}}"),),
        "percentunit", 0.7),
    Panel("How much would be lost now?", "Age of the last checkpoint.",
          (by_run("checkpoint_age_seconds"),), "s"),
    Panel("How large are checkpoints?", "Bytes of the last one.", (by_run("checkpoint_bytes"),),
          "bytes"),
    Panel("Will it finish in time?", "Seconds to the end at the rate so far.",
          (by_run("eta_seconds"),), "s"),
    Panel("How far is it?", "Share of all steps.", (by_run("progress_ratio"),), "percentunit"),
    Panel("What did it cost?",
          "Seconds of training, of all players together, beside the wall time.", (
        by_run("player_seconds", "{{run}} players"), by_run("elapsed_seconds", "{{run}} wall")),
          "s"),
    Panel("Did it complain?",
          "Warnings so far; events.jsonl has their texts, docs/warnings their pages.",
          (by_run("warnings"),)),
))  # fmt: skip
SWEEP = Dashboard("raygan sweep", "raygan-sweep", (
    Panel("Which trial leads?", "Best headline score of any player, a line a run.",
          (Query(f"max by (run) (ray_raygan_score{RUN})", "{{run}}"),)),
    Panel("Which trials lose modes?", "Fewest modes of any player.",
          (Query(f"min by (run) (ray_raygan_modes{RUN})", "{{run}}"),)),
    Panel("How far are they?", "Share of all steps.", (by_run("progress_ratio"),), "percentunit"),
    Panel("How many run now?", "Runs whose driver gives signs of life.",
          (Query(f"sum(max by (run) (ray_raygan_up{RUN}))", "runs"),)),
    Panel("What does each cost?", "Seconds of training, of all players together.",
          (by_run("player_seconds"),), "s"),
    Panel("What did they send?", "Bytes that swaps have moved.",
          (Query(f"sum by (run) (ray_raygan_swap_bytes{RUN})", "{{run}}"),), "bytes"),
    Panel("Who died?", "Deaths and hangs, by run.",
          (Query(f"sum by (run) (ray_raygan_deaths{RUN})", "{{run}}"),)),
    Panel("Is the object store filling?", "Share in use.", (
        Query(f"max(ray_raygan_object_store_bytes{RUN} /"
              f" ray_raygan_object_store_capacity_bytes{RUN})",
              "store"),), "percentunit", 0.7),
))  # fmt: skip


@dataclass(frozen=True)
class Alert:
    """Fires when `expr` is above (or below) the threshold for a while; `page` says what to do."""

    name: str
    expr: str
    above: float
    for_s: int
    page: str
    summary: str
    severity: str = "warning"


ALERTS = (
    Alert("RayganPairDead", "max by (run, player) (ray_raygan_heartbeat_age_seconds)", 45, 0,
          "W201",
          "{{ $labels.player }} of {{ $labels.run }} has given no sign of life for"
          " {{ $value | humanizeDuration }}.", "critical"),
    Alert("RayganPairsDie", "sum by (run) (clamp_min(delta(ray_raygan_deaths[10m]), 0))", 2.5, 0,
          "W201", "Players of {{ $labels.run }} died or hung {{ $value }} times in 10 minutes."),
    Alert("RayganDriverSilent", "max by (run) (ray_raygan_driver_age_seconds)", 60, 0, "W204",
          "The driver of {{ $labels.run }} has been silent for {{ $value | humanizeDuration }}.",
          "critical"),
    Alert("RayganSaturatedDiscriminator",
          "min by (run, player) (min_over_time(ray_raygan_d_accuracy[5m]))", 0.995, 300, "W103",
          "D of {{ $labels.player }} in {{ $labels.run }} tells real from fake without a mistake."),
    Alert("RayganNonFiniteSteps",
          "max by (run, player) (clamp_min(delta(ray_raygan_bad_steps[5m]), 0))", 0, 0, "W102",
          "{{ $labels.player }} of {{ $labels.run }} skips steps with NaN or infinity."),
    Alert("RayganObjectStoreFilling",
          "max by (run) (ray_raygan_object_store_bytes / ray_raygan_object_store_capacity_bytes)",
          0.7, 60, "W205", "{{ $value | humanizePercentage }} of the object store is in use."),
    Alert("RayganCheckpointOld", "max by (run) (ray_raygan_checkpoint_age_seconds)", 3600, 0,
          "W203", "{{ $labels.run }} has had no checkpoint for {{ $value | humanizeDuration }}."),
    Alert("RayganWorkLost", "max by (run) (1 - ray_raygan_kept_ratio)", 0.2, 300, "W201",
          "{{ $value | humanizePercentage }} of what {{ $labels.run }} has trained was in vain: it"
          " went back to checkpoints."),
    Alert("RayganPreempted", "max by (run) (clamp_min(delta(ray_raygan_notices[1h]), 0))", 2.5, 0,
          "W201", "{{ $value | printf \"%.0f\" }} players of {{ $labels.run }} were told to go"
          " within an hour."),
    # a day of players' time; what is much is the reader's to say
    Alert("RayganCostly", "max by (run) (ray_raygan_player_seconds)", 86400, 0, "W204",
          "{{ $labels.run }} has cost {{ $value | humanizeDuration }} of players' time."),
)  # fmt: skip


def alerts_yaml() -> str:
    """The rules, as Prometheus reads them."""
    rules = [
        {
            "alert": a.name,
            "expr": f"{a.expr} > {a.above:g}",
            "for": f"{a.for_s}s",
            "labels": {"severity": a.severity},
            "annotations": {"summary": a.summary, "runbook_url": f"docs/warnings/{a.page}.md"},
        }
        for a in ALERTS
    ]
    return yaml.safe_dump(
        {"groups": [{"name": "raygan", "rules": rules}]}, sort_keys=False, width=90
    )


def files() -> dict[str, str]:
    """Everything in `dashboards/` that is made here."""
    return {
        "raygan.json": ONE_RUN.json(),
        "raygan-sweep.json": SWEEP.json(),
        "alerts.yml": alerts_yaml(),
    }


def install(to: Path | None) -> Path:
    """Write them where Grafana is provisioned from; returns the folder. Raises ConfigError."""
    named = os.environ.get("RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR")
    if to is None and not named:
        raise ConfigError(
            "dashboards: where to? Set RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR before `ray start`"
            " and here, or give --to FOLDER."
        )
    folder = to or Path(str(named))
    write_into(folder, {name: text.encode() for name, text in files().items()})
    return folder


def write_into(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Files by their names, into a folder that is made where there is none. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in contents.items():
            write_atomically(folder / name, raw)
    except OSError as error:
        raise ConfigError(
            f"--to {str(folder)!r}: cannot write there ({error.strerror}). Choose another folder."
        ) from None


def expressions() -> list[tuple[str, str]]:
    """(where, PromQL) of every panel and alert; an alert's without its threshold, so that it has a
    value while all is well.
    """
    out = [
        (f"{d.title}: {p.title}", q.expr.replace("$run", ".*"))
        for d in (ONE_RUN, SWEEP)
        for p in d.panels
        for q in p.queries
    ]
    return out + [(f"alert {a.name}", a.expr) for a in ALERTS]


def query(prometheus: str, expr: str) -> list[dict[str, Any]]:
    """The series of an expression, now. Raises ConfigError as `asked` does."""
    return asked(prometheus, f"query?{urllib.parse.urlencode({'query': expr})}", expr)


def asked(prometheus: str, question: str, expr: str) -> list[dict[str, Any]]:
    """What Prometheus answers to a question about `expr`. Raises ConfigError when there is none, or
    it does not understand.
    """
    address = f"{prometheus.rstrip('/')}/api/v1/{question}"
    # urlopen reads file:// as well.
    if not address.startswith(("http://", "https://")):
        raise ConfigError(
            f"--prometheus {prometheus!r} is not an http address. Write http://HOST:9090."
        )
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise ConfigError(f"Prometheus refuses {expr!r}: {error.read().decode()[:200]}") from None
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"--prometheus {prometheus!r}: no Prometheus answers there ({error}). Start one on the"
            " file that Ray writes (`raygan dashboards install` tells how), or name another"
            " address."
        ) from None
    return found


HOW = """Grafana: point a dashboard provider at {folder} (Ray's own files lie there too when
  RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR={folder} was set before `ray start --head`).
Prometheus: scrape the file that Ray writes, and load the rules:
  scrape_configs: [{{job_name: ray, file_sd_configs: [
    {{files: [/tmp/ray/prom_metrics_service_discovery.json]}}]}}]
  rule_files: [{folder}/alerts.yml]"""

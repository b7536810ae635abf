"""The committed files are what the dataclasses say; a real Prometheus sees what they ask for."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygan.actors.gauges import PLAYER, RUN
from raygan.controller.run_folder import NAME
from raygan.errors import ConfigError
from raygan.service.cluster import dashboards as made
from raygan.service.cluster.panel_pictures import draw
from raygan.strategies.roles import PLAYER as NAMES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", made.files())
def test_the_committed_file_is_current(name: str) -> None:
    assert (ROOT / "dashboards" / name).read_text() == made.files()[name], (
        "run `raygan dashboards install --to dashboards`"
    )


def test_every_gauge_is_asked_for_and_every_question_names_one() -> None:
    asked = {
        name for _, expr in made.expressions() for name in re.findall(r"ray_(raygan_\w+)", expr)
    }
    assert asked <= set(PLAYER | RUN), "a panel asks for what nobody exports"
    assert set(PLAYER | RUN) - asked == {
        "raygan_steps",
        "raygan_high_quality",
        "raygan_busy_seconds",
    }


def test_questions_are_questions_and_panels_do_not_overlap() -> None:
    for name in ("raygan.json", "raygan-sweep.json"):
        panels = json.loads(made.files()[name])["panels"]
        assert all(p["title"].endswith("?") for p in panels)
        assert len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}) == len(panels)
        assert len({p["id"] for p in panels}) == len(panels)


def test_nothing_that_users_name_is_in_a_query_but_by_its_label() -> None:
    """Runs and players are what their patterns allow; own metrics have no series and no panel of
    their own.
    """
    texts = [q.legend for d in (made.ONE_RUN, made.SWEEP) for p in d.panels for q in p.queries]
    assert {name for text in texts for name in re.findall(r"{{(.*?)}}", text)} == {"run", "player"}
    said = {name for a in made.ALERTS for name in re.findall(r"\$labels\.(\w+)", a.summary)}
    assert said == {"run", "player"}
    for plain in (NAME.pattern, NAMES.pattern):
        assert not [c for c in "\"'\\{}<>$|*&\n " if re.fullmatch(plain, f"a{c}a")], plain


def test_every_alert_has_its_page() -> None:
    for rule in yaml.safe_load(made.alerts_yaml())["groups"][0]["rules"]:
        page = ROOT / rule["annotations"]["runbook_url"]
        assert page.exists(), rule["alert"]
        assert "What to do" in page.read_text()


def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    assert shutil.which("promtool"), "prometheus is not installed: apt-get install prometheus"
    (tmp_path / "alerts.yml").write_text(made.alerts_yaml())
    done = subprocess.run(
        ["promtool", "check", "rules", "alerts.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(made.ALERTS)} rules found" in done.stdout


def labels(player: str = "") -> str:
    return f'{{run="r", player="{player}", role="pair"}}' if player else '{run="r"}'


# name, its series (promtool's notation, 15 s apart), when it is silent yet, when it fires, the text
FIRES = [
    ("RayganPairDead", {"heartbeat_age_seconds|pair-00": "0+15x40",
                        "heartbeat_age_seconds|pair-01": "1x40"}, "30s", "60s", "pair-00",
     "pair-00 of r has given no sign of life for 1m 0s."),
    ("RayganPairsDie", {"deaths|pair-00": "0x20 1x20 2x40", "deaths|pair-01": "0x40 1x40"}, "10m",
     "11m", "", "Players of r died or hung 3 times in 10 minutes."),
    ("RayganDriverSilent", {"driver_age_seconds|": "0+15x40"}, "60s", "75s", "",
     "The driver of r has been silent for 1m 15s."),
    ("RayganSaturatedDiscriminator", {"d_accuracy|pair-00": "1x60", "d_accuracy|pair-01": "0.7x60"},
     "4m", "10m", "pair-00", "D of pair-00 in r tells real from fake without a mistake."),
    ("RayganNonFiniteSteps", {"bad_steps|pair-00": "0x20 3x60", "bad_steps|pair-01": "4x80"}, "4m",
     "6m", "pair-00", "pair-00 of r skips steps with NaN or infinity."),
    ("RayganObjectStoreFilling", {"object_store_bytes|": "60x8 80x40",
                                  "object_store_capacity_bytes|": "100x48"}, "2m", "4m", "",
     "80% of the object store is in use."),
    ("RayganCheckpointOld", {"checkpoint_age_seconds|": "0+15x400"}, "60m", "61m", "",
     "r has had no checkpoint for 1h 1m 0s."),
    ("RayganWorkLost", {"kept_ratio|": "1x20 0.6x60"}, "8m", "14m", "",
     "40% of what r has trained was in vain: it went back to checkpoints."),
    ("RayganPreempted", {"notices|": "0x100 1x20 4x100"}, "28m", "55m", "",
     "4 players of r were told to go within an hour."),
    ("RayganCostly", {"player_seconds|": "85000+15x200"}, "20m", "30m", "",
     "r has cost 1d 0h 6m 40s of players' time."),
]  # fmt: skip


def test_every_alert_is_tried() -> None:
    assert [name for name, *_ in FIRES] == [a.name for a in made.ALERTS]


@pytest.mark.parametrize(("name", "series", "silent", "at", "player", "text"), FIRES)
def test_an_alert_fires_when_it_should_and_only_then(
    name: str, series: dict[str, str], silent: str, at: str, player: str, text: str, tmp_path: Path
) -> None:
    """By promtool's own rule tests: of two players it names the one, and no other alert fires."""
    (tmp_path / "alerts.yml").write_text(made.alerts_yaml())
    alert = next(a for a in made.ALERTS if a.name == name)
    given = [
        {"series": f"ray_raygan_{what.partition('|')[0]}{labels(what.partition('|')[2])}",
         "values": values} for what, values in series.items()
    ]  # fmt: skip
    fires = {
        "exp_labels": {"severity": alert.severity, "run": "r"}
        | ({"player": player} if player else {}),
        "exp_annotations": {"summary": text, "runbook_url": f"docs/warnings/{alert.page}.md"},
    }
    cases = [{"eval_time": silent, "alertname": a.name, "exp_alerts": []} for a in made.ALERTS]
    cases += [{"eval_time": at, "alertname": a.name, "exp_alerts": [fires] * (a is alert)}
              for a in made.ALERTS]  # fmt: skip
    tests = [{"interval": "15s", "input_series": given, "alert_rule_test": cases}]
    test = {"rule_files": ["alerts.yml"], "evaluation_interval": "15s", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR", raising=False)
    with pytest.raises(ConfigError, match="where to"):
        made.install(None)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write there"):
        made.install(tmp_path / "file" / "below")
    with pytest.raises(ConfigError, match="no Prometheus answers there"):
        made.query("http://127.0.0.1:9", "up")
    monkeypatch.setenv("RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR", str(tmp_path / "grafana"))
    assert sorted(p.name for p in made.install(None).iterdir()) == sorted(made.files())


# -------------------------------------------------------------------------------------------- a
# real Prometheus


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def prometheus(ray_session: None, tmp_path: Path) -> Iterator[str]:
    """One that scrapes this session's Ray every two seconds."""
    import ray

    node = next(n for n in ray.nodes() if n["Alive"])
    target = f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}"
    (tmp_path / "alerts.yml").write_text(made.alerts_yaml())
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "ray", "static_configs": [{"targets": [target]}]}],
    }))  # fmt: skip
    port = free_port()
    process = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path}/prometheus.yml",
         f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(address), 30)
    yield address
    process.terminate()
    process.wait(20)


def answers(address: str) -> bool:
    try:
        made.query(address, "vector(1)")
    except ConfigError:
        return False
    return True


def wait_for(what: "object", timeout_s: float) -> float:
    """Seconds until `what()` is true."""
    began = time.monotonic()
    while not what():  # type: ignore[operator]
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s} s"
        time.sleep(0.25)
    return time.monotonic() - began


def eighteen_more_runs() -> list[Any]:
    """Hubs of so many runs, each with a row told; with the two that train that makes twenty."""
    import ray

    from raygan.actors.hub import HubActor

    actor: Any = ray.remote(HubActor)
    hubs = [actor.options(num_cpus=0).remote(f"more-{i}") for i in range(18)]
    row = (
        json.dumps({"kind": "train", "player": "pair-00", "step": 1, "steps": 1, "loss_d": 1.0})
        + "\n"
    )
    ray.get(
        [
            hub.push.remote("", {"metrics.jsonl": (0, row.encode())}, {}, {"pair-00": 0.1})
            for hub in hubs
        ]
    )
    return hubs


@pytest.mark.ray
@pytest.mark.exhaustive
@pytest.mark.timeout(280)
def test_a_real_prometheus_sees_it_all(prometheus: str, tmp_path: Path) -> None:
    """SGAN over GAP and PMGAN at once: every expression has series, a killed pair is seen, none of
    20 runs' series stays.
    """
    import ray

    address = ray.get_runtime_context().gcs_address
    small = ["--batch-size", "16", "--network.hidden", "16", "--steps", "1000000",
             "--checkpoint.every-steps", "200", "--quiet", "--evaluation.every-steps", "200",
             "--evaluation.samples", "1600", "--resources.spares", "0",
             "--resources.cpus-per-pair", "0.1", "--failures.death", "without", "--tempo", "async",
             "--run-dir", str(tmp_path), "--address", address]  # fmt: skip
    kinds = {
        "swaps": [
            "--preset",
            "ring8-sgan-gap",
            "--num-pairs",
            "3",
            "--strategy.over.swap-every",
            "20",
        ],
        "slots": ["--preset", "ring8-pmgan", "--num-pairs", "2"],
    }
    env = {**os.environ, "RAY_AUTH_MODE": "token"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "raygan.cli", "train", *flags, *small, "--name", name], env=env
        )
        for name, flags in kinds.items()
    ]
    try:
        missing = list(made.expressions())

        def all_there() -> bool:
            assert all(r.poll() is None for r in runs), "a run has ended"
            missing[:] = [m for m in missing if not made.query(prometheus, m[1])]
            return not missing

        wait_for(all_there, 150)
        for page in (made.ONE_RUN, made.SWEEP):
            assert draw(page, prometheus, "swaps|slots")[1] == [], "a panel is empty"
        labels = {
            key
            for series in made.query(prometheus, '{__name__=~"ray_raygan_.*"}')
            for key in series["metric"]
        }
        assert {key for key in labels if key.islower() and not key.startswith(("__", "otel_"))} == {
            "run", "player", "role", "instance", "job",
        }  # fmt: skip
        assert not [key for key in labels if "path" in key.lower()]
        info = json.loads((tmp_path / "swaps/run.json").read_text())
        os.kill(info["players"]["pair-01"]["pid"], signal.SIGKILL)
        dead = 'ray_raygan_deaths{run="swaps", player="pair-01"} > 0'
        assert wait_for(lambda: made.query(prometheus, dead), 60) < 60
        # retired for it, it is no pair that could be dead: nobody is called for the rest of the run
        age = 'ray_raygan_heartbeat_age_seconds{run="swaps", player="pair-01"}'
        wait_for(lambda: not made.query(prometheus, age), 60)
        others = made.query(
            prometheus, 'ray_raygan_heartbeat_age_seconds{run="swaps", player="pair-00"} > 20'
        )
        assert others == [], "only the killed one is silent"
    finally:
        for run in runs:
            run.terminate()
        codes = [run.wait(60) for run in runs]
    assert codes == [143, 143]
    hubs = eighteen_more_runs()
    mine = 'count(count by (run) (ray_raygan_loss_d{run=~"more-.*"})) == 18'
    wait_for(lambda: made.query(prometheus, mine), 100)
    ray.get([hub.bye.remote() for hub in hubs])
    for hub in hubs:
        ray.kill(hub)
    wait_for(
        lambda: not made.query(prometheus, '{__name__=~"ray_raygan_.*"}'), 100
    )  # no series outlives its run

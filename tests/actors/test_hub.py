"""The hub: knows what the folder says, is told again after a death, holds nobody up, forgets
nothing silently.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygan.actors import hub as hub_module
from raygan.actors.gauges import Gauges, Series
from raygan.actors.hub import HubActor, Log
from raygan.controller.jsonl import tail
from raygan.controller.run_folder import RunFolder
from raygan.errors import ConfigError
from raygan.service.views import follow as feed
from raygan.service.views.state import state
from raygan.strategies.roles import Role
from tests.actors.fakes import Actor, Ray
from tests.conftest import TINY

FLAGS = ["--batch-size", "16", "--network.hidden", "16", "--network.z-dim", "2",
         "--evaluation.every-steps", "100", "--evaluation.samples", "1600",
         "--checkpoint.every-steps", "100", "--resources.spares", "0", "--quiet"]  # fmt: skip


def hub() -> HubActor:
    return HubActor("run", gauges=False)


def told(*players: str) -> dict[str, Any]:
    """run.json, of these pairs."""
    return {"roster": list(players), "roles": {p: asdict(Role()) for p in players}}


def test_the_end_of_a_log_joins_on_wherever_the_sender_begins() -> None:
    log = Log()
    assert log.append(0, b"a\nb\n") == [b"a", b"b"]
    assert log.append(0, b"a\nb\n") == [], "told twice, counted once"
    assert log.append(6, b"d\n") == [], "a gap is not closed by guessing"
    assert log.append(2, b"b\nc\n") == [b"c"]
    assert log.since(2) == (2, b"b\nc\n")


def test_a_long_log_is_cut_at_a_line_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "KEEP_BYTES", 10)
    log = Log()
    for i in range(5):
        log.append(log.end, b"line%d\n" % i)
    assert (log.begin, bytes(log.raw)) == (24, b"line4\n")
    assert log.dropped == 24
    assert log.since(0) == (24, b"line4\n"), "a reader sees where it begins"


def test_a_hub_that_was_made_again_is_told_from_the_beginning() -> None:
    h = hub()
    row = (
        json.dumps(
            {"kind": "train", "player": "pair-00", "step": 5, "steps": 5, "seconds": 1.0}
        ).encode()
        + b"\n"
    )
    life, known, _ = h.push("", {"metrics.jsonl": (0, row)}, {}, {})
    assert known["metrics.jsonl"] == len(row)
    again = hub()
    _, known, _ = again.push(life, {"metrics.jsonl": (len(row), row)}, {}, {})
    assert known["metrics.jsonl"] == 0, "what was meant for its forerunner does not join on"


def test_requests_are_handed_over_once() -> None:
    h = hub()
    h.ask({"verb": "stop"})
    assert h.push("", {}, {}, {})[2] == [{"verb": "stop"}]
    assert h.push("", {}, {}, {})[2] == []


def test_a_dead_player_shows_by_its_age_and_not_by_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("raygan.actors.gauges.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Series, "_gauge", lambda self, name: Sink())
    gauges = Gauges("run")
    gauges.info(told("pair-00", "pair-01"))
    gauges.beats({"pair-00": 0.5, "pair-01": 0.5})
    clock[0] += 50
    gauges.beats({"pair-00": 0.2})  # pair-01 answers no more
    gauges.tick()
    ages = {
        p: v for (n, p), v in gauges.series.values.items() if n == "raygan_heartbeat_age_seconds"
    }
    assert ages == pytest.approx({"pair-00": 0.2, "pair-01": 50.5})
    gauges.info(told("pair-00", "pair-01") | {"roster": ["pair-00"]})
    gauges.take("events.jsonl", {"kind": "leave", "player": "pair-01"})
    gauges.tick()
    assert not [k for k in gauges.series.values if k[1] == "pair-01"], (
        "who has left by `scale` is not dead"
    )


def test_nobody_is_dead_while_a_run_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is pushed for minutes then, and pages would go out for every pair."""
    monkeypatch.setattr(Series, "_gauge", lambda self, name: Sink())
    h = hub()
    info = json.dumps(told("pair-00")).encode()
    h.push("", {}, {"run.json": info}, {"pair-00": 0.1})
    h.gauges.tick()
    assert h.gauges.series.values
    h.rest()
    h.push(h.life, {}, {"run.json": info + b" "}, {"pair-00": 0.1})
    assert not h.gauges.series.values
    assert h.files["run.json"] == info + b" ", "who looks on is told"


def test_what_had_to_be_done_again_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Series, "_gauge", lambda self, name: Sink())
    gauges = Gauges("run")
    gauges.info(told("pair-00", "pair-01"))
    gauges.beats({"pair-00": 0.1, "pair-01": 0.1})
    # both to 100; back to 60; both to 100 again; one was told to go
    for step, steps in ((100, 100), (80, 20), (100, 20)):
        for player in ("pair-00", "pair-01"):
            row = {"kind": "train", "player": player, "step": step, "steps": steps}
            gauges.take("metrics.jsonl", row)
    gauges.take("events.jsonl", {"kind": "notice", "player": "pair-01", "step": 100})
    gauges.tick()
    values = {n: v for (n, p), v in gauges.series.values.items() if not p}
    assert values["raygan_kept_ratio"] == pytest.approx(100 / 140)
    assert values["raygan_notices"] == 1


def test_what_a_run_cost_counts_also_who_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Series, "_gauge", lambda self, name: Sink())
    gauges = Gauges("run")
    row = {"kind": "train", "player": "pair-01", "step": 5, "steps": 5, "seconds": 2.0}
    gauges.take("metrics.jsonl", row)
    gauges.take("events.jsonl", {"kind": "leave", "player": "pair-01"})
    gauges.take("metrics.jsonl", row | {"elapsed": 9.0})
    whole = {n: v for (n, p), v in gauges.series.values.items() if not p}
    assert whole["raygan_player_seconds"] == 4.0
    assert whole["raygan_elapsed_seconds"] == 9.0
    assert not [k for k in gauges.series.values if k[1] == "pair-01"]


def exported(gauges: Gauges, name: str) -> dict[str, float]:
    """player -> what Prometheus is told of it."""
    gauges.tick()
    return {p: value for (n, p), value in gauges.series.values.items() if n == f"raygan_{name}"}


def row(player: str, step: int) -> bytes:
    """A line of metrics.jsonl."""
    facts = {"kind": "train", "player": player, "step": step, "steps": step, "seconds": 1.0}
    return json.dumps(facts | {"elapsed": 8.0}).encode() + b"\n"


def event(kind: str, player: str) -> bytes:
    """A line of events.jsonl."""
    return json.dumps({"kind": kind, "player": player, "step": 8, "time": 1.0}).encode() + b"\n"


def test_progress_is_of_players_and_not_of_whoever_else_gives_signs_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Series, "_gauge", lambda self, name: Sink())
    gauges, others = Gauges("run"), ("board", "matchmaker", "deputy-0", "evaluator")
    gauges.info(told("pair-00", "pair-01") | {"total_steps": 8})
    for player in ("pair-00", "pair-01"):
        gauges.take("metrics.jsonl", json.loads(row(player, 8)))
    gauges.beats(dict.fromkeys(("pair-00", "pair-01", *others), 0.1))
    assert exported(gauges, "progress_ratio") == {"": 1.0}
    assert exported(gauges, "eta_seconds") == {"": 0.0}
    assert sorted(exported(gauges, "heartbeat_age_seconds")) == ["pair-00", "pair-01"]


@pytest.mark.parametrize("how", ["leave", "retire"])
def test_who_has_left_stays_away_whatever_comes_with_the_news(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The push that tells of it may still have its age; its last rows come later."""
    monkeypatch.setattr(Series, "_gauge", lambda self, name: Sink())
    h, ages = hub(), {"pair-00": 0.1, "pair-01": 0.1}
    info = told("pair-00", "pair-01")
    lines = row("pair-00", 8) + row("pair-01", 8)
    events = event("death", "pair-01") + event(how, "pair-01")
    h.push("", {"metrics.jsonl": (0, lines)}, {"run.json": json.dumps(info).encode()}, ages)
    assert sorted(exported(h.gauges, "heartbeat_age_seconds")) == ["pair-00", "pair-01"]
    here = json.dumps(info | {"roster": ["pair-00"]}).encode()
    h.push("", {"events.jsonl": (0, events)}, {"run.json": here}, ages)
    h.push("", {"metrics.jsonl": (len(lines), row("pair-01", 9))}, {}, ages)
    assert list(exported(h.gauges, "heartbeat_age_seconds")) == ["pair-00"]
    assert list(exported(h.gauges, "steps")) == ["pair-00"]
    died = exported(h.gauges, "deaths").get("pair-01")
    assert died == (1.0 if how == "retire" else None), "what it was retired for stays told"
    # all go back to a checkpoint of before
    h.push("", {}, {"run.json": json.dumps(info).encode()}, ages)
    assert sorted(exported(h.gauges, "heartbeat_age_seconds")) == ["pair-00", "pair-01"]


def test_who_is_on_its_way_back_is_seen_by_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is off the roster meanwhile, and nobody has said that it is gone for good."""
    clock = [100.0]
    monkeypatch.setattr("raygan.actors.gauges.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Series, "_gauge", lambda self, name: Sink())
    gauges = Gauges("run")
    gauges.info(told("pair-00", "pair-01"))
    gauges.beats({"pair-00": 0.0, "pair-01": 0.0})
    gauges.info(told("pair-00", "pair-01") | {"roster": ["pair-00"]})
    clock[0] += 60
    gauges.beats({"pair-00": 0.0})
    assert exported(gauges, "heartbeat_age_seconds") == {"pair-00": 0.0, "pair-01": 60.0}


HOSTILE = [
    'pair"} 1\nray_raygan_up{run="other',
    "<script>alert(1)</script>", "{{ $value }}", "[a](javascript:x)", "pair-00\n", "$run", "a|.*",
    "",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_label_says_what_no_player_is_called(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A run that is gone on with may be somebody else's, and its logs say what they like."""
    labels: list[dict[str, str]] = []

    class Seen(Sink):
        def set(self, value: float, tags: dict[str, str]) -> None:
            labels.append(tags)

    monkeypatch.setattr(Series, "_gauge", lambda self, name: Seen())
    gauges = Gauges("run")
    gauges.info(told("pair-00", name))
    gauges.beats({"pair-00": 0.5, name: 0.5})
    for player in (name, "pair-00"):
        gauges.take(
            "metrics.jsonl",
            {"kind": "train", "player": player, "step": 1, "steps": 1, "seconds": 1.0},
        )
        gauges.take(
            "metrics.jsonl", {"kind": "score", "player": player, "step": 1, name: 1.0, "score": 2.0}
        )
        move = {"player": player, "from": name, "identity": name, "bytes": 5}
        gauges.take("events.jsonl", {"kind": "swap", "step": 1, "moves": [move]})
        gauges.take("events.jsonl", {"kind": "death", "step": 1, "player": player})
    gauges.tick()
    assert {(t["run"], t["player"], t["role"]) for t in labels} == {
        ("run", "pair-00", "pair"),
        ("run", "", "run"),
    }


@pytest.mark.parametrize("value", ["many", None, [1]])
def test_what_is_no_number_is_left_and_the_rest_is_shown(value: Any) -> None:
    gauges = Gauges("run")
    gauges.take(
        "metrics.jsonl",
        {"kind": "train", "player": "pair-00", "step": 3, "steps": 1, "seconds": value},
    )
    gauges.take("metrics.jsonl", {"kind": "score", "player": "pair-00", "step": 3, "modes": value})
    gauges.take("events.jsonl", {"kind": "checkpoint", "step": 3, "time": value, "bytes": 1})
    gauges.take(
        "metrics.jsonl",
        {"kind": "train", "player": "pair-00", "step": 4, "steps": 1, "seconds": 1.0},
    )
    assert gauges.series.values["raygan_steps", "pair-00"] == 4.0
    assert ("raygan_modes", "pair-00") not in gauges.series.values


class Sink:
    def set(self, value: float, tags: dict[str, str]) -> None: ...


def test_ten_thousand_rows_a_second(tmp_path: Path) -> None:
    """The hub's own work on a row, gauges and all, is far below 0.1 ms."""
    rows = b"".join(
        json.dumps({"kind": "train", "player": f"pair-{i % 8:02d}", "step": i, "steps": 1,
                    "seconds": 0.01, "loss_d": 1.0, "loss_g": 0.7, "d_accuracy": 0.6,
                    "elapsed": i / 100}).encode() + b"\n"
        for i in range(10_000)
    )  # fmt: skip
    h, began = hub(), time.process_time()
    h.push("", {"metrics.jsonl": (0, rows)}, {}, {})
    assert time.process_time() - began < 1.0


# --------------------------------------------------------------------------------------------------
# on Ray


def start(tmp_path: Path, name: str, *flags: str) -> subprocess.Popen[bytes]:
    import ray

    address = ray.get_runtime_context().gcs_address
    command = [
        sys.executable,
        "-m",
        "raygan.cli",
        "train",
        *FLAGS,
        *flags,
        "--name",
        name,
        "--run-dir",
        str(tmp_path / "elsewhere"),
    ]
    return subprocess.Popen(
        [*command, "--address", address], env={**os.environ, "RAY_AUTH_MODE": "token"}
    )


def eventually(what: Any, timeout_s: float = 90.0) -> Any:
    """The first true value of `what()`; a ConfigError is "not yet"."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if value := what():
                return value
        except ConfigError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"not within {timeout_s} s")


@pytest.mark.ray
@pytest.mark.exhaustive
def test_a_run_is_followed_scaled_and_stopped_through_its_hub(
    ray_session: None, tmp_path: Path
) -> None:
    """From a process that does not see the run's folder; also after the hub was killed."""
    import ray

    driver = start(
        tmp_path, "afar", "--preset", "ring8-pmgan", "--num-pairs", "2", "--strategy.classes", "4",
        "--steps", "1000000", "--tempo", "async", "--resources.cpus-per-pair", "0.2",
    )  # fmt: skip
    try:

        def look() -> dict[str, Any]:
            with feed.follow("afar") as seen:
                return state(seen.run)

        eventually(lambda: look()["players"][0]["step"] > 0)
        with feed.follow("afar") as seen:
            assert feed.scale(seen, 3).startswith("afar: 3 members since step")
            before = state(seen.run)
            assert [p["player"] for p in before["players"]] == [
                "gen-00",
                "gen-01",
                "gen-02",
                "judge",
            ]
            ray.kill(ray.get_actor("raygan/afar/hub"), no_restart=False)
        eventually(lambda: look()["players"][0]["step"] > before["players"][0]["step"])
        with feed.follow("afar") as seen:
            folder = tmp_path / "elsewhere/afar"
            eventually(
                lambda: seen.refresh() and (seen.run.path / "events.jsonl").stat().st_size > 0
            )
            mine = (seen.run.path / "metrics.jsonl").read_bytes()
            assert (folder / "metrics.jsonl").read_bytes().startswith(mine), (
                "told again from the beginning"
            )
            with pytest.raises(ConfigError, match="classifier has 4 classes"):
                feed.scale(seen, 9)
            assert feed.stop(seen).startswith("afar: ")
        assert driver.wait(60) == 143
        with (
            pytest.raises(ConfigError, match="Nor is it a run that goes on on the cluster"),
            feed.follow("afar"),
        ):
            pass
    finally:
        driver.kill()


@pytest.mark.ray
@pytest.mark.exhaustive
def test_a_stop_in_the_middle_of_swaps_saves_within_five_seconds(
    ray_session: None, tmp_path: Path
) -> None:
    """SIGTERM to the driver: a checkpoint within 5 s, exit code 143; what is resumed ends with the
    bits of an undisturbed run.
    """
    from raygan.controller.checkpoint import newest_valid
    from raygan.service.resuming import resume_run

    steps = ["--preset", "ring8-gap", "--num-pairs", "2", "--strategy.swap-every", "5",
             "--round-steps", "5", "--steps", "400", "--resources.cpus-per-pair", "0.2",
             "--data.train", "400", "--data.held-out", "1600"]  # fmt: skip
    driver = start(tmp_path, "stopped", *steps)
    folder = tmp_path / "elsewhere/stopped"
    try:
        eventually(
            lambda: (
                (folder / "events.jsonl").exists()
                and b'"swap"' in (folder / "events.jsonl").read_bytes()
            )
        )
        began = time.monotonic()
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(30) == 143
        took = time.monotonic() - began
    finally:
        driver.kill()
    found, _ = newest_valid(folder)
    assert found is not None
    assert 0 < found.step < 400
    asked = time.time() - (time.monotonic() - began)  # noqa: TID251
    saved = (folder / "run.json").stat().st_mtime - asked
    assert saved < 5.0, f"saved after {saved:.1f} s, gone after {took:.1f} s"
    run = resume_run(folder, address="auto")
    assert start(tmp_path, "whole", *steps).wait(120) == 0
    whole, ended = newest_valid(tmp_path / "elsewhere/whole")[0], newest_valid(run.path)[0]
    assert whole is not None
    assert ended is not None
    assert ended.parts == whole.parts, "bit for bit"


@pytest.mark.ray
@pytest.mark.exhaustive
def test_two_runs_on_a_full_cluster_take_turns(ray_session: None, tmp_path: Path) -> None:
    """Each wants more than half of the CPUs: one waits, all of its players at once (one placement
    group), and both end.
    """
    import ray

    share = str(round(0.3 * ray.cluster_resources()["CPU"], 2))
    flags = [
        "--preset",
        "ring8-gap",
        "--num-pairs",
        "2",
        "--steps",
        "200",
        "--resources.cpus-per-pair",
        share,
    ]
    drivers = [start(tmp_path, f"turn{i}", *flags) for i in range(2)]
    try:
        assert [d.wait(150) for d in drivers] == [0, 0]
    finally:
        for d in drivers:
            d.kill()
    ran = [json.loads((tmp_path / f"elsewhere/turn{i}/run.json").read_text()) for i in range(2)]
    assert all(info["status"] == "done" for info in ran)


def test_stop_by_a_file_beside_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`raygan stop` on a run whose folder is seen: the driver finds the request, saves and ends."""
    from raygan.config import resolve
    from raygan.errors import Interrupted
    from raygan.service.training import train

    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    flags = {k: v for k, v in TINY.items() if k not in ("resources", "pair")} | {
        "steps": 100_000,
        "strategy": {"name": "gap"},
    }
    answers: list[str] = []

    def ask() -> None:
        eventually(lambda: (tmp_path / "mine/metrics.jsonl").exists())
        with feed.follow(str(tmp_path / "mine")) as seen:
            answers.append(feed.stop(seen))

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(Interrupted):
        train(resolve(flags=flags), run_dir=tmp_path, name="mine", inline=True)
    asking.join(30)
    assert answers
    assert "stopped after" in answers[0]
    assert not (tmp_path / "mine/stop.json").exists()
    with (
        feed.follow(str(tmp_path / "mine")) as seen,
        pytest.raises(ConfigError, match="is stopped, not running"),
    ):
        feed.stop(seen)


@pytest.mark.parametrize(
    "sent", [({}, {"../../evil": b"x"}), ({"../../evil": (0, b"x")}, {})], ids=["whole", "added"]
)
def test_a_foreign_hub_writes_nowhere_else(
    sent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with `..` in it, from a cluster that is not to be trusted."""
    from raygan.errors import RayganError

    (tmp_path / "copy" / "samples").mkdir(parents=True)
    seen = object.__new__(feed.HubFeed)
    seen.path, seen.offsets, seen.skipped, seen.who = tmp_path / "copy", {}, 0, "me"

    class Read:
        @staticmethod
        def remote(*_: Any) -> Any:
            return sent

    seen.hub = SimpleNamespace(read=Read)
    monkeypatch.setattr("ray.get", lambda reference, timeout: reference)
    with pytest.raises(RayganError, match="outside the run's folder"):
        seen.refresh()
    assert not (tmp_path.parent / "evil").exists()


@pytest.fixture
def two_hubs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A cluster on which two runs of one name go on, and one of another."""
    there = {"raygan/mine/hub": "/a/mine", "raygan/mine/hub@2": "/b/mine", "raygan/mine2/hub": "/a"}
    hubs = {name: Actor(name, lies=folder) for name, folder in there.items()}
    names = [*there, "raygan/mine/pair-00", "raygan/mine/hub@3"]  # that one is gone by now
    fake = Ray()
    monkeypatch.setattr(hub_module, "list_named_actors", lambda: names)

    def get_actor(name: str) -> Any:
        if name not in hubs:
            raise ValueError(name)
        return hubs[name]

    monkeypatch.setattr(hub_module.ray, "get_actor", get_actor)
    monkeypatch.setattr(hub_module.ray, "get", fake.get)
    monkeypatch.setattr("raygan.actors.cluster.cluster", lambda *a, **k: contextlib.nullcontext())
    monkeypatch.setattr(feed, "cluster_jobs", list)
    monkeypatch.setattr(
        feed,
        "HubFeed",
        lambda name, hub, folder: SimpleNamespace(name=name, hub=hub, leave=lambda: None),
    )
    return hubs


def test_two_runs_of_one_name_are_followed_by_their_folders(two_hubs: dict[str, Any]) -> None:
    for folder, name in (("/a/mine", "raygan/mine/hub"), ("/b/mine", "raygan/mine/hub@2")):
        with feed.follow(folder) as seen:
            assert (seen.name, seen.hub) == ("mine", two_hubs[name])  # type: ignore[attr-defined]
    with feed.follow("mine2") as seen:
        assert seen.hub is two_hubs["raygan/mine2/hub"]  # type: ignore[attr-defined]
    for run, complaint in {
        "mine": (
            "2 runs of that name go on on the cluster, in /a/mine and /b/mine. Name the folder."
        ),
        "/c/mine": "Nor is it a run that goes on on the cluster",
        "other": "Nor is it a run that goes on on the cluster",
    }.items():
        with pytest.raises(ConfigError) as told, feed.follow(run):
            pass
        assert complaint in str(told.value)


@pytest.mark.parametrize("run", ["done", "/r/done"])
@pytest.mark.parametrize(
    ("job", "says"),
    [
        (
            {"status": "SUCCEEDED", "exit_code": 0},
            "has ended (SUCCEEDED, exit code 0, job done-1). `raygan fetch done-1` brings its"
            " folder; `raygan submit -- status /r/done` looks",
        ),
        ({"status": "FAILED", "exit_code": 5}, "has ended (FAILED, exit code 5, job done-1)"),
        ({"status": "PENDING", "exit_code": None},
         "is PENDING as job done-1, and tells nothing yet"),
        ({"status": "SUCCEEDED", "exit_code": 0, "run": "other"}, "Nor is it a run that goes on"),
    ],
)  # fmt: skip
def test_a_run_that_was_submitted_is_told_by_its_job(
    run: str, job: dict[str, Any], says: str, two_hubs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [
        {"id": "other-1", "run": "other", "run_dir": "/r", "status": "RUNNING", "exit_code": None},
        {"id": "done-1", "run": "done", "run_dir": "/r", **job},
    ]
    monkeypatch.setattr(feed, "cluster_jobs", lambda: sent)
    with pytest.raises(ConfigError) as told, feed.follow(run):
        pass
    assert says in str(told.value)


def test_a_path_that_is_none_is_told_as_a_path_where_there_is_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*args: Any, **options: Any) -> Any:
        raise ConfigError("address = 'auto': nobody listens there")

    monkeypatch.setattr("raygan.actors.cluster.cluster", nobody)
    with pytest.raises(ConfigError) as told, feed.follow(str(tmp_path / "mine")):
        pass
    assert "is not a run folder" in str(told.value)
    assert "nobody listens" not in str(told.value)


def test_the_folder_of_a_run_is_all_that_the_hub_link_reads(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r")
    (folder.path / "metrics.jsonl").write_bytes(b'{"a": 1}\n{"torn')
    assert tail(folder.path / "metrics.jsonl", 0, 100) == b'{"a": 1}\n', (
        "a line that is still being written waits"
    )
    assert tail(folder.path / "nothing", 0, 100) == b""

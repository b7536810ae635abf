"""What `raygan watch` returns: never 0 for a run that did not end well."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from raygan.actors import hub_link
from raygan.actors.hub import LOOKS_S, HubActor
from raygan.cli import console, main
from raygan.errors import OutOfSightError
from raygan.service.views import outcome
from raygan.service.views.follow import HubFeed
from raygan.service.views.state import state, state_text
from tests.actors.fakes import Ray
from tests.conftest import tiny_config


def written(path: Path, **info: Any) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(tiny_config().model_dump_json())
    facts = {"status": "running", "exit_code": None, "started": 100.0, "created": 1.0, **info}
    (path / "run.json").write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"status": "running", "pid": 2**22 + 1}, 1),
        ({"status": "starting", "pid": 2**22 + 1}, 1),
        ({"status": "done", "exit_code": 0}, 0),
        ({"status": "degraded", "exit_code": 4}, 4),
        ({"status": "stopped", "exit_code": 143}, 143),
    ],
)
def test_watch_returns_how_the_run_ended_and_1_for_one_that_is_lost(
    info: dict[str, Any], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import platform

    path = written(tmp_path / "mine", host=platform.node(), **info)
    with pytest.raises(SystemExit) as ended:
        main(["watch", str(path)])
    assert ended.value.code == code
    assert ("lost" in capsys.readouterr().out) == (info["status"] in ("running", "starting"))


class Here:
    """A hub's handle: each call is made here and now."""

    def __init__(self, hub: HubActor) -> None:
        self.hub = hub

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.hub, name)
        return type("Method", (), {"remote": staticmethod(method)})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubActor:
    made = HubActor("mine", gauges=False)
    monkeypatch.setattr("ray.get", lambda reference, timeout: reference)
    raw = (written(tmp_path / "there") / "run.json").read_bytes()
    config = (tmp_path / "there/config.json").read_bytes()
    made.push("", {}, {"run.json": raw, "config.json": config}, {})
    return made


def test_through_the_hub_an_end_is_seen_once_it_is_told(hub: HubActor, tmp_path: Path) -> None:
    feed = HubFeed("mine", Here(hub), tmp_path)
    assert feed.refresh(), "it goes on"
    failed = {"status": "failed", "exit_code": 3, "created": 1.0}
    hub.push("", {}, {"run.json": json.dumps(failed).encode()}, {})
    assert not feed.refresh()
    assert outcome.exit_code(feed) == 3


@pytest.mark.parametrize(
    ("jobs", "code"),
    [
        ([], None),
        ([{"run": "mine", "exit_code": 5, "ended": 200.0}], 5),
        ([{"run": "mine", "exit_code": 0, "ended": 99.0}], None),
        ([{"run": "mine", "exit_code": None, "ended": 0.0}], None),
        ([{"run": "other", "exit_code": 0, "ended": 200.0}], None),
    ],
    ids=["none", "its job", "an earlier life's", "goes on", "another run's"],
)
def test_a_hub_that_went_without_an_end_leaves_it_to_the_jobs(
    jobs: list[Any], code: int | None, hub: HubActor, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from ray.exceptions import RayActorError

    feed = HubFeed("mine", Here(hub), tmp_path)

    def gone(*args: Any) -> Any:
        raise RayActorError

    monkeypatch.setattr(hub, "read", gone)
    monkeypatch.setattr(outcome, "cluster_jobs", lambda: jobs)
    assert not feed.refresh()
    if code is not None:
        assert outcome.exit_code(feed) == code
        return
    with pytest.raises(OutOfSightError, match="has told no end") as told:
        outcome.exit_code(feed)
    assert told.value.exit_code == 7


@pytest.mark.parametrize("look", [2, 1, 0])
def test_a_hub_stays_until_everybody_who_looks_on_has_seen_the_end(
    look: int, hub: HubActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = list[float]()
    feeds = [HubFeed("mine", Here(hub), tmp_path / str(i)) for i in range(look)]
    for gone in ("by its word", "without a word"):
        feed = HubFeed("mine", Here(hub), tmp_path / gone)
        if gone == "by its word":
            feed.leave()
        else:
            at, told = hub._readers[feed.who]
            hub._readers[feed.who] = at - LOOKS_S, told
    assert len(hub._readers) == look + 1

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) % 3 == 0:
            assert not feeds[len(slept) // 3 - 1].refresh()

    fake = Ray()
    link = object.__new__(hub_link.HubLink)
    link.hub, link.folder = Here(hub), tmp_path / "there"
    link.life, link.known, link._sent, link._under_way = "", {}, {}, None
    link.known = dict.fromkeys(hub_link.LOGS, 0)
    link.ray = hub_link.OwnRay.starts
    monkeypatch.setattr(hub_link, "dead_head", lambda: False)
    monkeypatch.setattr(hub_link.ray, "kill", fake.kill)
    monkeypatch.setattr(hub_link.time, "sleep", sleep)
    ended = {"status": "done", "exit_code": 0, "created": 1.0}
    (link.folder / "run.json").write_text(json.dumps(ended))
    link.close()
    assert fake.killed == [link.hub]
    assert len(slept) == 3 * look
    assert len(hub._readers) == look, "who is gone is not remembered"
    for feed in feeds:
        assert outcome.exit_code(feed) == 0


def test_a_run_whose_players_start_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No turn of its loop comes before their first step, and nothing was told until then."""
    hub = HubActor("mine", gauges=False)
    monkeypatch.setattr("ray.get", lambda reference, timeout: reference)
    link = object.__new__(hub_link.HubLink)
    link.hub, link.folder = Here(hub), written(tmp_path / "there", status="starting")
    link.life, link.known, link._sent = "", dict.fromkeys(hub_link.LOGS, 0), {}
    link.begin(cast(Any, None))
    assert "starting" in state_text(state(HubFeed("mine", Here(hub), tmp_path).run))


def test_who_is_told_once_a_minute_is_not_too_late_for_the_end(
    hub: HubActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A hub stays for some seconds only; what is printed is printed at the pace that was asked."""
    feed, slept = HubFeed("mine", Here(hub), tmp_path), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) > 70:
            ended = {"status": "done", "exit_code": 0, "created": 1.0}
            hub.push("", {}, {"run.json": json.dumps(ended).encode()}, {})

    monkeypatch.setattr(console.time, "sleep", sleep)
    monkeypatch.setattr(console, "state_text", lambda state: "told")
    monkeypatch.setattr(console, "state", lambda run: {})
    assert console.show(feed, 60) == 0
    assert max(slept) <= 2.0
    assert capsys.readouterr().out.count("told") == 3
    assert 70 < sum(slept) < 75


def test_what_could_not_be_read_for_a_push_goes_with_the_next(
    hub: HubActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = object.__new__(hub_link.HubLink)
    link.hub, link.folder = Here(hub), tmp_path / "there"
    link.life, link._sent, link._under_way = "", {}, None
    link.known = dict.fromkeys(hub_link.LOGS, 0)
    for name in ("command.txt", "best.json"):
        (link.folder / name).write_text(name)
    read, failing = Path.read_bytes, ["command.txt"]

    def once(path: Path) -> bytes:
        if path.name in failing:
            failing.remove(path.name)
            raise OSError(116, "Stale file handle")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", once)
    link._push({})
    assert hub.files["best.json"] == b"best.json"
    assert "command.txt" not in hub.files
    link._push({})
    assert hub.files["command.txt"] == b"command.txt"
    hub.files.clear()

    def stale(*args: Any) -> bytes:
        raise OSError(116, "Stale file handle")

    (link.folder / "best.json").write_text("another")
    with monkeypatch.context() as away:
        away.setattr(hub_link, "tail", stale)
        with pytest.raises(OSError, match="Stale"):
            link._push({})
    link._push({})
    assert [*hub.files] == ["best.json"], "nothing is taken for sent that was not"

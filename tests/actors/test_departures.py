"""Who is to leave its machine, without Ray."""

from types import SimpleNamespace
from typing import Any

import pytest

from raygan.actors import departures as module
from raygan.actors.departures import Departures


def departures(monkeypatch: pytest.MonkeyPatch, *away: str) -> tuple[Departures, list[int]]:
    """Nodes that are drained; how often that was asked."""
    asked: list[int] = []

    def draining() -> set[str]:
        asked.append(1)
        return {*away}

    monkeypatch.setattr(module, "draining", draining)
    monkeypatch.setattr(module, "here", lambda: "head")
    workers: Any = SimpleNamespace(
        actors={"pair-00": "a", "global": "g"}, deputies=["deputy-1"], deputised="global",
        places={"pair-00": ("n1", 1), "global": ("n2", 2), "deputy-1": ("n3", 3),
                "board": ("head", 4)},
    )  # fmt: skip
    return Departures(workers, SimpleNamespace(noticed={})), asked  # type: ignore[arg-type]


def test_a_drained_node_is_a_notice_to_all_that_live_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = departures(monkeypatch, "n1")
    assert found.players() == {"pair-00": "node n1 is being drained"}


def test_the_global_pair_moves_with_its_deputy(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = departures(monkeypatch, "n3")
    assert set(found.helpers_too()) == {"deputy-1", "global"}
    assert set(found.players()) == {"global"}, "the controller knows players only"


def test_this_machine_s_notice_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = departures(monkeypatch, "head")
    assert found.players() == {"": "node head is being drained"}


def test_sigterm_is_the_actor_s_and_not_its_successor_s(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = departures(monkeypatch)
    found.pulse.noticed["pair-00"] = "a"
    assert found.players() == {"pair-00": "its process got SIGTERM"}
    found.workers.actors["pair-00"] = "another"
    assert found.helpers_too() == {}


def test_the_gcs_is_not_asked_at_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = departures(monkeypatch)
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    for clock[0] in (100.0, 100.4, 100.6):
        found.players()
    assert len(asked) == 2
    found.helpers_too()
    assert len(asked) == 3, "but where an attempt begins"

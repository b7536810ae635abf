"""Generators join and leave while the others go on; numbers are stable; what is asked wrongly is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.orders import Done, Join
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.controller.scaling import REQUEST
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.training import load_config, resume_run
from raygan.strategies.strategy import JUDGE
from tests.conftest import setup_of, tiny_config


def run(tmp_path: Path, requests: dict[int, Any], monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Controller:
    """A run that gets `requests[step]` (pairs) when the judge has reached that step."""
    monkeypatch.setattr("raygan.controller.scaling.EVERY_S", 0.0)
    base: dict[str, Any] = {
        "strategy": {"name": "pmgan", "classes": 5},
        "loss": "reverse_kl",
        "num_pairs": 3,
        "steps": 24,
    }
    config = tiny_config(**{**base, "round_steps": 2, **changes})
    setup = setup_of(config)
    folder = RunFolder.create(tmp_path, "run")
    folder.write("config.json", "{}")
    folder.status(executor="inline", shape=(2,), status="running")

    def ask(c: Controller, done: Done) -> None:
        for step in [s for s in requests if c.done.get(JUDGE, 0) >= s]:
            (folder.path / REQUEST).write_text(json.dumps({"id": f"r{step}", "pairs": requests.pop(step)}))

    controller = Controller(config, folder, lambda: InlineExecutor(setup), [ask], 400)
    controller.run()
    return controller


def events(controller: Controller, *kinds: str) -> list[dict[str, Any]]:
    return [e for e in read_jsonl(controller.folder.path / "events.jsonl") if e["kind"] in kinds]


@pytest.mark.parametrize("tempo", ["lockstep", "async"])
def test_generators_join_and_leave_while_the_others_go_on(
    tmp_path: Path, tempo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan_players.PATIENCE_S", 0.02)
    controller = run(tmp_path, {4: 5, 12: 2}, monkeypatch, tempo=tempo)
    found = events(controller, "join", "leave", "scale")
    assert [(e["kind"], e.get("player")) for e in found[:3]] == [
        ("join", "gen-03"),
        ("join", "gen-04"),
        ("scale", None),
    ]
    assert {e["player"] for e in found if e["kind"] == "leave"} == {"gen-02", "gen-03", "gen-04"}
    assert controller.players == ["gen-00", "gen-01", JUDGE]
    assert {controller.done[p] for p in controller.players} == {24}
    rows = read_jsonl(controller.folder.path / "metrics.jsonl")
    for player in ("gen-00", "gen-01"):
        assert sum(r["steps"] for r in rows if r["kind"] == "train" and r["player"] == player) == 24, (
            "they never stopped"
        )
    newcomer = [r for r in rows if r["kind"] == "train" and r["player"] == "gen-04"]
    assert 0 < sum(r["steps"] for r in newcomer) < 24
    final, _ = newest_valid(controller.folder.path)
    assert final is not None
    assert sorted(final.parts) == ["gen-00", "gen-01", JUDGE]
    assert final.extra["members"] == [0, 1]


def test_a_number_is_never_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = run(tmp_path, {2: 2, 8: 3}, monkeypatch)
    assert [e["player"] for e in events(controller, "join", "leave")] == ["gen-02", "gen-03"]
    assert controller.config.ids == (0, 1, 3)
    assert load_config(controller.folder.path).ids == (0, 1, 3)


def test_a_scaled_run_resumes_with_its_members_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = run(tmp_path, {4: 4}, monkeypatch)
    folder = controller.folder.path
    final, _ = newest_valid(folder)
    assert final is not None
    resumed = resume_run(folder, extra_steps=4, inline=True)
    assert resumed.pairs == ["gen-00", "gen-01", "gen-02", "gen-03"]
    after, _ = newest_valid(folder)
    assert after is not None
    assert after.step == 28
    assert digest(unpack(after.parts["gen-03"])) != digest(unpack(final.parts["gen-03"]))


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        (6, "num_pairs = 6: the classifier has 5 classes, one for each generator that ever takes part"),
        (0, "--pairs 0: at least 1 must stay"),
        ("many", "invalid literal"),
    ],
)
def test_what_cannot_be_is_refused_and_the_run_goes_on(
    tmp_path: Path, pairs: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = run(tmp_path, {4: pairs}, monkeypatch)
    (refused,) = events(controller, "refused")
    assert why in refused["why"]
    assert refused["request"] == "r4" or pairs == "many"
    assert set(controller.done.values()) == {24}
    assert not (controller.folder.path / REQUEST).exists()


def test_only_pmgan_can_be_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.controller.scaling.EVERY_S", 0.0)
    config = tiny_config(strategy="gap")
    setup = setup_of(config)
    folder = RunFolder.create(tmp_path, "run")
    (folder.path / REQUEST).write_text(json.dumps({"id": "x", "pairs": 3}))
    controller = Controller(config, folder, lambda: InlineExecutor(setup), [], 400)
    controller.run()
    assert "strategy gap: its members are fixed" in events(controller, "refused")[0]["why"]


def test_a_joiner_that_is_up_too_late_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its actor takes so long that the run is over: nobody would answer it."""
    original = InlineExecutor.submit

    def slow(self: InlineExecutor, order: Any) -> None:
        original(self, order)
        joins = [o for o in self.queue if isinstance(o, Join)]
        for join in joins:  # always last
            self.queue.remove(join)
            self.queue.append(join)

    monkeypatch.setattr(InlineExecutor, "submit", slow)
    monkeypatch.setattr("raygan.strategies.pmgan_players.PATIENCE_S", 0.02)
    controller = run(tmp_path, {4: 4}, monkeypatch, tempo="async")
    (refused,) = events(controller, "refused")
    assert "gen-03 was up after the run's last step" in refused["why"]
    assert controller.players == ["gen-00", "gen-01", "gen-02", JUDGE]
    final, _ = newest_valid(controller.folder.path)
    assert final is not None
    assert sorted(final.parts) == controller.players

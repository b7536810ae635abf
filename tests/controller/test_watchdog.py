"""Warnings that name what goes wrong, each with its page."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from raygan.config import Resolved
from raygan.controller.evaluator import Evaluator
from raygan.controller.orders import Scored
from raygan.controller.run_folder import read_jsonl
from raygan.controller.watchdog import STEPS_KEPT, Watchdog, collapse
from raygan.service.training import train
from raygan.service.views.tables import REMEDIES, fate
from raygan.strategies.base import strategy_of
from raygan.strategies.partition import own_parts, with_parts
from tests.conftest import setup_of, tiny_config

ROOT = Path(__file__).parents[2]


def names(found: object) -> list[str]:
    return [name for name, _ in found]  # type: ignore[attr-defined]


def test_a_saturated_discriminator_is_named_once_it_stays_so() -> None:
    dog = Watchdog(["a"], one_mode_each=False)
    rows = [1.0, 1.0, 0.9, 1.0, 0.996, 1.0, 1.0]
    assert [names(dog.trained("a", i, {"d_accuracy": r})) for i, r in enumerate(rows)] == [
        [], [], [], [], [], ["W103 saturated-discriminator"], [],
    ]  # fmt: skip
    critic = Watchdog(["a"], one_mode_each=False)
    assert [names(critic.trained("a", i, {"d_real": 9.0})) for i in range(5)] == [[]] * 5


@pytest.mark.parametrize(
    "low", [{"spread": 0.05}, {"near": 0.25}], ids=["one place", "two modes of eight"]
)
def test_a_collapsed_generator_is_named_unless_it_is_meant_to_sit_on_one_mode(
    low: dict[str, float],
) -> None:
    narrow = Scored([], **low)
    dog = Watchdog(["a"], False)
    assert names(dog.scored("a", 1, narrow)) == [], "an untrained generator is narrow too"
    assert names(dog.scored("a", 2, narrow)) == ["W101 collapsed-generator"]
    assert names(dog.scored("a", 3, Scored([], spread=0.5))) == []
    assert names(dog.scored("a", 4, narrow)) == []
    assert names(Watchdog(["a"], True).scored("a", 1, narrow)) == []
    assert [names(dog.scored("global", step, narrow)) for step in (1, 2)] == [
        [], ["W101 collapsed-generator"],
    ], "no member, and a generator all the same"  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "watched"),
    [
        ("independent", ["pair-00", "pair-01"]),
        ("sgan", ["global", "pair-00", "pair-01"]),
        ("federated", ["global"]),
        ("mdgan", ["global"]),
    ],
)
def test_every_generator_of_a_run_is_watched(
    strategy: str, watched: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Evaluator, "_spread", lambda *_: 0.0)
    resolved = Resolved(config=tiny_config(strategy={"name": strategy}), origins={})
    run = train(resolved, run_dir=tmp_path, name="x", inline=True)
    told = [e["text"] for e in read_jsonl(run.path / "events.jsonl") if e["kind"] == "warning"]
    assert sorted(t.partition(":")[0] for t in told if "its samples spread" in t) == watched


def test_held_out_coverage_and_d_together_name_what_neither_would_alone() -> None:
    half = Scored([], near=0.55)
    for missed, told in ((0.8, ["W101 collapsed-generator"]), (0.1, [])):
        dog = Watchdog(["a"], False)
        assert not [*dog.trained("a", 1, {"d_missed": missed}), *dog.scored("a", 1, half)]
        assert names(dog.scored("a", 2, half)) == told
    dog = Watchdog(["a"], False)
    list(dog.trained("a", 1, {"d_missed": 1.0}))
    assert [names(dog.scored("a", i, Scored([], near=0.95))) for i in (1, 2)] == [[], []], (
        "a D that wins"
    )


def test_members_on_the_same_modes_are_named() -> None:
    dog = Watchdog(["a", "b", "c"], True)
    left, right = [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]
    found = []
    for step in (1, 2):
        for player, share in (("a", left), ("b", right), ("c", [0.45, 0.55, 0.0, 0.0])):
            found += list(dog.scored(player, step, Scored([], occupied=share)))
    assert [t for _, t in found] == ["a and c sit on the same modes, step 2"]
    everywhere = Watchdog(["a", "b"], False)
    assert names(everywhere.scored("a", 1, Scored([], occupied=[0.25] * 4))) == []
    assert names(everywhere.scored("b", 1, Scored([], occupied=[0.25] * 4))) == [], (
        "covering everything alike is the aim"
    )


def test_more_generators_than_modes_have_to_share() -> None:
    dog = Watchdog(["a", "b", "c"], True)
    for step in (1, 2):
        for player in "abc":
            assert names(dog.scored(player, step, Scored([], occupied=[1.0, 0.0]))) == []


def test_every_warning_has_a_page_and_a_remedy() -> None:
    code = "".join(p.read_text() for p in (ROOT / "raygan").rglob("*.py"))
    used = set(re.findall(r'"(W\d{3}) [a-z-]+"', code))
    assert used >= {"W101", "W102", "W103", "W104", "W105", "W201", "W202"}
    for number in used:
        page = (ROOT / f"docs/warnings/{number}.md").read_text()
        assert all(
            part in page
            for part in ("What it says", "How it is found", "What it means", "What to do")
        )
        assert number in REMEDIES
        assert f"docs/warnings/{number}.md" in fate(f"{number} anything")


@pytest.mark.parametrize(
    ("partition", "mine", "found"),
    [
        ("by_class", True, ""),
        ("by_class", False, "come near"),
        ("clusters", True, ""),
        ("clusters", False, "come near"),
        ("shared", True, "come near"),
        ("shards", True, "come near"),
    ],
)
def test_a_pair_has_to_come_near_its_own_part_only(
    partition: str, mine: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four pairs with two modes each: what is all of a pair's data is a quarter of the whole."""
    data = {"name": "ring", "modes": 8, "train": 4000, "held_out": 2000, "partition": partition}
    config = tiny_config(num_pairs=4, strategy={"name": "independent"}, data=data)
    setup = setup_of(config)
    evaluator = Evaluator(setup)
    known = setup.data.parts["pair-00"].classes if partition in ("by_class", "clusters") else {}
    own = [i for i, name in enumerate(setup.data.classes) if known.get(name)] or [0, 4]
    assert len(own) == 2
    modes = own if mine else [i for i in range(8) if i not in own][:2]
    assert setup.data.labels is not None
    drawn = np.resize(setup.data.train[np.isin(setup.data.labels, modes)], (1600, 2))
    monkeypatch.setattr(evaluator.sampler, "draw", lambda *_: torch.from_numpy(drawn))
    scored = evaluator.evaluate("pair-00", 6, np.zeros(0, np.float32))
    assert (found in collapse(scored)) if found else not collapse(scored)


def test_a_pair_whose_part_nobody_here_knows_is_not_called_narrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    for name, some in (("whole", points), ("a", points[:100]), ("b", points[100:])):
        np.save(tmp_path / f"{name}.npy", some)
    parts = {f"pair-0{i}": f"npz:{tmp_path / name}.npy" for i, name in enumerate("ab")}
    data = {"name": "npz", "path": str(tmp_path / "whole.npy"), "partition": parts}
    config = tiny_config(num_pairs=2, strategy={"name": "independent"}, data=data)
    setup = setup_of(config)
    setup = replace(setup, data=with_parts(config, ["pair-00", "pair-01"], setup.data))
    evaluator = Evaluator(setup)
    for width, found in ((0.02, False), (0.0, True)):
        drawn = torch.from_numpy(points[:1600]).repeat(4, 1) * width
        monkeypatch.setattr(evaluator.sampler, "draw", lambda *_, drawn=drawn: drawn)
        assert bool(collapse(evaluator.evaluate("pair-00", 6, np.zeros(0, np.float32)))) == found


@pytest.mark.parametrize("pair", ["pair-00", "pair-01", "pair-02", "pair-03"])
def test_a_part_that_is_mostly_of_one_class_is_asked_for_by_its_shares(
    pair: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {
        "name": "ring",
        "modes": 8,
        "train": 4000,
        "held_out": 2000,
        "partition": "dirichlet(0.1)",
    }
    config = tiny_config(num_pairs=4, strategy={"name": "independent"}, data=data)
    setup = setup_of(config)
    own = own_parts(config, [pair], setup.data, setup.data)[pair]
    drawn = torch.from_numpy(np.resize(own.train[:], (1600, 2)))
    evaluator = Evaluator(setup)
    monkeypatch.setattr(evaluator.sampler, "draw", lambda *_: drawn)
    assert not collapse(evaluator.evaluate(pair, 6, np.zeros(0, np.float32)))


def test_steps_whose_scores_never_all_come_are_not_kept() -> None:
    watchdog = Watchdog(["pair-00", "pair-01"], one_mode_each=False)
    for step in range(200):
        assert list(watchdog.scored("pair-00", step, Scored([], occupied=[0.5, 0.5]))) == []
    assert len(watchdog.occupied) <= STEPS_KEPT


@pytest.mark.parametrize("held_out", [1, 2])
def test_data_whose_held_out_samples_are_all_alike_are_scored(held_out: int) -> None:
    """One of them has no spread that a generator's could be compared with."""
    config = tiny_config(strategy="independent")
    setup = setup_of(config)
    same = np.repeat(setup.data.held_out[:1], held_out, 0)
    setup = replace(setup, data=replace(setup.data, held_out=same, modes=None))
    found = Evaluator(setup).evaluate(
        "pair-00", 1, strategy_of(config).build("pair-00", setup).generator_vector()
    )
    assert found.spread == 1.0
    assert found.rows[0]["player"] == "pair-00"

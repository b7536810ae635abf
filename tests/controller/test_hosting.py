"""A process's own shelves, and rounds that are undone."""

import pytest

from raygan.controller.hosting import Packs, Shelves, host_all
from raygan.gan.pair import Pair
from raygan.gan.weights import Publication
from raygan.strategies.orders import Train
from tests.conftest import setup_of, state_digest, tiny_config


def shelves(*versions: int) -> Shelves:
    out = Shelves()
    for version in versions:
        out.publish(Publication("gen-00", version))
        out.publish(Publication("gen-00/slot", version))
    return out


def test_the_newest_stays_however_much_is_forgotten() -> None:
    board = shelves(1, 3, 5)
    board.publish(Publication("gen-001", 1))
    board.forget("gen-00", 3)
    assert [p.version for p in board.between(["gen-00"], 0, 9)["gen-00"]] == [3, 5]
    board.forget("gen-00", 99)
    assert {n: p.version for n, p in board.newest(["gen-00", "gen-00/slot", "gen-001", "none"]).items()} == {
        "gen-00": 5, "gen-00/slot": 5, "gen-001": 1,
    }  # fmt: skip
    assert [p.version for p in board.between(["gen-00/slot"], 0, 9)["gen-00/slot"]] == [5]
    board.forget("gen-0", 99)


def test_a_reader_gets_exactly_the_versions_that_it_asks_for() -> None:
    board = shelves(5, 3, 1)
    assert [p.version for p in board.between(["gen-00"], 1, 5)["gen-00"]] == [3, 5]
    assert board.between(["none"], 0, 9) == {"none": []}
    assert board.progress(["gen-00", "none"]) == {"gen-00": 5, "none": 0}


def test_only_what_is_newer_is_news() -> None:
    board = shelves(0, 3)
    assert board.peek(["gen-00"], {"gen-00": 3}) == {}
    assert board.peek(["gen-00"], {"gen-00": 4}) == {}
    assert board.peek(["gen-00"], {"gen-00": 2})["gen-00"].version == 3
    assert shelves(0).peek(["gen-00"], {})["gen-00"].version == 0


def test_a_round_of_a_pack_with_nan_is_repeated_by_each_pair_from_where_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny_config(strategy="independent")

    def two() -> dict[str, Pair]:
        setup = setup_of(config)
        return {n: Pair(n, setup.parts(n)) for n in ("pair-00", "pair-01")}

    ours, alone = two(), two()
    orders = [Train(n, 12) for n in ours]
    packs = Packs(True)
    pack = packs.of(list(ours.values()))
    assert pack is not None
    real = pack.train

    def poisoned(steps: int, board: Shelves) -> list[dict[str, float]]:
        out = real(steps, board)
        next(ours["pair-01"].d.parameters()).data[0] = float("nan")
        return out

    monkeypatch.setattr(pack, "train", poisoned)
    reports = host_all(ours, orders, Shelves(), 2, packs)
    host_all(alone, orders, Shelves(), 2, Packs(False))
    assert {n: state_digest(p.state()) for n, p in ours.items()} == {
        n: state_digest(p.state()) for n, p in alone.items()
    }
    assert [p.step for p in ours.values()] == [12, 12]
    assert all(r["seconds"] > 0 for r in reports)

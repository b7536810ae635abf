import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.service.runs.digest import ALTOGETHER, MOST, Digest, Thinned
from raygan.service.runs.downsampling import Curve


@given(st.integers(0, 300), st.integers(2, 20))
def test_what_is_thinned_is_spread_evenly_and_has_the_first_and_the_last(
    count: int, most: int
) -> None:
    some: Thinned[int] = Thinned(most)
    for i in range(count):
        some.add(i)
    kept = list(some)
    assert len(kept) <= most + 1
    if count:
        assert (kept[0], kept[-1], some.last) == (0, count - 1, count - 1)
        assert set(range(0, count, some.every)) <= set(kept)
        assert some.every == 1 or len(kept) > most // 2


def rows(count: int, players: int = 3) -> list[dict[str, Any]]:
    rng = random.Random(0)
    out: list[dict[str, Any]] = []
    for i in range(count):
        player = f"pair-{i % players:02d}"
        out.append(
            {
                "kind": "train",
                "player": player,
                "step": i,
                "steps": 1,
                "seconds": rng.random(),
                "elapsed": i / 10,
            }
        )
        if i % 10 == 0:
            out.append(
                {
                    "kind": "score",
                    "player": player,
                    "step": i,
                    "protocol": "p",
                    "modes": rng.random(),
                }
            )
    return out


def events(count: int) -> list[dict[str, Any]]:
    rng = random.Random(1)
    out: list[dict[str, Any]] = []
    for i in range(count):
        a, b = rng.sample(range(3), 2)
        moves = [
            {"player": f"pair-{x:02d}", "from": f"pair-{y:02d}", "identity": f"pair-{y:02d}"}
            for x, y in ((a, b), (b, a))
        ]
        out.append({"kind": "swap", "step": i, "time": float(i), "moves": moves})
        out.append(
            {"kind": "warning", "step": i, "time": float(i), "name": f"W10{i % 3}", "text": "x"}
        )
        if i % 7 == 0:
            out.append({"kind": "death", "step": i, "time": float(i), "player": "pair-00"})
    return out


def add(path: Path, what: list[dict[str, Any]]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in what)


def test_a_digest_says_what_all_lines_say(tmp_path: Path) -> None:
    r, e = rows(500), events(200)
    digest = Digest(tmp_path)
    for begin in range(0, 700, 37):
        add(tmp_path / "metrics.jsonl", r[begin : begin + 37])
        add(tmp_path / "events.jsonl", e[begin : begin + 37])
        digest.refresh()
    trained = [x for x in r if x["kind"] == "train"]
    assert digest.newest == {x["player"]: x for x in trained}
    assert digest.scores == {x["player"]: x for x in r if x["kind"] == "score"}
    assert digest.player_seconds == pytest.approx(sum(x["seconds"] for x in trained))
    assert digest.elapsed == 49.9
    assert digest.counts == {"swap": 200, "warning": 200, "death": 29}
    assert digest.warnings["W100"] == 67
    assert list(digest.loud) == [x for x in e if x["kind"] != "swap"][-40:]
    assert list(digest.recent) == e[-30:]
    assert digest.seats.moves == [(x["step"], x["moves"]) for x in e if x["kind"] == "swap"]
    assert Digest(tmp_path).refresh().holds == digest.holds


def test_another_file_of_that_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    add(tmp_path / "metrics.jsonl", rows(50))
    digest = Digest(tmp_path).refresh()
    (tmp_path / "metrics.jsonl").unlink()
    add(tmp_path / "metrics.jsonl", rows(5, players=1))
    assert list(digest.refresh().newest) == ["pair-00"]
    assert digest.elapsed == 0.4


@pytest.mark.parametrize(("count", "players"), [(3 * MOST, 1), (30_000, 300)])
def test_what_is_kept_does_not_grow_with_the_run(tmp_path: Path, count: int, players: int) -> None:
    add(tmp_path / "metrics.jsonl", rows(count, players))
    digest = Digest(tmp_path).refresh()
    assert sum(len(list(some)) for some in digest.trained.values()) <= max(
        MOST + 1, 1.5 * ALTOGETHER
    )
    assert digest.newest[f"pair-{(count - 1) % players:02d}"]["step"] == count - 1
    assert digest.thinned == (4 if players == 1 else 1) or digest.thinned > 1


@given(st.integers(1, 300), st.integers(2, 20), st.integers(0, 300))
def test_what_is_cut_off_is_gone_and_what_follows_is_spread_as_before(
    count: int, most: int, upto: int
) -> None:
    some: Thinned[int] = Thinned(most)
    for i in range(count):
        some.add(i)
    before, every = list(some), some.every
    some.keep(lambda i: i < upto)
    assert list(some) == [i for i in before if i < upto]
    assert bool(some) == (upto > 0)
    assert some.last == max((i for i in before if i < upto), default=None)
    for i in range(1000, 1000 + most):
        some.add(i)
    kept = list(some)
    assert (kept, kept[-1]) == (sorted(kept), 999 + most)
    assert len(kept) <= most + 1
    assert some.every >= every


@given(st.integers(1, 2000), st.integers(0, 2000), st.integers(0, 600))
def test_a_curve_has_no_peak_of_what_was_cut_off(count: int, upto: int, more: int) -> None:
    curve = Curve(32)
    for i in range(count):
        curve.add({"step": i, "loss": (i * 7919) % 1009})
    before = curve.peaks()
    curve.keep(lambda row: row["step"] < upto)
    assert curve.peaks() == [row for row in before if row["step"] < upto]
    for i in range(more):
        curve.add({"step": 5000 + i, "loss": 1e6 if i == more // 2 else 1.0})
    steps = [row["step"] for row in curve.peaks()]
    assert steps == sorted(set(steps))
    assert not any(upto <= step < 5000 for step in steps)
    assert more == 0 or {5000 + more // 2, 4999 + more} <= {*steps}


def trained(player: str, begin: int, end: int, spike: int = -1, every: int = 10) -> Any:
    for step in range(begin + every, end + 1, every):
        loss = 1e6 if step == spike else 1.0
        yield {"kind": "train", "player": player, "step": step, "steps": every, "loss": loss}


def scored(player: str, *steps: int) -> Any:
    return [{"kind": "score", "player": player, "step": s, "protocol": "p"} for s in steps]


@pytest.mark.parametrize("looks", [False, True])
def test_what_a_return_to_a_checkpoint_undid_is_in_no_curve(tmp_path: Path, looks: bool) -> None:
    """The new attempt has rows at other steps, so that none of them replaces the peak."""
    digest = Digest(tmp_path)
    for life in (
        [*trained("a", 0, 30_000, spike=21_070), *scored("a", 10_000, 20_000, 21_001)],
        [*trained("a", 20_000, 60_000, every=16, spike=41_008), *scored("a", 30_000)],
    ):
        add(tmp_path / "metrics.jsonl", life)
        if looks:
            digest.refresh()
    curve = digest.refresh().trained["a"]
    peaks = curve.peaks()
    assert [row["step"] for row in peaks if row["loss"] > 1] == [41_008]
    for rows in (peaks, list(curve)):
        steps = [row["step"] for row in rows]
        assert steps == sorted(set(steps))
        assert not [s for s in steps if s > 20_000 and (s - 20_000) % 16], "all of the new attempt"
    assert [row["step"] for row in digest.scored["a"]] == [10_000, 20_000, 30_000]
    assert digest.newest["a"]["step"] == 60_000


def test_who_comes_back_alone_leaves_others_curves_as_they_are(tmp_path: Path) -> None:
    """async: others go on; what is mixed from all is undone with it. A newcomer begins late, and a
    score that was waited for comes after a later one.
    """
    first = [*trained("a", 0, 500), *trained("b", 0, 400), *trained("late", 300, 450)]
    scores = [r for p in ("a", "b", "mixture") for r in scored(p, 100, 300, 200, 400)]
    add(tmp_path / "metrics.jsonl", [*first, *scores, *trained("b", 200, 260)])
    digest = Digest(tmp_path).refresh()
    steps = {p: [r["step"] for r in some] for p, some in digest.trained.items()}
    assert steps["a"] == [*range(10, 501, 10)]
    assert steps["late"] == [*range(310, 451, 10)]
    assert steps["b"] == [*range(10, 261, 10)]
    told = {p: [r["step"] for r in some] for p, some in digest.scored.items()}
    assert told == {"a": [100, 300, 200, 400], "b": [100, 200], "mixture": [100, 200]}


def test_pulls_and_slots_of_an_undone_attempt_are_gone(tmp_path: Path) -> None:
    steps = [*range(10, 301, 10), *range(208, 500, 8)]
    add(tmp_path / "events.jsonl", [
        {"kind": kind, "step": s, "time": 1.0, "player": "global", "lag": 1.0, "beta": {},
         "spread": 0.0}
        for s in steps for kind in ("pull", "slot")
    ])  # fmt: skip
    digest = Digest(tmp_path).refresh()
    left = [*range(10, 201, 10), *range(208, 500, 8)]
    assert [e["step"] for e in digest.pulls.peaks()] == left
    assert [e["step"] for e in digest.slots] == left


def test_of_two_that_pull_none_undoes_the_other(tmp_path: Path) -> None:
    told = [("x", 10), ("y", 5), ("x", 20), ("y", 10), ("x", 30), ("y", 8), ("x", 40)]
    add(tmp_path / "events.jsonl", [
        {"kind": "pull", "step": s, "time": 1.0, "player": p, "lag": 1.0} for p, s in told
    ])  # fmt: skip
    left = [(e["player"], e["step"]) for e in Digest(tmp_path).refresh().pulls]
    assert left == [pair for pair in told if pair != ("y", 10)]

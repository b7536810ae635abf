import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.service.runs.digest import ALTOGETHER, MOST, Digest, Thinned


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

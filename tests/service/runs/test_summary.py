import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raygan.controller.jsonl import Lines
from raygan.service.runs import summary
from raygan.service.runs.logs import Logs
from raygan.service.runs.summary import INDEX, Keeper, Summary
from tests.service.runs.test_digest import add, events, rows


def grown(folder: Path, count: int = 300) -> Path:
    """A run's logs."""
    add(folder / "metrics.jsonl", rows(count))
    add(
        folder / "events.jsonl",
        [*events(count), {"kind": "retire", "step": 5, "time": 1.0, "player": "pair-02"}],
    )
    return folder


def said(folder: Path) -> dict[str, Any]:
    """All that a summary says."""
    return Summary(folder).refresh().dump()


def lines_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """By a look in a process of its own."""
    count = 0
    fresh = Lines.fresh

    def counted(self: Lines) -> Any:
        nonlocal count
        for row in fresh(self):
            count += 1
            yield row

    with monkeypatch.context() as patch:
        patch.setattr(Lines, "fresh", counted)
        Summary(folder).refresh()
    return count


def test_a_look_reads_what_came_after_the_index_and_says_what_all_lines_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(tmp_path)
    keeper = Keeper(tmp_path)
    keeper.write()
    assert lines_read(tmp_path, monkeypatch) == 0
    add(tmp_path / "metrics.jsonl", rows(20))
    add(tmp_path / "events.jsonl", events(5)[:7])
    (tmp_path / "events.jsonl").open("ab").write(b'{"damaged\n')
    assert lines_read(tmp_path, monkeypatch) == 22 + 7
    with_index = said(tmp_path)
    keeper.write()
    again = said(tmp_path)
    (tmp_path / INDEX).unlink()
    without = said(tmp_path)
    assert _like(with_index) == _like(without) == _like(again)
    assert Summary(tmp_path).refresh().damaged == {"events.jsonl": 1}


def _like(told: dict[str, Any]) -> dict[str, Any]:
    """Sums of seconds differ by rounding."""
    return {**told, "player_seconds": round(told["player_seconds"], 9)}


def cut_short(folder: Path) -> None:
    raw = (folder / "metrics.jsonl").read_bytes()
    (folder / "metrics.jsonl").write_bytes(raw[: len(raw) // 2])


def another_log(folder: Path) -> None:
    (folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events(1000)))


def gone(folder: Path) -> None:
    (folder / "metrics.jsonl").unlink()


def index_with(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        told = json.loads((folder / INDEX).read_text())
        (folder / INDEX).write_text(json.dumps({**told, **changes}))

    return change


def index_of(raw: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / INDEX).write_bytes(raw) and None


@pytest.mark.parametrize(
    "spoil",
    [
        cut_short, another_log, gone, index_of(b""), index_of(b"[]"), index_of(b"[" * 100_000),
        index_of(b"\xff{"), index_with(format=2), index_with(rows=[{"kind": "train"}]),
        index_with(rows=7), index_with(recent=[[]]), index_with(counts={"swap": "many"}),
        index_with(holds=[1]), index_with(elapsed=None), index_with(marks=[]),
        index_with(marks=[{"end": "0", "before": "", "damaged": 0}] * 2),
        index_with(marks=[{"end": -5}] * 2),
        index_with(marks=[{"end": 10**15, "before": None, "damaged": 0}] * 2),
        index_with(marks=None),
    ],
)  # fmt: skip
def test_an_index_that_does_not_fit_or_is_damaged_counts_as_none(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    Keeper(grown(tmp_path)).write()
    spoil(tmp_path)
    found = said(tmp_path)
    (tmp_path / INDEX).unlink()
    assert found == said(tmp_path)


def test_an_index_is_written_now_and_then_and_never_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(summary.time, "monotonic", lambda: now[0])
    keeper = Keeper(grown(tmp_path, 10))
    keeper.tick(None)  # type: ignore[arg-type]
    assert not (tmp_path / INDEX).exists()
    now[0] += summary.PERIOD_S
    keeper.tick(None)  # type: ignore[arg-type]
    first = (tmp_path / INDEX).read_bytes()
    add(tmp_path / "metrics.jsonl", rows(3))
    now[0] += summary.PERIOD_S / 2
    keeper.tick(None)  # type: ignore[arg-type]
    assert (tmp_path / INDEX).read_bytes() == first
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    (tmp_path / INDEX).unlink()
    (tmp_path / INDEX).symlink_to(elsewhere)
    keeper.close()
    assert elsewhere.read_text() == "theirs", "never through a link, and no error"


def test_a_step_that_was_trained_again_counts_once(tmp_path: Path) -> None:
    def train(step: int, loss: float) -> dict[str, Any]:
        return {"kind": "train", "player": "a", "step": step, "steps": 10, "loss_d": loss}

    def score(modes: float) -> dict[str, Any]:
        return {"kind": "score", "player": "a", "step": 20, "protocol": "p", "modes": modes}

    lines = [train(10, 1.0), train(20, 2.0), score(1.0), train(10, 7.0), score(8.0)]
    add(tmp_path / "metrics.jsonl", lines)
    logs = Logs(tmp_path)
    assert logs.training[["step", "loss_d"]].values.tolist() == [[10, 7.0], [20, 2.0]]
    assert logs.scored["modes"].tolist() == [8.0]
    assert len(logs.metrics) == 5, "all that was written"

"""Who plays counts: scores, the best, and whom `--from` means, after members have come and gone."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from raygan.config import Resolved
from raygan.controller.listener import Running
from raygan.controller.orders import Done
from raygan.errors import ConfigError
from raygan.metrics.ranking import headline
from raygan.service.runs.cast import Cast
from raygan.service.runs.listing import list_runs
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import result_table
from raygan.service.scores.required import require
from raygan.service.training import train
from raygan.service.views.report import write_report
from tests.conftest import tiny_config

GAP = {"name": "gap", "swap_every": 3}


def scores_become(run: Run, change: Mapping[str, Mapping[str, Any]]) -> Run:
    """The run with other values in these players' rows of scores."""
    file = run.path / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    changed = [r | change.get(r["player"], {}) if r["kind"] == "score" else r for r in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in changed))
    return Run(run.path)


def members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: dict[int, int], strategy: Any = GAP
) -> Run:
    """A finished run of three pairs at first; at: step -> how many are asked for then."""
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    asked = dict(at)

    def ask(run: Running, done: Done) -> None:
        for step in [s for s in asked if min(run.state.done.values()) >= s]:
            run.asked({"verb": "scale", "id": f"r{step}", "pairs": asked.pop(step)})

    config = tiny_config(strategy=strategy, num_pairs=3, round_steps=2)
    return train(
        Resolved(config=config, origins={}),
        run_dir=tmp_path,
        name="run",
        inline=True,
        listeners=[ask],
    )


def test_who_has_left_is_not_the_best_whatever_its_last_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = members(tmp_path, monkeypatch, at={7: 2})
    assert "pair-02" in run.logs.last_scores()
    assert run.pairs == ["pair-00", "pair-01"]
    values = {"pair-00": 0.4, "pair-01": 0.5, "pair-02": 0.99}
    run = scores_become(run, {p: {"high_quality": value} for p, value in values.items()})
    assert list(run.scores()) == ["pair-00", "pair-01", "mixture"]
    assert (run.best, run.main_player) == ("pair-01", "pair-01")
    assert run.generator().sample(4).shape == (4, 2)
    assert "pair-02" not in result_table(run)
    assert list_runs(tmp_path)[0]["score"] == "high_quality 0.5"
    assert require(run, "high_quality>=0.9") == "pair-01: high_quality = 0.5, required 0.9"
    assert write_report(run).exists(), "it draws the best one's samples"


def test_the_best_is_one_of_those_that_have_the_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = members(tmp_path, monkeypatch, at={})
    file = run.path / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    metric = headline(next(r for r in rows if r["kind"] == "score"))
    values = {"pair-01": math.nan, "pair-02": 0.5}
    for row in (r for r in rows if r["kind"] == "score"):
        if row["player"] == "pair-00":
            del row[metric]
        if row["player"] in values:
            row[metric] = values[row["player"]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert Run(run.path).cast.best == "pair-02"


def test_a_mixture_that_nobody_mixes_any_more_has_no_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = members(tmp_path, monkeypatch, at={7: 1}, strategy="independent")
    assert "mixture" in run.logs.last_scores()
    assert list(run.scores()) == ["pair-00"]


def test_scores_of_unlike_steps_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = members(tmp_path, monkeypatch, at={})
    assert "unlike steps" not in result_table(run)
    run = scores_become(run, {"pair-01": {"step": 6}})
    told = "scores of unlike steps: pair-00, pair-02, mixture of step 12; pair-01 of step 6"
    assert told in result_table(run)
    assert told in write_report(run).read_text()


def test_a_pair_is_asked_for_by_its_number_whoever_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = members(tmp_path, monkeypatch, at={2: 2, 7: 3})
    assert run.pairs == ["pair-00", "pair-01", "pair-03"]
    assert run.cast.named("pair:3") == ["pair-03"]
    assert run.cast.named("pair:03") == ["pair-03"]
    for gone in ("pair:2", "pair:4"):
        with pytest.raises(ConfigError, match=f"'{gone}': the run has pair:0 to pair:1, pair:3"):
            run.cast.named(gone)


def test_a_population_knows_no_distance_of_who_has_left(tmp_path: Path) -> None:
    config = tiny_config(strategy={"name": "population"}, num_pairs=2)
    rows = [
        {"kind": "train", "player": p, "step": 4, "steps": 4, "own/distance": far}
        for p, far in (("pair-00", 0.3), ("pair-01", 0.2), ("pair-02", 0.1))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    info = {"roster": ["pair-00", "pair-01"]}
    cast = Cast(tmp_path, lambda: info, lambda: config, dict)
    assert cast.distances() == {"pair-00": 0.3, "pair-01": 0.2}
    assert cast.best == "pair-01"

"""Runs that begin from others with other settings: what does not fit begins anew, and is told."""

from pathlib import Path
from typing import Any

import pytest

import raygan
from raygan.config import Config, PairConfig, Resolved, validate
from raygan.errors import CheckpointError, ConfigError
from raygan.service.resuming import resume_run
from raygan.service.runs import warm_start
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import fork, sources
from tests.conftest import TINY


def small(tmp_path: Path, name: str, **changes: Any) -> Run:
    """Of three steps."""
    settings = {**TINY, "steps": 3, "evaluation": {"every_steps": 3, "samples": 1600}, **changes}
    return raygan.train("ring8-gap", run_dir=tmp_path, name=name, inline=True, **settings)


ADAM: dict[str, Any] = {"ema": 0.0}
RMSPROP: dict[str, Any] = {"ema": 0.0, "optimizer": "rmsprop"}
AVERAGED: dict[str, Any] = {"ema": 0.9}
CHANGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (ADAM, RMSPROP, "without the moments of adam"),
    (RMSPROP, ADAM, "without the moments of rmsprop"),
    (ADAM, AVERAGED, "the moving average begins at G"),
    (AVERAGED, ADAM, "without their moving average"),
    (ADAM, ADAM, ""),
]


@pytest.mark.parametrize(("was", "now", "told"), CHANGES)
@pytest.mark.parametrize("how", ["start_from", "fork"])
def test_another_optimizer_or_average_is_begun_anew_and_told(
    how: str, was: dict[str, Any], now: dict[str, Any], told: str, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    strategy = "independent" if how == "start_from" else {"name": "sgan", "messenger_lifetime": 2}
    old = small(tmp_path, "old", pair=was, strategy=strategy)
    if how == "start_from":
        new = small(tmp_path, "new", pair=now, start_from=[str(old.path)], strategy=strategy)
    else:
        other = old.config.model_copy(update={"pair": validate(PairConfig, now), "steps": 5})
        fork(old.path, tmp_path / "new", Resolved(config=other, origins={}))
        new = resume_run(tmp_path / "new")
    assert new.info["status"] == "done"
    assert (told in caplog.text) if told else ("begins" not in caplog.text)


@pytest.mark.parametrize(("was", "now"), [(ADAM, RMSPROP), (RMSPROP, ADAM), (ADAM, AVERAGED)])
def test_a_run_is_not_resumed_under_another_optimizer_or_average(
    was: dict[str, Any], now: dict[str, Any], tmp_path: Path
) -> None:
    old = small(tmp_path, "old", strategy="independent", pair=was)
    before = {p: p.read_bytes() for p in old.path.rglob("*") if p.is_file()}
    other = old.config.model_copy(update={"pair": validate(PairConfig, now), "steps": 5})
    with pytest.raises(CheckpointError, match=r"run's own pair\.(optimizer|ema)"):
        resume_run(old.path, overrides=other)
    assert {p: p.read_bytes() for p in old.path.rglob("*") if p.is_file()} == before


def test_half_a_pair_is_nothing_to_start_from(tmp_path: Path) -> None:
    sites = small(tmp_path, "sites", strategy="federated")
    for entry in (str(sites.path), f"{sites.path}:pair-01"):
        with pytest.raises(ConfigError, match="has no trained generator"):
            small(tmp_path, "new", strategy="independent", num_pairs=1, start_from=[entry])
    assert not (tmp_path / "new").exists()


def test_a_run_of_a_bucket_is_started_from_whole_or_by_one_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, asked = small(tmp_path, "old"), list[str]()

    def load(path: str) -> Run:
        asked.append(path)
        return old

    monkeypatch.setattr(warm_start.Run, "load", load)
    address, settings = "s3://bucket/runs/old", old.config.model_dump(mode="json")
    entries = {address: old.pairs, f"{address}:pair-01": ["pair-01"]}
    for entry, pairs in entries.items():
        config = validate(Config, settings | {"start_from": [entry], "num_pairs": len(pairs)})
        assert [pair for _, pair in sources(config)] == pairs
    assert asked == [address, address]

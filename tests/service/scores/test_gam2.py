"""GAM-II over whole runs: whose D counts, by which threshold, against which group."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import raygan
from raygan.cli import main
from raygan.config import full_dump
from raygan.errors import ConfigError
from raygan.service.resuming import resume_run
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import Run
from raygan.service.runs.verdicts import newest_verdicts
from raygan.service.scores import gam2 as scored_by_judges
from raygan.service.scores.export import fit_mixture
from raygan.service.scores.gam2 import gam2
from raygan.service.views.diagnostics import collect, verdict_histograms
from raygan.service.views.drawings import entry_of
from raygan.service.views.standing import Standing, answers, standing
from tests.conftest import TINY


def small(folder: Path, name: str, **changes: Any) -> Run:
    settings = {**TINY, "strategy": "independent", "evaluation": {"every_steps": 200}, **changes}
    return raygan.train(None, run_dir=folder, name=name, inline=True, **settings)


PANEL = {**TINY["network"], "judges": 3}
COUPLE = {**TINY["network"], "judges": 2}


@pytest.mark.parametrize(
    "changes",
    [{}, {"loss": "hinge"}, {"loss": "least_squares"}, {"loss": "gman", "network": PANEL}],
    ids=["plain", "hinge", "codes 0 and 1", "panel"],
)
def test_a_share_is_one_of_samples_and_a_d_that_has_learned_is_right_on_real_ones(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """As many updates of D as make it sure, of G as leave it far off."""
    run = small(tmp_path, "run", steps=200, pair={"lr_g": 1e-6, "lr_d": 0.01}, **changes)
    out = gam2([str(run.path)], 400, 0)
    shares = [v for row in out["rates"] for v in row if v is not None]
    errors = [d["error_on_real"] for d in out["discriminators"].values()]
    assert all(0 <= share <= 1 for share in shares)
    assert min(shares) < 0.9
    assert all(0 <= error <= 0.4 for error in errors)
    found = Standing(None, dict.fromkeys(run.pairs, 0.0))
    assert verdict_histograms(run, run_data(run), found)


@pytest.mark.parametrize(
    "changes", [{"loss": "wgan"}, {"loss": "r3gan"}, {"loss": "d2gan", "network": COUPLE}]
)
@pytest.mark.parametrize("judges", [0, 2])
def test_logits_without_a_threshold_are_refused_before_anything_is_trained(
    tmp_path: Path, changes: dict[str, Any], judges: int
) -> None:
    run = small(tmp_path, "run", steps=2, **changes)
    with pytest.raises(ConfigError, match=f"run has loss {changes['loss']}: its logits have no"):
        gam2([str(run.path)], 100, 0, control=2, judges=judges)
    assert not list(tmp_path.glob("*-control-*"))
    found = Standing(None, dict.fromkeys(run.pairs, 0.0))
    assert verdict_histograms(run, run_data(run), found)


@pytest.mark.parametrize("strategy", ["federated", "mdgan"])
@pytest.mark.parametrize("old", [False, True], ids=["", "of an older release"])
def test_a_d_that_nobody_trains_judges_nobody(tmp_path: Path, strategy: str, old: bool) -> None:
    run, alone = small(tmp_path, "fed", strategy=strategy), small(tmp_path, "alone")
    if old:
        info = json.loads((run.path / "run.json").read_text())
        for role in info["roles"].values():
            del role["verdicts"]
        (run.path / "run.json").write_text(json.dumps(info))
    out = gam2([str(run.path), str(alone.path)], 200, 0)
    assert list(out["discriminators"]) == ["alone/pair-00", "alone/pair-01"]
    assert "fed/global" in out["generators"]
    found = Standing(None, dict.fromkeys(run.pairs, 0.0))
    assert verdict_histograms(Run.load(run.path), run_data(run), found) is None


MINGLED: dict[str, Any] = {
    "means": {"name": "fedavg", "every": 4},
    "layers in common": {"name": "independent", "share_weights": True},
    "means, with a global pair": {
        "name": "sgan", "over": {"name": "independent", "share_weights": True},
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", MINGLED)
def test_who_has_mingled_with_everybody_judges_nobody_of_his_run(tmp_path: Path, kind: str) -> None:
    """Nor does one that is trained against one of them; a control group does, and is judged."""
    run = small(tmp_path, "run", strategy=MINGLED[kind])
    for judges in (0, 2):
        with pytest.raises(ConfigError, match=r"no discriminator is left that run/pair-00"):
            gam2([str(run.path)], 100, 0, judges=judges)
    out = gam2([str(run.path)], 100, 0, control=2)
    for d, row in zip(out["discriminators"], out["rates"], strict=True):
        of = {g.partition("/")[0] for g, v in zip(out["generators"], row, strict=True) if v is None}
        assert of == {d.partition("/")[0]}, "exactly the generators of its own run, all or itself"
    assert out["scores"]["run/pair-00"]["unseen"] == 2


# -------------------------------------------------------------------------------------------------
# results of before


def test_a_control_group_goes_on_as_its_run_has_gone_on(tmp_path: Path) -> None:
    gap = {"name": "gap", "swap_every": 4}
    run = small(tmp_path, "gap", strategy=gap, pair={**TINY["pair"], "schedule": {"lr": 0.1}})
    gam2([str(run.path)], 100, 0, control=2)
    resume_run(run.path, extra_steps=12, inline=True)
    out = gam2([str(run.path)], 100, 0, control=2)
    group = Run.load(tmp_path / "gap-control-2")
    assert out["protocol"]["steps"] == {"gap": 24, "gap-control-2": 24}
    assert group.config.steps == Run.load(run.path).config.steps
    assert group.config.pair == Run.load(run.path).config.pair
    before = (group.path / "journal").stat().st_mtime_ns
    gam2([str(run.path)], 100, 0, control=2)
    assert (group.path / "journal").stat().st_mtime_ns == before, "it was there already"


def test_a_control_group_of_other_settings_is_refused_and_stays(tmp_path: Path) -> None:
    run = small(tmp_path, "run", strategy={"name": "gap", "swap_every": 4})
    gam2([str(run.path)], 100, 0, control=2)
    shutil.rmtree(run.path)
    small(tmp_path, "run", strategy={"name": "gap", "swap_every": 4}, batch_size=8)
    with pytest.raises(ConfigError, match=r"trained with batch_size = 16, run has 8 now. Move"):
        gam2([str(run.path)], 100, 0, control=2)
    assert Run.load(tmp_path / "run-control-2").config.batch_size == 16


def test_a_control_group_has_new_pairs_however_its_run_has_come_by_its_own(tmp_path: Path) -> None:
    """One that goes on from others, of whose pairs some have left."""
    first = small(tmp_path, "first")
    run = small(tmp_path, "run", start_from=[f"{first.path}:pair-01"], num_pairs=1)
    config = run.config.model_copy(update={"members": (4,)})
    (run.path / "config.json").write_text(json.dumps(full_dump(config)))
    group = scored_by_judges.control_group(Run.load(run.path), 2)
    assert group.pairs == ["pair-00", "pair-01"]
    assert not group.config.start_from
    assert not [e for e in group.events if e["kind"] == "origin"]


@pytest.mark.parametrize("old", [False, True], ids=["", "of an older release"])
def test_what_was_found_at_another_checkpoint_does_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: bool
) -> None:
    """Of an older release nobody knows of which: it counts, as it did."""
    run = small(tmp_path, "run", num_pairs=3)
    gam2([str(run.path)], 100, 0)
    fit_mixture(run, samples=1600)
    assert run.cast.best_by == "by GAM-II"
    stored = {n: json.loads((run.path / n).read_text()) for n in ("best.json", "mixture.json")}
    best = stored["best.json"]["player"]
    assert run.best == best
    for name, found in stored.items():
        if old:
            del found["step"], found["checkpoint"]
        (run.path / name).write_text(json.dumps(found))
    resume_run(run.path, extra_steps=12, inline=True)
    run = Run.load(run.path)
    assert run.cast.best_by == ("by GAM-II" if old else "")
    if old:
        assert run.generator("fitted").weights == stored["mixture.json"]["weights"]
        return
    assert "best.json is of step 12, and the newest checkpoint of step 24" in caplog.text
    with pytest.raises(ConfigError, match=r"mixture.json is of step 12.*--metrics mixture"):
        run.generator("fitted")
    gam2([str(run.path)], 100, 0)
    fit_mixture(run, samples=1600)
    assert run.cast.best_by == "by GAM-II"
    assert run.generator("fitted").weights


def test_a_best_one_that_has_left_does_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = small(tmp_path, "run")
    (run.path / "best.json").write_text('{"player": "pair-07", "by": "gam2", "average": 1}')
    assert run.best in run.pairs
    assert "best.json is of pair-07, which has left" in caplog.text


def test_judges_are_added_and_each_judges_the_half_that_it_was_not_trained_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `--help` says: it said that they are the most a generator has, and 0 all."""
    monkeypatch.setattr(scored_by_judges, "JUDGE_STEPS", 2)
    path = str(small(tmp_path, "run", num_pairs=4).path)
    own = gam2([path], 64, 0)["discriminators"]
    out = gam2([path], 64, 0, judges=2)
    assert list(out["discriminators"]) == [*own, "held-out judge 0", "held-out judge 1"]
    assert [sum(v is not None for v in row) for row in out["rates"][len(own) :]] == [2, 2]
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "also so many fresh discriminators, each trained against half of the generators" in told


def test_the_matrix_that_is_shown_is_of_the_newest_checkpoint_and_the_last_that_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the last by the spelling of its seed."""
    run, other = (
        small(tmp_path, name, strategy={"name": "gap", "swap_every": 5})
        for name in ("run", "other")
    )
    alone = small(tmp_path, "alone")
    assert newest_verdicts(run) is None
    clock = itertools.count(1.0)
    monkeypatch.setattr(scored_by_judges.time, "time", lambda: next(clock))

    def shown(compared: bool = False) -> tuple[int, str]:
        made = newest_verdicts(run, compared=compared)
        assert made is not None
        return made.found["protocol"]["seed"], made.old

    for seed in (2, 10):
        gam2([str(run.path), str(other.path)], 64, seed)
    assert shown() == (10, "")
    gam2([str(run.path), str(alone.path)], 64, 9)
    gam2([str(run.path), str(other.path)], 64, 2)
    assert shown() == (2, "")
    assert shown(compared=True) == (9, ""), "the last one has nothing to say of that"
    (run.path / "gam2-seed99.json").write_text("{")
    assert shown() == (2, "")
    assert "gam2-seed99.json is damaged" in caplog.text
    resume_run(run.path, extra_steps=12)
    assert shown() == (2, "step 12, and the newest checkpoint of step 24")
    entry = entry_of(run)
    said = dict(answers(run, entry, standing(run, entry)))["Did swapping help?"]
    assert "of step 12, and the newest checkpoint of step 24; again: raygan evaluate" in said
    title, note, png = collect(run, {}, run_data(run), standing(run, entry))[0]
    assert title == "GAM-II"
    assert note.endswith("Of step 12, and the newest checkpoint of step 24.")
    assert png
    gam2([str(run.path), str(other.path)], 64, 1)
    assert shown() == (1, "")

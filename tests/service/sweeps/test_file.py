"""Sweeps: what a file means, equal compute, real trials on Ray Tune, going on after a kill, what is
reported.
"""

import importlib.util
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from ray.exceptions import RayTaskError

from raygan.cli import main
from raygan.config import resolve
from raygan.controller.checkpoint import newest_valid
from raygan.controller.run_folder import check_name
from raygan.errors import ConfigError, DataError, InfeasibleError, RayganError
from raygan.service.resuming import resume_run
from raygan.service.runs.code import load_config
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import fork
from raygan.service.sweeps import report as sweep_report
from raygan.service.sweeps import table as sweep_table
from raygan.service.sweeps import tune as sweeping
from raygan.service.sweeps.checks import changed
from raygan.service.sweeps.costs import costs, metric_of
from raygan.service.sweeps.file import Budget, Sweep, read_sweep, write_point
from raygan.service.sweeps.naming import full_name, known_name, trial_name
from raygan.service.sweeps.trial import FORKED
from raygan.service.training import train
from raygan.strategies.base import load_data

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "tune").glob("*.yaml"))
SMALL: dict[str, Any] = {
    "steps": 30, "batch_size": 16, "round_steps": 10,
    "network": {"name": "mlp", "hidden": 16, "z_dim": 2}, "num_pairs": 2,
    "data": {"name": "ring", "modes": 8, "train": 400, "held_out": 1600},
    "evaluation": {"every_steps": 10, "samples": 1600}, "checkpoint": {"every_steps": 10},
    "resources": {"spares": 0, "hub": False},
}  # fmt: skip


def write(path: Path, **values: Any) -> Path:
    base: dict[str, Any] = {
        "name": "s",
        "preset": "ring8-gap",
        "settings": SMALL,
        "space": {"seed": [0, 1]},
        "metric": "mixture.modes",
    }
    path.write_text(yaml.safe_dump(base | values))
    return path


# --------------------------------------------------------------------------------------------------
# the files


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_shipped_file_is_read_and_compares_at_equal_compute(file: Path) -> None:
    sweep = read_sweep(file)
    configs = [sweep.resolved(p).config for p in sweep.points()]
    assert len(configs) >= 20
    assert len({p["seed"] for p in sweep.points()}) >= 3
    if sweep.budget.d_updates:
        spent = [costs(c, c.steps, 0.0, load_data(c))["d_updates"] for c in configs]
        assert max(spent) / min(spent) < 1.01
    assert all(
        c.steps % c.evaluation.every_steps == 0 or c.steps > c.evaluation.every_steps
        for c in configs
    )


def test_the_four_questions_of_the_papers_are_there() -> None:
    assert [f.stem for f in FILES] == ["all_three", "diversity", "population", "swap_frequency"]


def test_points_are_the_same_each_time_and_draws_differ() -> None:
    sweep = Sweep(
        name="s",
        space={"pair.lr_g": {"log_uniform": [1e-4, 1e-2]}, "seed": [0, 1]},
        samples=3,
        seed=7,
    )
    assert sweep.points() == sweep.points()
    assert len(sweep.points()) == 6
    rates = [p["pair.lr_g"] for p in sweep.points()]
    assert len(set(rates)) == 3, "a draw has every combination of the lists"
    assert all(1e-4 <= r <= 1e-2 for r in rates)
    other = sweep.model_copy(update={"seed": 8})
    assert [p["pair.lr_g"] for p in other.points()] != rates


def test_updates_of_discriminators_are_counted_as_the_strategies_make_them() -> None:
    def count(**flags: Any) -> float:
        config = resolve("ring8-sgan", flags=flags).config
        return costs(config, 1, 0.0, load_data(config))["d_updates"]

    assert count(strategy="independent", num_pairs=4) == 4
    assert count(strategy="gap", num_pairs=4) == 4
    assert count(strategy="gap", num_pairs=4, loss="wgan") == 20, "five critic steps each"
    assert count(num_pairs=4) == 4 + 4 + 4, "locals, D0 against each, messengers"
    assert count(strategy={"name": "pmgan"}, loss="reverse_kl", num_pairs=4) == 4


def test_a_budget_gives_each_trial_its_steps() -> None:
    sweep = Sweep(
        name="s", preset="ring8-gap", space={"num_pairs": [2, 4]}, budget=Budget(d_updates=400)
    )
    assert [sweep.resolved(p).config.steps for p in sweep.points()] == [200, 100]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            {"space": {"strategy.swap_evry": [1]}},
            "no setting 'swap_evry'. Did you mean 'swap_every'?",
        ),
        (
            {"space": {"pair.lr_g": {"unifrom": [0, 1]}}},
            "'unifrom' is no way to draw. Did you mean 'uniform'?",
        ),
        ({"space": {"pair.lr_g": {"uniform": [0]}}}, "uniform needs a list, of two ends"),
        ({"space": {"pair.lr_g": {"uniform": [5, 1]}}}, "write the smaller one first"),
        ({"space": {"pair.lr_g": {"uniform": [1, 1]}}}, "there is nothing"),
        ({"space": {"pair.lr_g": {"log_uniform": [0, 1]}}}, "both ends must be above 0"),
        ({"space": {"pair.lr_g": {"log_uniform": [-1, 1]}}}, "both ends must be above 0"),
        ({"space": {"pair.lr_g": {"uniform": ["a", 1]}}}, "two numbers are needed"),
        ({"space": {"pair.lr_g": {"uniform": [0, math.inf]}}}, "two numbers are needed"),
        ({"space": {"num_pairs": {"randint": [1.5, 3]}}}, "two whole numbers are needed"),
        ({"space": {"num_pairs": {"randint": [False, True]}}}, "two whole numbers are needed"),
        ({"space": {"num_pairs": 3}}, "write a list of values"),
        ({"space": {"num_pairs": [-1]}}, "num_pairs = -1"),
        ({"space": {"seed": [0, 0]}}, "two trials would have the name 'seed-0'"),
        ({"name": "../x"}, "a run's name has"),
        ({"space": {}}, "space is empty: name what is swept"),
        ({"metric": "modes"}, "write PLAYER.SCORE"),
        ({"scheduler": "pbt"}, "scheduler pbt needs `perturb`"),
        ({"scheduler": "pbt", "perturb": ["pair.lr_g"]}, "'pair.lr_g' is not in space"),
        ({"schedular": "asha"}, "no setting 'schedular'. Did you mean 'scheduler'?"),
        (
            {"metric": "mixture.mode"},
            "metric 'mixture.mode': no score 'mode' is measured. Did you mean 'modes'?",
        ),
        (
            {"metric": "mixture.log_likelihood", "scheduler": "asha"},
            "is measured at the last step only; scheduler asha needs one of",
        ),
        ({"loggers": ["wanbd"]}, "no tracker named 'wanbd'. Did you mean 'wandb'?"),
        (
            {"loggers": ["wandb"], "settings": {"track": ["mlflow"]}},
            "loggers is settings.track now",
        ),
    ],
)
def test_mistakes_in_a_file(
    values: dict[str, Any], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *of: None if name == "wandb" else there(name, *of)
    )
    file = write(tmp_path / "s.yaml", **values)
    with pytest.raises(ConfigError) as found:
        sweeping.sweep(file, run_dir=tmp_path / "runs", address="local")
    assert complaint in str(found.value)
    assert str(file) in str(found.value)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "runs").exists(), "nothing half-written"


@pytest.mark.parametrize(
    ("metric", "settings", "complaint"),
    [
        ("globl.modes", {}, "no player 'globl'"),
        ("global.modes", {}, "no player 'global'"),
        ("pair-07.modes", {}, "Did you mean 'pair-0"),
        ("mixture.modes", {"num_pairs": 1, "strategy": "independent"}, "no player 'mixture'"),
        ("judge.modes", {"strategy": "pmgan"}, "no player 'judge'"),
    ],
)
def test_a_metric_of_nobody_is_refused_before_anything_runs(
    tmp_path: Path, metric: str, settings: dict[str, Any], complaint: str
) -> None:
    file = write(tmp_path / "s.yaml", metric=metric, settings={**SMALL, **settings})
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        sweeping.sweep(file, run_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_metric_must_be_there_in_every_trial(tmp_path: Path) -> None:
    file = write(
        tmp_path / "s.yaml",
        space={"num_pairs": [2, 1]},
        settings={**SMALL, "strategy": "independent"},
    )
    with pytest.raises(ConfigError, match=r"no player 'mixture' in trial num_pairs-1"):
        read_sweep(file)


def test_long_names_stay_apart_and_are_found_again(tmp_path: Path) -> None:
    many = {
        f"pair.{key}": [0.5]
        for key in ("lr_g", "lr_d", "beta1", "input_noise", "clip_grad_d", "feature_matching")
    }
    file = write(
        tmp_path / "s.yaml", space={**many, "strategy.swap_every": [5, 7], "seed": [0, 1, 2]}
    )
    points = read_sweep(file).points()
    names = [trial_name(p) for p in points]
    assert len(set(names)) == 6
    assert names == [trial_name(p) for p in read_sweep(file).points()], "the same at each start"
    for name in names:
        check_name(f"{name}{FORKED}abcde-99999999")
    assert trial_name({"seed": 3}) == "seed-3", "what fits is as it was"


def test_a_run_that_an_older_release_has_named_is_found(tmp_path: Path) -> None:
    point = {f"pair.a_setting_with_a_long_name_{i}": 0.25 for i in range(5)}
    assert known_name(tmp_path, point) == trial_name(point)
    old = tmp_path / full_name(point)[:100]
    old.mkdir()
    (old / "point.json").write_text(json.dumps({**point, "seed": 1}))
    assert known_name(tmp_path, point) == trial_name(point), "another point's"
    (old / "point.json").write_text(json.dumps(point))
    assert known_name(tmp_path, point) == old.name


def test_a_file_without_a_name_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("preset: ring8-gap\nspace: {num_pairs: [2]}\nbudget: {d_updates: 400}\n")
    with pytest.raises(ConfigError, match=r"s.yaml: name is missing. Add it: it has no default.$"):
        read_sweep(file)


def test_more_players_than_the_cluster_can_ever_hold(tmp_path: Path) -> None:
    settings = {**SMALL, "resources": {"cpus_per_pair": 4.0}}
    spec = read_sweep(write(tmp_path / "s.yaml", executor="ray", settings=settings))
    with pytest.raises(InfeasibleError, match=r"the cluster has 1\.99"):
        sweeping.bundles(spec, {"CPU": 2.0}, [{"CPU": 2.0}])


def test_a_metric_may_be_of_one_or_of_all() -> None:
    sweep = Sweep(name="s", space={"seed": [0]}, metric="single.modes")
    scores = {"pair-00": {"modes": 4.0}, "pair-01": {"modes": 8.0}, "mixture": {"modes": 7.0}}
    assert metric_of(sweep, scores, ["pair-00", "pair-01"]) == 6.0
    assert metric_of(sweep.model_copy(update={"metric": "mixture.modes"}), scores, []) == 7.0


# --------------------------------------------------------------------------------------------------
# the report


def test_the_report_of_a_sweep(tmp_path: Path) -> None:
    """Runs made without Tune: a row each, the missing one as well; means over seeds; the best as a
    preset that resolves.
    """
    folder = tmp_path / "s"
    sweep = Sweep(
        name="s", preset="ring8-gap", settings=SMALL, metric="mixture.log_likelihood",
        space={"strategy.swap_every": [5, 10], "num_pairs": [2, 3], "seed": [0, 1]},
    )  # fmt: skip
    (folder / "runs").mkdir(parents=True)
    (folder / "sweep.json").write_text(sweep.model_dump_json())
    for point in sweep.points()[:-1]:
        run = train(
            sweep.resolved(point), run_dir=folder / "runs", name=trial_name(point), inline=True
        )
        (run.path / "point.json").write_text(json.dumps(point))
    page = sweep_report.write(folder).read_text()
    frame = pd.read_parquet(folder / "table.parquet")
    assert sorted(frame["status"]) == ["done"] * 7 + ["missing"]
    done = frame[frame["status"] == "done"]
    assert set(done["d_updates"]) == {60.0, 90.0}
    means = sweep_table.over_seeds(sweep, frame)
    assert len(means) == 4
    best = sweep_table.best_points(sweep, means)[0]
    top = means.loc[means["metric"].idxmax()]
    assert (best["strategy.swap_every"], best["num_pairs"]) == (
        top["strategy.swap_every"],
        top["num_pairs"],
    )
    config = resolve(None, [folder / "best.yaml"]).config
    assert config.strategy["swap_every"] == best["strategy.swap_every"]
    assert (config.num_pairs, config.steps, config.network["hidden"]) == (best["num_pairs"], 30, 16)
    for title in ("Interaction", "Heat map", "Parallel coordinates", "Cost", "Every run"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("data:image/png;base64,") == 4
    assert "best by mixture.log_likelihood" in sweep_report.text(folder)


def test_a_sweep_with_a_trial_that_failed_has_its_table_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One trial trains as Tune would have it, the other one diverges: what is found is shown."""
    file = write(
        tmp_path / "s.yaml", settings=SMALL, metric="mixture.log_likelihood",
        space={"pair.lr_g": [0.001, 1e30]},
    )  # fmt: skip

    def fit(spec: Sweep, folder: Path, *_: object) -> list[Exception]:
        errors = list[Exception]()
        for point in spec.points():
            name, runs = trial_name(point), folder / "runs"
            try:
                train(spec.resolved(point), run_dir=runs, name=name, inline=True)
            except RayganError as error:
                errors.append(error)
            (runs / name / "point.json").write_text(json.dumps(point))
        return errors

    monkeypatch.setattr(sweeping, "_fit", fit)
    monkeypatch.setattr("raygan.actors.cluster.cluster", lambda *_: nullcontext())
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(file), "--run-dir", str(tmp_path / "runs")])
    out, err = capsys.readouterr()
    assert ended.value.code == 1
    assert "1 of its trials failed" in err
    assert "--resume` tries them again" in err
    assert err.count("\n") == 1
    assert "best by mixture.log_likelihood (mean over seeds): pair.lr_g = 0.001" in out
    frame = pd.read_parquet(tmp_path / "runs/s/table.parquet")
    assert sorted(frame["status"]) == ["done", "failed"]
    assert (tmp_path / "runs/s/best.yaml").exists()


@pytest.mark.parametrize(
    ("reasons", "move"),
    [
        ([ConfigError("lr = 2: too much.")] * 2, "Mend s.yaml, and give the sweep another name."),
        ([ConfigError("lr = 2: too much."), RayganError("x")], "--resume` tries them again"),
        ([DataError("no such file.")], "--resume` tries them again"),
    ],
)
def test_what_may_help_fits_what_went_wrong(
    reasons: list[RayganError], move: str, tmp_path: Path
) -> None:
    """A setting that is wrong is so on every machine."""
    text = f"Traceback:\n  in here\nraygan.errors.ConfigError: {reasons[0]}"
    errors = [RayTaskError("train", text, e).as_instanceof_cause() for e in reasons]
    spec = Sweep(name="s", space={"seed": [0]})
    told = sweeping.what_failed(spec, tmp_path / "s", Path("s.yaml"), errors)
    assert move in told
    assert str(reasons[0]) in told
    assert ".." not in told
    assert ("--resume" in told) == ("--resume" in move)


@pytest.mark.parametrize(
    ("values", "flags", "complaint"),
    [
        ({"metric": "mixture.hq"}, [], "no score 'hq' is measured"),
        (
            {"metric": "mixture.modess"},
            [],
            "no score 'modess' is measured. Did you mean 'modes'?",
        ),
        ({"metric": "globl.modes"}, [], "no player 'globl'"),
        ({"space": {}}, [], "space is empty"),
        ({}, ["--track", "nosuch"], "no tracker named 'nosuch'"),
        ({}, ["--samples", "0"], "samples"),
        ({"name": "there"}, [], "there' exists already"),
        ({"name": "there", "seed": 1}, ["--resume"], "seed is not that of"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(
    values: dict[str, Any], flags: list[str], complaint: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    stored = read_sweep(write(tmp_path / "there.yaml", name="there"))
    (tmp_path / "runs/there").mkdir(parents=True)
    (tmp_path / "runs/there/sweep.json").write_text(stored.model_dump_json())
    file = write(tmp_path / "s.yaml", **values)
    for more in ([], ["--dry-run"]):
        with pytest.raises(SystemExit, match="2"):
            main(["sweep", str(file), "--run-dir", str(tmp_path / "runs"), *flags, *more])
        assert complaint in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["there"], "nothing half-written"


# --------------------------------------------------------------------------------------------------
# PBT's step


def test_a_fork_goes_on_from_another_run_with_other_settings(tmp_path: Path) -> None:
    source = train(
        resolve("ring8-gap", flags={**SMALL, "steps": 20}),
        run_dir=tmp_path,
        name="source",
        inline=True,
    )
    other = resolve(
        "ring8-gap", flags={**SMALL, "steps": 30, "pair.lr_g": 0.5, "strategy.swap_every": 7}
    )
    fork(source.path, tmp_path / "fork", other)
    assert load_config(tmp_path / "fork").pair.lr_g == 0.5
    forked, whole = newest_valid(tmp_path / "fork")[0], newest_valid(source.path)[0]
    assert forked is not None
    assert whole is not None
    assert (forked.parts, forked.step) == (whole.parts, 20)
    run = resume_run(tmp_path / "fork")
    assert set(run.info["steps"].values()) == {30}
    assert Run.load(source.path).info["steps"] == {
        "pair-00": 20,
        "pair-01": 20,
    }, "the source is as it was"


def test_what_a_fork_was_before_stays_known(tmp_path: Path) -> None:
    """Which step it goes on from, what its settings were until then, and what was spent: over forks
    of forks.
    """
    saves = {**SMALL, "steps": 20, "checkpoint.every_steps": 10, "checkpoint.keep": 3}
    runs = tmp_path / "s/runs"
    runs.mkdir(parents=True)
    sweep = read_sweep(
        write(tmp_path / "s.yaml", space={"pair.lr_g": [0.5, 0.25, 0.125], "seed": [0]})
    )
    first = train(resolve("ring8-gap", flags=saves), run_dir=runs, name="first", inline=True)
    write_point(first.path, {"pair.lr_g": 0.5, "seed": 0})
    fork(
        first.path,
        runs / "second",
        resolve("ring8-gap", flags={**saves, "pair.lr_g": 0.25}),
        at=10,
        player_seconds=3.0,
    )
    assert load_step(runs / "second") == 10, "what it was asked for, not the newest"
    write_point(runs / "second", {"pair.lr_g": 0.25, "seed": 0})
    fork(
        runs / "second",
        runs / "third",
        resolve("ring8-gap", flags={**saves, "pair.lr_g": 0.125}),
        at=15,
        player_seconds=5.0,
    )
    info = Run.load(runs / "third").info
    assert info["forked"]["step"] == 10, "the newest, where that step was not kept; and it says so"
    assert [
        (b["run"], b["until"], b["point"]["pair.lr_g"]) for b in info["forked"]["schedule"]
    ] == [("first", 10, 0.5), ("second", 10, 0.25)]
    best = {"pair.lr_g": 0.125, "seed": 0}
    write_point(runs / "third", best)
    resume_run(runs / "third")
    (tmp_path / "s/sweep.json").write_text(sweep.model_dump_json())
    frame = sweep_table.table(tmp_path / "s")
    row = frame[frame["run"] == "third"].iloc[0]
    # what it went on from had 3 s behind it, and the 5 s were of a checkpoint that is gone
    assert row["player_seconds"] == pytest.approx(
        3.0 + sum(Run.load(runs / "third").info["busy_seconds"].values())
    )
    told = sweep_report.changes_of(tmp_path / "s", frame, best)
    assert (
        "# third: until step 10: pair.lr_g = 0.5, seed = 0; until step 10: pair.lr_g = 0.25, seed ="
        " 0; then" in told
    )
    assert sweep_report.changes_of(tmp_path / "s", frame, {"pair.lr_g": 0.5, "seed": 0}) == "", (
        "no fork, nothing to tell"
    )


def load_step(path: Path) -> int:
    """The step of a run's newest checkpoint."""
    checkpoint, _ = newest_valid(path)
    assert checkpoint is not None
    return checkpoint.step


# --------------------------------------------------------------------------------------------------
# on Ray Tune


@pytest.mark.ray
@pytest.mark.exhaustive
def test_trials_are_normal_runs_and_a_cut_off_sweep_goes_on(tmp_path: Path) -> None:
    """SIGTERM in the middle: exit code 143; --resume runs what is missing, resumes what was cut,
    and leaves what is done.
    """
    file = write(tmp_path / "s.yaml", settings={**SMALL, "steps": 400,
                                                "evaluation": {"every_steps": 50, "samples": 1600}},
                 space={"seed": [0, 1, 2]}, max_concurrent=1)  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "raygan.cli",
        "sweep",
        str(file),
        "--run-dir",
        str(tmp_path / "runs"),
        "--address",
        "local",
    ]
    first = subprocess.Popen(command)
    done, deadline = tmp_path / "runs/s/runs/seed-0/metrics.parquet", time.monotonic() + 120
    while not done.exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 143
    before = done.stat().st_mtime_ns
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2, (
        "not without --resume"
    )
    again = subprocess.run(
        [*command, "--resume"], capture_output=True, text=True, timeout=200, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "runs: 3 done" in again.stdout
    assert done.stat().st_mtime_ns == before, "what was done was not done again"
    for seed in range(3):
        run = Run.load(tmp_path / f"runs/s/runs/seed-{seed}")
        assert set(run.info["steps"].values()) == {400}
        assert run.config.seed == seed
    rows = [
        json.loads(line)
        for f in (tmp_path / "runs/s/tune").glob("*/*/result.json")
        for line in f.read_text().splitlines()
    ] or [
        json.loads(line)
        for f in (tmp_path / "runs/s/tune").rglob("result.json")
        for line in f.read_text().splitlines()
    ]
    first_report = next(r for r in rows if r["step"] == 0)
    assert "mixture.log_likelihood" in first_report, "all keys are there at the first report"


@pytest.mark.ray
@pytest.mark.exhaustive
def test_players_as_actors_in_the_trials_placement_group(ray_session: None, tmp_path: Path) -> None:
    """Two trials of two players each, in turn, where only one fits: both end, and the players lived
    in the trial's group.
    """
    settings = {**SMALL, "resources": {"spares": 0, "hub": True, "cpus_per_pair": 0.4}}
    file = write(tmp_path / "s.yaml", settings=settings, executor="ray")
    folder = sweeping.sweep(file, run_dir=tmp_path / "runs")
    frame = sweep_table.table(folder)
    assert list(frame["status"]) == ["done", "done"]
    assert {Run.load(folder / "runs" / name).info["executor"] for name in frame["run"]} == {"ray"}
    import ray
    from ray.util import placement_group_table

    left = [g for g in placement_group_table().values() if g["state"] not in ("REMOVED",)]
    assert left == [], "no group is left behind"
    assert ray.is_initialized()


@pytest.mark.ray
@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["asha", "pbt", "optuna", "budget"])
def test_schedules_and_searches(kind: str, ray_session: None, tmp_path: Path) -> None:
    learning: dict[str, Any] = {
        "steps": 200,
        "batch_size": 64,
        "network": {"name": "mlp", "hidden": 64, "z_dim": 2},
    }
    learning |= {"evaluation": {"every_steps": 50}, "checkpoint": {"every_steps": 50}}
    learning |= {
        "data": {**SMALL["data"], "train": 2500},
        "pair": {"lr_d": 4e-3, "beta2": 0.9, "ema": 0.9},
    }  # 8 modes, or 0
    settings = {**SMALL, **learning} if kind in ("asha", "pbt") else {**SMALL, "steps": 40}
    values: dict[str, Any] = {
        "asha": {"scheduler": "asha", "space": {"pair.lr_g": [3e-3, 1e-6, 2e-6, 3e-6]},
                 "max_concurrent": 1},
        "pbt": {"scheduler": "pbt", "perturb": ["pair.lr_g", "strategy.swap_every"],
                "max_concurrent": 2,
                "space": {"pair.lr_g": [3e-3, 1e-6], "strategy.swap_every": [5, 10]}},
        "optuna": {"search": "optuna", "samples": 3,
                   "space": {"pair.lr_g": {"log_uniform": [1e-4, 1e-2]}, "num_pairs": [2, 3]}},
        "budget": {"budget": {"megabytes": 0.02}, "space": {"strategy.swap_every": [5, 10]}},
    }[kind]  # fmt: skip
    metric = "mixture.modes" if kind in ("asha", "pbt") else "mixture.log_likelihood"
    folder = sweeping.sweep(
        write(tmp_path / "s.yaml", settings=settings, metric=metric, **values),
        run_dir=tmp_path / "runs",
    )
    frame = sweep_table.table(folder)
    ended = list(frame["status"])
    if kind == "asha":
        assert ended.count("done") >= 1
        assert ended.count("scheduler") >= 1, ended
    elif kind == "pbt":
        assert ended.count("done") == 4
        forked = [n for n in frame["run"] if "__" in n]
        assert forked, "the worse half goes on from the better half's state"
        info = Run.load(folder / "runs" / forked[0]).info
        assert info["forked"]["step"] > 0
        assert info["forked"]["player_seconds"] > 0
        named = frame[frame["run"] == forked[0]].iloc[0]
        assert forked[0].startswith(f"lr_g-{named['pair.lr_g']}_"), (
            "its name tells its own settings"
        )
    elif kind == "optuna":
        assert ended == ["done"] * 3
        assert frame["pair.lr_g"].nunique() == 3
    else:
        assert "budget" in ended
        steps = dict(zip(frame["strategy.swap_every"], frame["step"], strict=True))
        assert steps[5] < steps[10], "more swaps, sooner at an end"
        assert all(0.02 <= m < 0.06 for m in frame["megabytes"])
    assert (folder / "report/index.html").exists() or sweep_report.write(folder).exists()


def test_the_environment_is_not_needed(tmp_path: Path) -> None:
    """--dry-run lists the runs and starts nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "raygan.cli", "sweep", str(write(tmp_path / "s.yaml")), "--dry-run"],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[:3] == ["seed-0", "seed-1", "2 runs of 30 steps"]
    assert done.returncode == 0


def test_the_tables_rows_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Not in that of the runs' names, by which -2 comes before -4."""
    spec = read_sweep(write(tmp_path / "s.yaml", space={"strategy.swap_every": [40, 5, 10]}))
    (tmp_path / "s/runs").mkdir(parents=True)
    (tmp_path / "s/sweep.json").write_text(spec.model_dump_json())
    point = spec.points()[2]
    run = tmp_path / "s/runs" / trial_name(point)
    run.mkdir()
    (run / "point.json").write_text(json.dumps(point))
    frame = sweep_table.table(tmp_path / "s")
    assert list(frame["strategy.swap_every"]) == [40, 5, 10]
    assert [s.partition(":")[0] for s in frame["status"]] == ["missing", "missing", "damaged"]


NETWORK = """
from torch import nn
class N:
    def generator(self, shape, z_dim): return nn.Linear(z_dim, *shape)
    def discriminator(self, shape, outputs=1):
        return nn.Sequential(nn.Linear(*shape, 1), nn.Flatten(0))
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"max_concurrent": 3, "budget": {"d_updates": 50}}, ""),
        (
            {
                "settings": {
                    "num_pairs": 2,
                    "network": "./one.py:N",
                    "evaluation": {"samples": 1600},
                }
            },
            "",
        ),
        ({"space": {"seed": [0, 2]}}, "space is"),
        ({"preset": "ring8-sgan"}, "preset is"),
        ({"seed": 3}, "seed is"),
        ({"settings": {"num_pairs": 3, "network": "./one.py:N"}}, "settings.num_pairs = 3 is"),
        ({"settings": {"num_pairs": 2}}, "settings.network = None is"),
        (
            {"source": NETWORK.replace("z_dim, *shape", "z_dim, *shape, bias=False")},
            "source of network is",
        ),
    ],
)
def test_a_sweep_goes_on_as_it_began(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Else some of its trials would be of one network, some of another, under one name."""
    values = {
        "name": "s",
        "preset": "ring8-gap",
        "space": {"seed": [0, 1]},
        "metric": "mixture.high_quality",
        "settings": {"num_pairs": 2, "network": "./one.py:N"},
    }

    def read(values: dict[str, Any]) -> Sweep:
        (tmp_path / "s.yaml").write_text(yaml.safe_dump(values))
        return read_sweep(tmp_path / "s.yaml")

    (tmp_path / "one.py").write_text(NETWORK)
    stored = json.loads(read(values).model_dump_json())
    (tmp_path / "one.py").write_text(change.pop("source", NETWORK))
    found = changed(stored, read(values | change))
    assert found == told if not told else found.startswith(told)

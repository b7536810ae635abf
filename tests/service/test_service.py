"""A run from start to report, in this process; and everything that reads it."""

import json
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.legend import Legend

import raygan
from raygan.cli import main
from raygan.cli.console import console
from raygan.config import resolve
from raygan.controller.listener import Listener, Running
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from raygan.errors import ConfigError
from raygan.service.plan import plan_text
from raygan.service.resuming import resume_run
from raygan.service.runs.cast import Cast
from raygan.service.runs.listing import list_runs, runs_table
from raygan.service.runs.logs import Logs
from raygan.service.runs.run import Run, Shorthand
from raygan.service.scores.compare import compare_runs
from raygan.service.scores.evaluate import evaluate_runs, result_table, table
from raygan.service.scores.sampling import write_samples
from raygan.service.training import train
from raygan.service.views.report import write_report
from tests.conftest import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return raygan.train(
        None, run_dir=tmp_path_factory.mktemp("runs"), name="first", inline=True, **TINY
    )


def test_a_run_folder_has_all_its_parts(run: Run) -> None:
    there = {p.name for p in run.path.iterdir()}
    assert there >= {"run.json", "config.yaml", "command.txt", "metrics.jsonl", "metrics.parquet",
                     "events.jsonl", "samples", "checkpoints"}  # fmt: skip
    assert (run.info["status"], run.info["exit_code"]) == ("done", 0)
    assert run.info["steps"] == {"pair-00": 12, "pair-01": 12, "global": 12}
    assert set(run.info["versions"]) == {"raygan", "torch", "ray", "numpy", "python"}
    assert not list(run.path.rglob("*.tmp"))
    assert not [p for p in run.path.rglob("*") if p.suffix in (".pkl", ".pickle", ".pt")]
    assert (run.path.parent / "latest").resolve() == run.path


def test_config_yaml_tells_where_each_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 3\npair: {lr_g: 0.5}\n")
    text = resolve("ring8-sgan", [tmp_path / "a.yaml"], {"pair.lr_g": 0.25, "num_pairs": 2}).yaml()
    assert "seed: 3  # " + str(tmp_path / "a.yaml") in text
    assert "lr_g: 0.25  # flag" in text
    assert "num_pairs: 2  # flag" in text
    assert "weight: 0.1  # preset ring8-sgan" in text
    assert "max_bad_steps: 20  # default" in text


def test_a_component_that_changes_loses_the_settings_of_the_old_one() -> None:
    resolved = resolve("ring8-sgan", flags={"loss": "hinge"})
    assert resolved.config.loss == {"name": "hinge"}
    assert resolve("ring8-sgan", flags={"loss": "dragan"}).config.loss["weight"] == 0.1


def test_scores_stand_beside_floor_ceiling_and_protocol(run: Run) -> None:
    text = result_table(run)
    for part in (
        "ceiling (real data)",
        "floor (noise)",
        "mixture of all pairs",
        "radius 1, std 0.01",
        "1600",
    ):
        assert part in text
    rows = run.metrics
    assert set(rows["kind"]) == {"train", "score"}
    assert {r["protocol"] for r in run.scores().values()} <= set(run.info["protocols"])
    entry = next(iter(run.info["protocols"].values()))
    assert entry["ceiling"]["high_quality"] > 0.97
    assert entry["floor"]["modes@10%"] == 0


def test_pulls_and_losses_are_dataframes(run: Run) -> None:
    assert list(run.pulls["player"].unique()) == ["global"]
    lifetime = run.config.strategy["messenger_lifetime"]
    assert run.pulls["lag"].between(0, lifetime - 1).all(), (
        "in lockstep a copy is younger than its lifetime"
    )
    assert len(run.metrics.query("player == 'pair-01' and kind == 'train'")) >= 3


def test_samples_need_neither_ray_nor_the_data_set(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.data.ring.Ring.load", lambda self, seed: 1 / 0)
    x = Run.load(run.path).generator("mixture").sample(1025, seed=0)
    assert x.shape == (1025, 2)
    assert np.array_equal(x, Run.load(run.path).generator("mixture").sample(1025, seed=0))
    assert not np.array_equal(x, run.generator("mixture").sample(1025, seed=1))
    single = {w: run.generator(w).sample(64) for w in ("global", "pair:0", "pair:1", "pair-01")}
    assert np.array_equal(single["pair:1"], single["pair-01"])
    assert not np.array_equal(single["pair:0"], single["pair:1"])


@pytest.mark.parametrize("suffix", [".npz", ".png", ".parquet"])
def test_sample_files(run: Run, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"x{suffix}"
    text = write_samples(run, "global", 50, 0, out)
    assert "50 samples" in text
    assert list(tmp_path.iterdir()) == [out]
    if suffix == ".npz":
        with np.load(out) as archive:
            assert archive.files == ["x"]
            assert archive["x"].shape == (50, 2)
    elif suffix == ".parquet":
        assert pd.read_parquet(out).shape == (50, 2)
    else:
        assert out.read_bytes().startswith(b"\x89PNG")


def test_the_mixture_gives_every_generator_its_share(run: Run) -> None:
    mixture = run.generator("mixture")
    parts = [run.generator(f"pair:{i}") for i in (0, 1)]
    x = mixture.sample(100, seed=3)
    names = list(mixture.networks)
    assert names == ["pair-00", "pair-01"]
    from raygan.gan.random_streams import Streams, sample_prior

    for name, part in zip(names, parts, strict=True):
        z = sample_prior("gaussian", (50, 2), Streams(3, "sample").at(name))
        own = part.networks[name](z).detach().numpy()
        rows = {tuple(r) for r in x.round(6).tolist()}
        assert sum(tuple(r) in rows for r in own.round(6).tolist()) >= 49


def test_evaluate_and_compare(run: Run, tmp_path: Path) -> None:
    results = evaluate_runs([str(run.path)], ["modes", "prdc"], 200, None, 0)
    assert set(results[0]["scores"]) == {"global", "pair-00", "pair-01", "mixture"}
    assert "precision@raw" in results[0]["scores"]["global"]
    assert results[0]["protocol"]["extractor"] == "raw"
    assert "ceiling (real data)" in table(results)
    for group in ("modes", "density"):
        (found,) = evaluate_runs([str(run.path)], [group], 1600, None, 0)
    kept = list(run.path.glob(f"evaluation-{found['protocol']['id']}-*-seed0.json"))
    assert len(kept) == 2, "what one asks for does not overwrite what another has"
    other = raygan.train(None, run_dir=tmp_path, name="second", inline=True, **{**TINY, "seed": 1})
    text = compare_runs([str(run.path), str(other.path)])
    assert "first (2 seeds) global" in text
    assert "±" in text
    assert "compute:" in text
    third = raygan.train(
        None, run_dir=tmp_path, name="third", inline=True, **{**TINY, "num_pairs": 3}
    )
    text = compare_runs([str(run.path), str(other.path), str(third.path)])
    assert "num_pairs: 2 (first (2 seeds)), 3 (third)" in text
    rows = [line for line in text.splitlines() if line.startswith(("first (", "third "))]
    ways = [int(line.split()[-2]) for line in rows]
    assert ways == sorted(ways, reverse=True), "the best stands first"
    first = [row.split("  ")[0] for row, way in zip(rows, ways, strict=True) if way == ways[0]]
    (told,) = [line for line in text.splitlines() if line.startswith(("best: ", "level: "))]
    assert any(name in told.partition(";")[0] for name in first)


def test_the_report_is_one_file_that_needs_nothing(run: Run) -> None:
    html = write_report(run).read_text()
    assert html.count("data:image/png;base64,") >= 5
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html), (
        "nothing is loaded from elsewhere"
    )
    for part in ("Samples over time", "Modes", "Scores", "Training", "Age of what",
                 "Where the time went", "To repeat it", "raygan.train(None", "viewport",
                 "mixture of all pairs"):  # fmt: skip
        assert part in html, part


def test_resume_goes_on_for_more_steps(tmp_path: Path) -> None:
    first = raygan.train(None, run_dir=tmp_path, name="long", inline=True, **TINY)
    again = resume_run(first.path, extra_steps=6)
    assert again.info["steps"]["global"] == 18
    assert again.config.steps == 18
    trained = [r for r in again.rows if r["kind"] == "train" and r["player"] == "global"]
    assert sum(r["steps"] for r in trained) == 18


def test_resume_auto_starts_and_then_goes_on(tmp_path: Path) -> None:
    for steps in (8, 12):
        resolved = resolve(None, flags={**TINY, "steps": steps})
        done = train(resolved, run_dir=tmp_path, name="auto", inline=True, resume="auto")
    assert [e["kind"] for e in done.events].count("resume") == 1
    assert done.info["steps"]["global"] == 12


def test_resuming_takes_more_steps_and_refuses_another_run(tmp_path: Path) -> None:
    first = train(resolve(None, flags=TINY), run_dir=tmp_path, name="auto", inline=True)
    longer = resolve(None, flags={**TINY, "steps": 15})
    done = train(longer, run_dir=tmp_path, name="auto", inline=True, resume="auto")
    assert done.info["steps"]["pair-00"] == 15
    done = train(resolve(), inline=True, resume=str(first.path))
    assert done.config.steps == 15, "without flags a run goes on as it is"
    for change, text in (
        ({"pair.lr_g": 0.5}, "pair.lr_g = 0.5"),
        ({"network.hidden": 9}, "the run has 16"),
    ):
        with pytest.raises(ConfigError, match=text):
            train(resolve(None, flags={**TINY, **change}), inline=True, resume=str(first.path))
    with pytest.raises(ConfigError, match="needs --name"):
        train(resolve(None, flags=TINY), inline=True, resume="auto")


def test_runs_are_listed_and_a_damaged_one_is_said_to_be(run: Run) -> None:
    (run.path.parent / "bad").mkdir(exist_ok=True)
    (run.path.parent / "bad/run.json").write_text("{")
    found = list_runs(run.path.parent)
    assert {f["name"]: f["status"].partition(":")[0] for f in found} == {
        "first": "done",
        "bad": "damaged",
    }
    assert "sgan" in runs_table(found)
    status = RunFolder(run.path)
    status.status(status="running", pid=2**22 + 1)
    assert next(f for f in list_runs(run.path.parent) if f["name"] == "first")["status"] == "lost"
    status.status(host="another-machine")  # nobody can tell from here
    assert (
        next(f for f in list_runs(run.path.parent) if f["name"] == "first")["status"] == "running"
    )
    status.status(status="done", host=platform.node())
    assert "raygan train" in runs_table([])


def test_plan_says_bytes_and_places() -> None:
    text = plan_text(resolve("ring8-sgan"), "local")
    for part in (
        "players        6",
        "a pull",
        "object store",
        "checkpoint",
        "CPU",
        "time           about",
    ):
        assert part in text
    small_store = {
        "network.hidden": 128,
        "strategy.messenger_lifetime": 1,
        "resources.object_store_mb": 80,
    }
    wide = plan_text(
        resolve(
            "ring8-sgan", flags={**small_store, "round_steps": 150, "checkpoint.every_steps": 150}
        ),
        "local",
    )
    assert "more than 70 % of the store" in wide


def test_consoles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", "--inline", "--run-dir", str(tmp_path), "--steps", "4", "--num-pairs", "1",
            "--network.hidden", "8", "--evaluation.samples", "1500",
            "--evaluation.every-steps", "2"]  # fmt: skip
    out = {}
    for style in ("plain", "json", "quiet"):
        with pytest.raises(SystemExit) as stop:
            main([*argv, f"--{style}", "--name", style])
        assert stop.value.code == 0
        out[style] = capsys.readouterr().out
    assert "\x1b" not in out["plain"]
    assert "next    raygan sample" in out["plain"]
    lines = [json.loads(line) for line in out["json"].splitlines()]
    assert lines[-1]["kind"] == "end"
    assert {line["player"] for line in lines[:-1]} == {"pair-00", "global"}
    assert out["quiet"] == ""


def test_the_live_table_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    live = console(None)
    assert type(live).__name__ == "Live"
    done = train(
        resolve(None, flags=TINY), run_dir=tmp_path, name="live", inline=True, listeners=[live]
    )
    assert done.info["status"] == "done"
    out = capsys.readouterr().out
    assert "sgan (lockstep), 2 pairs" in out
    assert str(done.path) in out.replace("\n", "")


def test_async_inline_runs_to_the_end(tmp_path: Path) -> None:
    done = raygan.train(None, run_dir=tmp_path, inline=True, **{**TINY, "tempo": "async"})
    assert done.info["steps"] == {"pair-00": 12, "pair-01": 12, "global": 12}


def test_images_end_to_end(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        **TINY, "data": "mnist", "network": {"name": "dcgan", "width": 4, "z_dim": 8}, "steps": 2,
        "batch_size": 8, "evaluation": {"every_steps": 2, "samples": 64},
    }  # fmt: skip
    done = raygan.train(None, run_dir=tmp_path, name="images", inline=True, **values)
    row = done.scores()["global"]
    assert {"score", "entropy", "tv"} <= set(row)
    assert any(k.startswith("fid@cnn-mnist-") for k in row)
    assert write_report(done).stat().st_size > 10_000
    write_samples(done, "global", 9, 0, tmp_path / "grid.png")
    assert done.generator("global").sample(3).shape == (3, 1, 28, 28)


MORE: dict[str, dict[str, Any]] = {
    "gap": {"strategy": {"name": "gap", "swap_every": 4}},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl"},
    "mixture": {"strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 4}}},
}


@pytest.mark.parametrize("kind", sorted(MORE))
def test_every_strategy_from_start_to_report(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = raygan.train(None, run_dir=tmp_path, name=kind, inline=True, **{**TINY, **MORE[kind]})
    searched: list[Legend] = []

    def best(legend: Legend, *_: Any) -> tuple[float, float]:
        searched.append(legend)
        return 0.0, 0.0

    monkeypatch.setattr(Legend, "_find_best_position", best)
    html = write_report(run).read_text()
    assert ("Who met whom" in html) == (kind != "pmgan")
    assert ("Balance and lag" in html) == (kind == "pmgan")
    assert ("a lane a generator" in html) == (kind == "pmgan")
    assert "What D says" in html
    assert "Latent walk" in html
    assert not searched, "a legend's place is given: the search for one takes seconds, and warns"
    assert "Does D generalise?" in html or kind == "pmgan"
    if kind == "pmgan":
        assert run.main_player == "mixture"
        assert list(run.slots.columns[3:]) == ["gen-00", "gen-01"]
        assert (run.slots[["gen-00", "gen-01"]] > 0).all().all()
    else:
        assert set(run.swaps["player"]) == {"pair-00", "pair-01"}
        assert run.info["swaps"] == 2
        assert set(run.swaps["step"]) == {4, 8}
    assert (
        "a slot" in plan_text(resolve(None, flags={**TINY, **MORE[kind]}), "local")
        or kind != "pmgan"
    )


def test_gap_without_a_swap_is_warned_about(tmp_path: Path) -> None:
    run = raygan.train(
        None,
        run_dir=tmp_path,
        name="late",
        inline=True,
        **{**TINY, "strategy": {"name": "gap", "swap_every": 50}},
    )
    assert run.info["warnings"]["W105 no-swap"] == 1
    assert run.info["swaps"] == 0
    assert "W105" in plan_text(
        resolve(None, flags={**TINY, "strategy": {"name": "gap", "swap_every": 50}}), "local"
    )


def test_resuming_with_another_number_of_pairs_is_refused(tmp_path: Path) -> None:
    settings = {**TINY, **MORE["gap"]}
    raygan.train(None, run_dir=tmp_path, name="two", inline=True, **settings)
    with pytest.raises(
        ConfigError,
        match=r"num_pairs = 3 \(flag\): the run has 2. Resume with the config of the run",
    ):
        raygan.train(
            None,
            run_dir=tmp_path,
            name="two",
            inline=True,
            resume="auto",
            **{**settings, "num_pairs": 3},
        )


def test_unlike_pairs_are_sampled_with_their_own_prior_and_network(tmp_path: Path) -> None:
    pairs = [
        {"count": 1},
        {
            "count": 1,
            "network": {"name": "mlp", "hidden": 8, "z_dim": 3},
            "pair": {"prior": "uniform"},
        },
    ]
    settings = {**TINY, "strategy": "independent", "pairs": pairs}
    run = raygan.train(None, run_dir=tmp_path, name="unlike", inline=True, **settings)
    generators = run.generator("mixture")
    assert generators.priors == {"pair-00": ("gaussian", 2), "pair-01": ("uniform", 3)}
    assert generators.sample(10).shape == (10, 2)
    assert set(run.scores()) == {"pair-00", "pair-01", "mixture"}


@pytest.mark.exhaustive
def test_text_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {
        "steps": 2, "num_pairs": 2, "batch_size": 4, "loss": "non_saturating",
        "network": {"name": "text_cnn", "channels": 4, "blocks": 1},
        "evaluation": {"every_steps": 2, "samples": 64}, "checkpoint": {"every_steps": 2},
    }  # fmt: skip
    run = train(
        resolve("lm1b-wgan-sgan", flags=flags),
        run_dir=tmp_path,
        name="text",
        inline=True,
        listeners=[console("plain")],
    )
    assert "Samples as text" in write_report(run).read_text()
    console("plain").finish(run, tmp_path)
    assert "samples.txt" in capsys.readouterr().out
    write_samples(run, "global", 5, 0, tmp_path / "x.txt")
    assert len((tmp_path / "x.txt").read_text().splitlines()) == 5
    with pytest.raises(ConfigError, match="samples are text"):
        write_samples(run, "global", 5, 0, tmp_path / "x.png")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("mode=8", "Did you mean 'modes'?"), ("fid=3", "no score 'fid'"), ("depth>=1", "no score")],
)
@pytest.mark.parametrize("inline", [["--inline"], []])
def test_a_score_that_the_run_will_not_have_is_refused_before_anything_starts(
    wanted: str, told: str, inline: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("raygan.service.training.hosting", None)
    with pytest.raises(SystemExit) as end:
        main(["train", "--run-dir", str(tmp_path / "runs"), "--require", wanted, *inline])
    assert end.value.code == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_what_a_runs_parts_have_is_the_runs_too_with_their_words(run: Run) -> None:
    short = {name: made for name, made in vars(Run).items() if isinstance(made, Shorthand)}
    assert {"pairs", "best", "metrics", "scores"} <= set(short)
    for name, made in short.items():
        part, of = (run.cast, Cast) if hasattr(Cast, name) else (run.logs, Logs)
        assert made.__doc__ == getattr(of, name).__doc__, name
        found, told = getattr(run, name), getattr(part, name)
        assert str(found) == str(told), name


class _Cut(Listener):
    """Loses its connection at the first order, and has a say in the run."""

    decides = True

    def __call__(self, run: Running, done: Done) -> None:
        """As a tracker's library might."""
        raise ConnectionResetError("peer went away")


def test_a_broken_connection_ends_a_run_as_failed_not_as_running(
    tmp_path: Path,
) -> None:
    """It is an OSError too, but nothing of a disk."""
    with pytest.raises(ConnectionResetError):
        train(resolve(flags=TINY), run_dir=tmp_path, name="cut", inline=True, listeners=[_Cut()])
    info = Run.load(tmp_path / "cut").info
    assert (info["status"], info["exit_code"]) == ("failed", 1)
    assert info["error"] == "ConnectionResetError: peer went away"


def test_a_run_that_another_machine_writes_is_not_lost_here(tmp_path: Path) -> None:
    """On storage that both see its process number is none of this machine's."""
    train(resolve(flags=TINY), run_dir=tmp_path, name="there", inline=True)
    RunFolder(tmp_path / "there").status(status="running", host="elsewhere", pid=2**22 + 1)
    assert [entry["status"] for entry in list_runs(tmp_path)] == ["running"]
    # Killed before its end: run.json knows the steps of an earlier life's.
    RunFolder(tmp_path / "there").status(host=platform.node(), steps={"global": 1})
    (entry,) = list_runs(tmp_path)
    assert (entry["status"], entry["step"]) == ("lost", TINY["steps"])

"""`--data parts`: each pair's own SOURCE, and no whole; what they have in common."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import raygan
from raygan.config import Config
from raygan.controller.evaluator import Evaluator
from raygan.data.base import Samples
from raygan.data.parts import pooled
from raygan.data.record import Scaling
from raygan.errors import ConfigError, DataError
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.strategies.base import load_data, with_data
from raygan.strategies.partition import own_parts, with_parts
from tests.conftest import TINY, tiny_config
from tests.data.test_partition import prepared, resumed_exactly


def of(root: Path, *sources: str, **changes: Any) -> Config:
    partition = {f"pair-{i:02d}": source for i, source in enumerate(sources)}
    data = {"name": "parts", "partition": partition}
    strategy = changes.pop("strategy", {"name": "gap", "swap_every": 3})
    return tiny_config(data=data, strategy=strategy, num_pairs=len(sources), **changes)


def two(root: Path) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Sources of two pairs, and all that they hold."""
    rng = np.random.default_rng(0)
    a, b = (
        rng.normal([6.0, 90.0], [2.0, 10.0], (120, 2)),
        rng.normal([4.0, 1e6], [1.0, 5.0], (80, 2)),
    )
    np.savez(root / "a.npz", x=a)
    np.savez(root / "b.npz", x=b)
    return [f"npz:{root}/a.npz", f"npz:{root}/b.npz"], np.concatenate([a, b])


def test_parts_are_scaled_as_if_they_were_one(tmp_path: Path) -> None:
    sources, both = two(tmp_path)
    setup = prepared(of(tmp_path, *sources))
    data = setup.data
    assert (data.whole, len(data.train), data.shape, data.distinct) == (False, 0, (2,), 108 + 72)
    seen = [
        np.concatenate([part.train, part.held_out])
        for part in own_parts(setup.config, with_data(setup.config), data.outline).values()
    ]
    expected = (both - both.mean(0)) / both.std(0)
    np.testing.assert_allclose(
        np.sort(np.concatenate(seen), 0), np.sort(expected, 0), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(2, 40), st.floats(-1e6, 1e6), st.floats(1e-2, 1e3)),
        min_size=1, max_size=5,
    )
)  # fmt: skip
def test_means_and_deviations_of_parts_give_those_of_all(
    of: list[tuple[int, float, float]],
) -> None:
    arrays = {
        str(i): np.random.default_rng(i).normal(mean, deviation, (n, 1))
        for i, (n, mean, deviation) in enumerate(of)
    }
    scalings = {p: Scaling((float(x.mean()),), (float(x.std()),)) for p, x in arrays.items()}
    found = pooled(scalings, {p: len(x) for p, x in arrays.items()}, 1)
    whole = np.concatenate(list(arrays.values()))
    assert found is not None
    assert found.offset[0] == pytest.approx(whole.mean(), rel=1e-9, abs=1e-6)
    assert found.factor[0] == pytest.approx(whole.std(), rel=1e-6)


def test_a_column_that_only_differs_between_parts_is_scaled_by_that(tmp_path: Path) -> None:
    """A site's number, a year: within a part it never changes, and readers scale it by 1."""
    rng = np.random.default_rng(0)
    for name, value, last in (("a", 0.0, 7.0), ("b", 1.0, 7.0)):
        columns = [rng.normal(size=50), np.full(50, value), np.full(50, last)]
        np.savez(tmp_path / f"{name}.npz", x=np.stack(columns, 1))
    scaling = prepared(of(tmp_path, f"npz:{tmp_path}/a.npz", f"npz:{tmp_path}/b.npz")).data.scaling
    assert scaling is not None
    assert (scaling.offset[1:], scaling.factor[1:]) == ((0.5, 7.0), (0.5, 1.0))


@pytest.mark.parametrize("turned", [False, True])
def test_pictures_of_unlike_ranges_are_refused_in_either_order(
    turned: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.uniform(0, 1, (40, 1, 8, 8)).astype(np.float32))
    np.savez(tmp_path / "b.npz", x=rng.uniform(-1, 1, (40, 1, 8, 8)).astype(np.float32))
    sources = [f"npz:{tmp_path}/a.npz", f"npz:{tmp_path}/b.npz"]
    with pytest.raises(DataError, match=r"by their range\. Say which: data\.scale in each SOURCE"):
        prepared(of(tmp_path, *(sources[::-1] if turned else sources)))


def test_columns_are_taken_by_their_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"width": rng.normal(5, 1, 60), "height": rng.normal(90, 9, 60)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[["height", "width"]].to_csv(tmp_path / "b.csv", index=False)
    setup = prepared(of(tmp_path, f"csv:{tmp_path}/a.csv", f"csv:{tmp_path}/b.csv"))
    assert setup.data.columns == ("width", "height")
    assert setup.data.record is not None
    assert setup.data.record.plain()["columns"] == ["width", "height"], "samples are named by it"
    first, second = own_parts(setup.config, ["pair-00", "pair-01"], setup.data.outline).values()
    np.testing.assert_allclose(np.sort(first.train, 0), np.sort(second.train, 0), rtol=1e-5)


def pictures(root: Path, name: str, mode: str, size: int = 8) -> str:
    (root / name).mkdir()
    rng = np.random.default_rng(len(name))
    for i in range(12):
        shape = (size, size, 3) if mode == "RGB" else (size, size)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(root / name / f"{i}.png")
    return f"folder:{root}/{name}"


def unlike(root: Path, case: str) -> list[str]:
    sources, _ = two(root)
    np.savez(root / "three.npz", x=np.random.default_rng(0).normal(size=(50, 3)))
    pd.DataFrame({"a": np.arange(50) / 7, "b": np.arange(50) / 3}).to_csv(root / "x.csv")
    return {
        "shape": [sources[0], f"npz:{root}/three.npz"],
        "kind": [sources[0], pictures(root, "kind", "L")],
        "channels": [pictures(root, "grey", "L"), pictures(root, "colour", "RGB")],
        "size": [pictures(root, "small", "L"), pictures(root, "large", "L", 16)],
        "missing": [sources[0], f"npz:{root}/nowhere.npz"],
        "text": ["lm1b", "lm1b"],
    }[case]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("shape", r"pair-01: npz:.* holds points of shape \(3,\), pair-00's npz:.*\(2,\)"),
        ("kind", r"pair-01: folder:.* holds pictures of shape"),
        ("channels", r"pair-01: folder:.* holds pictures of shape \(3, 8, 8\)"),
        ("size", r"holds pictures of shape \(1, 16, 16\)"),
        ("missing", "does not exist"),
        ("text", "holds text, which is scored against a whole only"),
    ],
)
def test_parts_that_are_not_alike_are_one_line(case: str, told: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=told) as error:
        prepared(of(tmp_path, *unlike(tmp_path, case)))
    assert "\n" not in str(error.value)


def test_parts_without_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"set data\.partition to \{pair-00: SOURCE"):
        tiny_config(data={"name": "parts"}).component("data")


@pytest.mark.parametrize("strategy", ["sgan", "pmgan"])
def test_who_needs_data_without_a_part_is_refused(strategy: str, tmp_path: Path) -> None:
    sources, _ = two(tmp_path)
    with pytest.raises(ConfigError, match="needs real samples, and has no part of its own"):
        prepared(of(tmp_path, *sources, strategy=strategy))


def test_a_run_on_parts_is_resumed_exactly(tmp_path: Path) -> None:
    sources, _ = two(tmp_path)
    assert resumed_exactly(of(tmp_path, *sources))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    root = tmp_path_factory.mktemp("parts")
    sources, _ = two(root)
    partition = {f"pair-{i:02d}": source for i, source in enumerate(sources)}
    run = raygan.train(
        None, run_dir=root, name="run", inline=True, data="parts", num_pairs=2,
        strategy={"name": "gap", "swap_every": 3}, **TINY_HERE, **{"data.partition": partition},
    )  # fmt: skip
    return run, root


TINY_HERE = {k: v for k, v in TINY.items() if k not in ("data", "strategy", "num_pairs")}


def test_a_run_is_scored_by_part_with_floor_and_ceiling(trained: tuple[Run, Path]) -> None:
    run, _ = trained
    assert run.info["status"] == "done"
    for row in run.scores().values():
        assert 0 <= row["coverage_worst@raw"] <= row["coverage@raw"] <= 1
        entry = run.info["protocols"][row["protocol"]]
        assert entry["ceiling"]["precision@raw"] > entry["floor"]["precision@raw"]
        assert entry["n_real"] == 12 + 8
    assert set(run.scores()) == {"pair-00", "pair-01", "mixture"}


def test_who_looks_at_a_run_reads_no_part(
    trained: tuple[Run, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report is drawn where parts are not, and must not hold them where they are."""
    import raygan.strategies.sources as reading
    from raygan.service.scores.evaluate import result_table
    from raygan.service.views.report import write_report

    def read(*_: object) -> Samples:
        raise AssertionError("a part was read")

    monkeypatch.setattr(reading, "read", read)
    run, root = trained
    assert write_report(Run.load(run.path), root / "report.html").stat().st_size > 10_000
    assert "coverage_worst@raw" in result_table(run)
    samples = run.generator("pair-00").draw(20, 0)
    assert samples.shape == (20, 2)
    assert json.loads((run.path / "run.json").read_text())["data"]["train"] == 180


def test_evaluate_says_how_each_part_is_covered(trained: tuple[Run, Path]) -> None:
    from raygan.service.scores.evaluate import evaluate_runs, table

    (entry,) = evaluate_runs([str(trained[0].path)], None, 150, None, 0)
    assert set(entry["by_part"]["mixture"]) == {"pair-00", "pair-01"}
    assert min(entry["by_part"]["mixture"].values()) == entry["scores"]["mixture"][
        "coverage_worst@raw"
    ]  # fmt: skip
    assert "pair-01" in table([entry]).partition("part ")[2]


def test_what_takes_the_whole_is_refused(trained: tuple[Run, Path]) -> None:
    from raygan.service.distil import lesson
    from raygan.service.scores.evaluate import evaluate_runs
    from raygan.service.scores.export import fit_mixture
    from raygan.service.scores.gam2 import gam2

    run, _ = trained
    with pytest.raises(ConfigError, match="cannot score parts"):
        evaluate_runs([str(run.path)], ["fid"], 150, None, 0)
    with pytest.raises(ConfigError, match=r"mixture: .* nobody holds these"):
        fit_mixture(run)
    with pytest.raises(ConfigError, match=r"distil: .* nobody holds these"):
        lesson(run, run_dir=trained[1], name="distilled")
    with pytest.raises(ConfigError, match=r"gam2: .* nobody holds these"):
        gam2([str(run.path)], samples=50, seed=0)


def test_who_leaves_takes_its_part_along(tmp_path: Path) -> None:
    sources, _ = two(tmp_path)
    evaluator = Evaluator(prepared(of(tmp_path, *sources)))
    before = evaluator.full.protocol
    evaluator.attend(["pair-00", "pair-01"])
    assert evaluator.full.protocol == before
    (tmp_path / "b.npz").unlink()
    evaluator.attend(["pair-00"])
    assert evaluator.full.protocol.id != before.id
    count = evaluator.full.n_fake
    assert "coverage@raw" in evaluator.full.score(torch.randn(count, 2)), "the other is not asked"


def test_drawn_parts_that_differ_have_other_protocols(tmp_path: Path) -> None:
    ids = [
        Evaluator(prepared(of(tmp_path, "ring8", other))).quick.protocol.id
        for other in ("ring8", "ring10", "grid25")
    ]
    assert len(set(ids)) == 3


def test_a_part_that_has_changed_is_refused_at_a_resume(
    trained: tuple[Run, Path], tmp_path: Path
) -> None:
    run, root = trained
    kept = (root / "b.npz").read_bytes()
    shutil.copytree(run.path, tmp_path / "run")
    try:
        np.savez(root / "b.npz", x=np.load(root / "b.npz")["x"] + 1)
        with pytest.raises(DataError, match=r"pair-01.* has sha256"):
            resume_run(tmp_path / "run", extra_steps=4, inline=True)
    finally:
        (root / "b.npz").write_bytes(kept)
    done = resume_run(tmp_path / "run", extra_steps=4, inline=True)
    assert done.info["status"] == "done"


def test_the_whole_outline_comes_from_run_json(trained: tuple[Run, Path]) -> None:
    from raygan.service.runs.identity import known_data

    run, _ = trained
    fresh = with_parts(run.config, with_data(run.config), load_data(run.config))
    told = known_data(run.info, run.config)
    for name in ("name", "shape", "scaling", "columns", "scale", "split", "whole", "distinct"):
        assert getattr(told, name) == getattr(fresh, name), name
    assert told.parts == dict(fresh.parts)


def test_raygan_data_tells_of_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from raygan.cli import main

    sources, _ = two(tmp_path)
    partition = json.dumps({f"pair-{i:02d}": s for i, s in enumerate(sources)})
    with pytest.raises(SystemExit):
        main(["data", "parts", "--data.partition", partition])
    told = capsys.readouterr().out
    assert "200 points of shape (2,) in 2 parts" in told
    assert "pair-01: npz:" in told
    with pytest.raises(SystemExit) as left:
        main(["data", "parts", "--data.partition", partition, "--out", str(tmp_path / "x.png")])
    assert left.value.code == 2
    assert "nobody holds samples of all parts" in capsys.readouterr().err

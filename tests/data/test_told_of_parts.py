"""`--data parts`: what each part's reader did, its classes and what is odd, as told elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import raygan
from raygan.controller.run_folder import read_jsonl
from raygan.data.partition import Part
from raygan.errors import ConfigError, DataError
from raygan.service.driving import part_lines
from raygan.service.resuming import resume_run
from raygan.service.runs.identity import known_data
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import evaluate_runs, result_table, table
from raygan.service.views.report import write_report
from tests.conftest import TINY
from tests.data.test_partition import prepared
from tests.data.test_parts import of

HERE = {k: v for k, v in TINY.items() if k not in ("data", "strategy", "num_pairs")}
SECRET = "patient-4711"


def site(root: Path, name: str, seed: int) -> Path:
    """24 pictures of 8 x 8 in two classes, by folders."""
    rng = np.random.default_rng(seed)
    for c in ("cat", "dog"):
        folder = root / name / c
        folder.mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{i}.png")
    return root / name


def sites(root: Path) -> dict[str, Any]:
    """Of the first one a picture is broken, and one has several frames."""
    first, second = site(root, "a", 0), site(root, "b", 1)
    (first / "cat" / f"{SECRET}.png").write_bytes(b"junk")
    (first / "cat" / f"{SECRET}.txt").write_text("notes")
    frames = [Image.fromarray(np.full((8, 8), v, np.uint8)) for v in (10, 200, 90)]
    frames[0].save(first / "dog" / "f.tif", save_all=True, append_images=frames[1:])
    return {
        "pair-00": {"name": "folder", "path": str(first), "skip_broken": 2},
        "pair-01": f"folder:{second}",
    }


TOLD = (
    "pair-00 left out: pictures that cannot be read (1)",
    "pair-00 left out: files with suffix .txt (1)",
    "pair-00 converted: first frame of several (1)",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """The run, and what its start has told."""
    root = tmp_path_factory.mktemp("told")
    run = raygan.train(
        None, run_dir=root, name="run", inline=True, strategy="federated", num_pairs=2,
        **{**HERE, "data": {"name": "parts", "partition": sites(root)}},
    )  # fmt: skip
    return run, "\n".join(part_lines(known_data(run.info, run.config)))


def test_what_a_part_s_reader_did_is_told_by_counts(trained: tuple[Run, str]) -> None:
    run, start = trained
    for line in TOLD:
        assert line in start
    part = json.loads((run.path / "run.json").read_text())["data"]["parts"]["pair-00"]
    assert part["skipped"] == {"pictures that cannot be read": 1, "files with suffix .txt": 1}
    assert part["converted"]["first frame of several"] == 1
    report = write_report(run).read_text()
    assert all(line in report for line in TOLD)


def test_no_name_of_a_file_leaves_a_part(trained: tuple[Run, str]) -> None:
    run, start = trained
    assert SECRET not in start
    files = [p for p in run.path.rglob("*") if p.is_file()]
    assert files
    assert not any(SECRET.encode() in p.read_bytes() for p in files)


def test_raygan_data_tells_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from raygan.cli import main

    partition = json.dumps(sites(tmp_path))
    with pytest.raises(SystemExit):
        main(["data", "parts", "--data.partition", partition])
    told = capsys.readouterr().out
    assert all(line in told for line in TOLD)
    assert SECRET not in told
    with pytest.raises(SystemExit):
        main(["data", "parts", "--data.partition", partition, "--json"])
    part = json.loads(capsys.readouterr().out)["data"]["parts"]["pair-00"]
    assert part["skipped"]["pictures that cannot be read"] == 1


def test_a_whole_with_sources_tells_it_of_each_too(tmp_path: Path) -> None:
    partition = sites(tmp_path)
    config = of(tmp_path, "ring8").model_copy(
        update={
            "data": {"name": "folder", "path": str(tmp_path / "b"), "partition": partition},
            "num_pairs": 2,
        }
    )
    part = prepared(config).data.parts["pair-00"]
    assert [line for line in part.reading("pair-00") if "cannot be read" in line]


def test_labels_that_are_left_out_are_told(tmp_path: Path) -> None:
    first, second = site(tmp_path, "a", 0), site(tmp_path, "b", 1)
    partition = {
        "pair-00": {"name": "folder", "path": str(first), "labels": "none"},
        "pair-01": f"folder:{second}",
    }
    config = of(tmp_path, "ring8", "ring8").model_copy(
        update={"data": {"name": "parts", "partition": partition}}
    )
    parts = prepared(config).data.parts
    assert parts["pair-00"].reading("pair-00") == ["pair-00 labels: folders ignored"]
    assert "dog" not in json.dumps(parts["pair-00"].plain())
    assert parts["pair-01"].reading("pair-01") == []
    assert parts["pair-01"].classes == {"cat": 11, "dog": 11}


def test_what_is_odd_in_a_part_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from raygan.cli import main

    np.savez(tmp_path / "a.npz", x=np.zeros((40, 1, 8, 8), np.float32) - 1)
    pictures = np.random.default_rng(0).uniform(-1, 1, (40, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "b.npz", x=pictures)
    sources = {
        "pair-00": {"name": "npz", "path": f"{tmp_path}/a.npz", "scale": "-1..1"},
        "pair-01": {"name": "npz", "path": f"{tmp_path}/b.npz", "scale": "-1..1"},
    }
    run = raygan.train(
        None, run_dir=tmp_path, name="run", inline=True, strategy="federated", num_pairs=2,
        **{**HERE, "data": {"name": "parts", "partition": sources}},
    )  # fmt: skip
    warned = [e for e in run.events if e["kind"] == "warning" and e["name"] == "W108 odd-data"]
    assert [e["text"].partition(":")[0] for e in warned] == ["pair-00"]
    with pytest.raises(SystemExit):
        main(["data", "parts", "--data.partition", json.dumps(sources)])
    assert "warning        pair-00: data npz:a.npz: every picture is -1" in capsys.readouterr().out


@pytest.mark.parametrize("whole", [True, False])
def test_whose_source_cannot_be_read_is_told(whole: bool, tmp_path: Path) -> None:
    good, bad = site(tmp_path, "a", 0), site(tmp_path, "b", 1)
    (bad / "cat" / "x.png").write_bytes(b"junk")
    data: dict[str, Any] = {"pair-00": f"folder:{good}", "pair-01": f"folder:{bad}"}
    name: dict[str, Any] = {"name": "folder", "path": str(good)} if whole else {"name": "parts"}
    config = of(tmp_path, "ring8", "ring8").model_copy(update={"data": {**name, "partition": data}})
    with pytest.raises(DataError, match=r"^data\.partition: pair-01: data\.folder: ") as error:
        prepared(config)
    told = str(error.value)
    assert told.count("data.partition") == 1
    settings = "Settings stand in its SOURCE: pair-01: {name: .., skip_broken: ..}."
    assert (settings in told) is not whole, "those of the whole's reader hold for its kind"


def test_a_setting_that_a_source_has_not_is_told_with_whose(tmp_path: Path) -> None:
    config = of(tmp_path, "ring8", "ring8")
    partition = {"pair-00": "ring8", "pair-01": {"name": "ring", "mode": 3}}
    config = config.model_copy(update={"data": {"name": "parts", "partition": partition}})
    with pytest.raises(ConfigError, match=r"^data\.partition: pair-01: .*'mode'"):
        prepared(config)


def test_a_run_tells_coverage_of_each_class_of_each_part(trained: tuple[Run, str]) -> None:
    run, _ = trained
    (event,) = [e for e in read_jsonl(run.path / "events.jsonl") if e["kind"] == "by_part"]
    assert event["player"] == "global"
    assert event["coverage"].keys() == event["classes"].keys() == {"pair-00", "pair-01"}
    row = run.scores()["global"]
    shares = [c / n for of in event["classes"].values() for n, c in of.values()]
    assert row["coverage_worst_class@pixels"] == min(shares)
    assert min(shares) == 1 or re.search(
        r"least covered by global: class (cat|dog) of pair-0\d, \d+ of \d+ held-out",
        result_table(run),
    )
    assert 'aria-label="scores by part"' in write_report(run).read_text()


def test_evaluate_has_a_table_by_class_of_each_part(trained: tuple[Run, str]) -> None:
    run, _ = trained
    (entry,) = evaluate_runs([str(run.path)], None, 44, None, 0)
    assert entry["reached"]["global"].keys() == {"pair-00", "pair-01"}
    text = table([entry])
    assert re.search(r"part +class +held out +global", text)
    assert "least covered by ceiling" not in text


def test_classes_that_have_changed_are_refused_at_a_resume(
    trained: tuple[Run, str], tmp_path: Path
) -> None:
    run, _ = trained
    folder = Path(run.config.data["partition"]["pair-01"]["path"])
    # the same pictures, in the same order, of another class
    moved, there = folder / "dog" / "0.png", folder / "cat" / "z.png"
    moved.rename(there)
    try:
        with pytest.raises(DataError, match="pair-01"):
            resume_run(run.path, extra_steps=4, inline=True)
    finally:
        there.rename(moved)


def test_parts_of_an_older_run_are_known() -> None:
    old = {
        "source": "npz:a", "train": 9, "held_out": 1, "shape": [2], "sha256": "0" * 64,
        "classes": {}, "scaling": None,
    }  # fmt: skip
    part = Part.of(old)
    assert part.reading("pair-00") == []
    assert Part.of(json.loads(json.dumps(part.plain()))) == part


def test_samples_that_are_given_for_a_pair_are_refused_in_one_line_that_has_none(
    tmp_path: Path,
) -> None:
    given = {"pair-00": np.full((500, 2), 4711.0), "pair-01": "ring8"}
    with pytest.raises(ConfigError, match="pair-00 has no SOURCE, which is read where") as error:
        raygan.train(
            None, run_dir=tmp_path, inline=True, num_pairs=2,
            data={"name": "parts", "partition": given},
        )  # fmt: skip
    told = str(error.value)
    assert "<ndarray>" in told
    assert "4711" not in told
    assert "\n" not in told

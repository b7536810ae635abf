"""Nothing in a run folder is executed unless somebody says so; a run whose parts have changed goes
on only if that is meant.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import raygan
from raygan.cli import main
from raygan.controller.jsonl import read_json
from raygan.errors import ConfigError
from raygan.own import trust
from raygan.service.resuming import resume_run
from raygan.service.scores.export import load_exported
from tests.own.conftest import CANARY, PARTS, as_elsewhere

EXECUTES = {
    "sample": ["sample", "{run}", "-n", "4", "-o", "{tmp}/x.npz"],
    "evaluate": ["evaluate", "{run}", "--samples", "1500"],
    "mixture": ["evaluate", "{run}", "--metrics", "mixture", "--samples", "64"],
    "report": ["report", "{run}", "-o", "{tmp}/r.html"],
    "export": ["export", "{run}", "-o", "{tmp}/model"],
    "push": ["push", "{run}", "hf://me/it", "--dry-run"],
    "resume": ["resume", "{run}", "--steps", "+1", "--quiet"],
    "verify": ["verify", "{run}", "--steps", "2", "--inline"],
    "start from": ["train", "--start-from", "[{run}]", "--num-pairs", "2", "--inline", "--quiet"],
    "resume by train": ["train", "--resume", "{run}", "--inline", "--quiet"],
    "its config": ["train", "--config", "{run}/config.yaml", "--inline", "--quiet"],
}
LOOKS = (
    ["status", "{run}"],
    ["runs", "--run-dir", "{runs}"],
    ["watch", "{run}"],
    ["compare", "{run}", "{run}"],
)


def code_of(argv: list[str], **where: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([word.format(**where) for word in argv])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mine/ (own network and loss, which leave a canary when they are imported) and
    runs/mine.
    """
    as_elsewhere()
    folder = tmp_path_factory.mktemp("made")
    (folder / "mine").mkdir()
    for kind in ("network", "loss"):
        canary = CANARY.format(str(folder / f"canary-{kind}"))
        (folder / "mine" / f"{kind}s.py").write_text(PARTS[kind] + canary)
    settings = {"steps": 2, "num_pairs": 2, "evaluation": {"samples": 1500}}
    parts = {"network": str(folder / "mine/networks.py"), "loss": str(folder / "mine/losss.py")}
    raygan.train(
        "ring8-sgan", **settings, **parts, inline=True, run_dir=folder / "runs", name="mine"
    )
    as_elsewhere()
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The run, copied to where its files' owner is not; no canary sings yet."""
    for canary in made.glob("canary-*"):
        canary.unlink()
    path = Path(shutil.copytree(made / "runs" / "mine", tmp_path / "runs" / "mine"))
    (made / "mine").rename(made / "away")
    yield path
    (made / "away").rename(made / "mine")


def executed(made: Path) -> list[str]:
    return sorted(p.name for p in made.glob("canary-*"))


@pytest.mark.parametrize("verb", EXECUTES)
def test_a_verb_that_would_execute_asks_first(
    verb: str, run: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert code_of(EXECUTES[verb], run=run, tmp=tmp_path) == 2
    err = capsys.readouterr().err
    assert executed(made) == []
    assert err.count("\n") == 1
    if verb != "its config":  # that names the files themselves
        assert "networks.py" in err or "losss.py" in err
        assert any(
            record["sha256"] in err for record in read_json(run, "config.json")["code"].values()
        )
        assert "--trust-code" in err
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs"]


def test_who_says_so_gets_it(run: Path, made: Path, tmp_path: Path) -> None:
    assert code_of([*EXECUTES["sample"], "--trust-code"], run=run, tmp=tmp_path) == 0
    assert executed(made) == ["canary-network"], "only what it needs"
    as_elsewhere()
    again = raygan.train(resume=str(run), trust_code=True, inline=True, steps=3)
    assert max(again.info["steps"].values()) == 3
    as_elsewhere()
    raygan.Run.load(run, trust_code=True)
    values = {"network": again.config.network, "start_from": [str(run)], "num_pairs": 2, "steps": 2}
    started = raygan.train(
        **values, evaluation={"samples": 1500}, inline=True, run_dir=tmp_path / "runs", name="next"
    )
    assert [e["from_step"] for e in started.events if e["kind"] == "origin"] == [3, 3]


@pytest.mark.parametrize("argv", LOOKS, ids=" ".join)
def test_who_only_looks_needs_no_code(argv: list[str], run: Path, made: Path) -> None:
    assert code_of(argv, run=run, runs=run.parent) == 0
    assert executed(made) == []


def test_the_owners_own_file_needs_no_word(made: Path, tmp_path: Path) -> None:
    assert code_of(EXECUTES["sample"], run=made / "runs/mine", tmp=tmp_path) == 0


def test_python_asks_too(run: Path, made: Path) -> None:
    with pytest.raises(ConfigError, match="--trust-code"):
        raygan.Run.load(run).generator("best")
    assert executed(made) == []
    assert raygan.Run.load(run, trust_code=True).generator("best").sample(3).shape == (3, 2)


def test_an_exported_network_asks_too(run: Path, made: Path, tmp_path: Path) -> None:
    assert code_of([*EXECUTES["export"], "--trust-code"], run=run, tmp=tmp_path) == 0
    expected = raygan.Run.load(run).generator("global").sample(3, seed=1)
    for canary in made.glob("canary-*"):
        canary.unlink()
    as_elsewhere()
    with pytest.raises(ConfigError, match="nothing of it is executed unasked"):
        load_exported(tmp_path / "model")
    assert executed(made) == []
    assert (load_exported(tmp_path / "model", trust_code=True).sample(3, seed=1) == expected).all()
    assert executed(made) == ["canary-network"], "only what it needs"


@pytest.mark.parametrize("way", ["other text", "gone", "a link out", "the record", "not UTF-8"])
def test_a_copy_that_is_not_what_the_run_was_made_of(
    way: str, run: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy,) = run.glob("code/*/networks.py")
    evil = "import pathlib; pathlib.Path({!r}).write_text('')".format(str(made / "canary-evil"))
    if way == "other text":
        copy.write_text(evil)
    elif way == "gone":
        copy.unlink()
    elif way == "a link out":
        (tmp_path / "evil.py").write_text(evil)
        copy.unlink()
        copy.symlink_to(tmp_path / "evil.py")
    elif way == "not UTF-8":
        copy.write_bytes(b"\xff")
    else:
        values = json.loads((run / "config.json").read_text())
        values["code"][copy.parent.name]["files"] = ["../../../evil.py"]
        (tmp_path / "runs/evil.py").write_text(evil)
        (run / "config.json").write_text(json.dumps(values))
    assert code_of([*EXECUTES["sample"], "--trust-code"], run=run, tmp=tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert "canary-evil" not in executed(made)


@pytest.mark.parametrize(
    "way", ["sent along", "the list is anybody's", "the list is a link", "no state folder"]
)
def test_a_file_at_its_recorded_place_is_not_enough(
    way: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody sends a run and, to where it says, its file: both are the user's own now. Only who
    named that text needs no flag.
    """
    state = tmp_path / "state"
    (state / "raygan").mkdir(parents=True)
    mine = Path(os.environ["XDG_STATE_HOME"]) / "raygan" / trust.NAMED
    if way == "the list is anybody's":
        shutil.copy(mine, state / "raygan")
        (state / "raygan" / trust.NAMED).chmod(0o666)
    elif way == "the list is a link":
        (state / "raygan" / trust.NAMED).symlink_to(mine)
    for canary in made.glob("canary-*"):
        canary.unlink()
    monkeypatch.setenv(
        "XDG_STATE_HOME", "/proc/nowhere" if way == "no state folder" else str(state)
    )
    assert code_of(EXECUTES["sample"], run=made / "runs/mine", tmp=tmp_path) == 2
    assert executed(made) == []
    assert code_of([*EXECUTES["sample"], "--trust-code"], run=made / "runs/mine", tmp=tmp_path) == 0
    as_elsewhere()
    assert code_of(EXECUTES["sample"], run=made / "runs/mine", tmp=tmp_path) == 2, (
        "a flag is for once"
    )


@pytest.mark.parametrize("place", ["inside the run", "written by anybody", "of another text"])
def test_a_place_that_a_run_names_is_not_believed(
    place: str, run: Path, made: Path, tmp_path: Path
) -> None:
    """The record says where the file was: only the user's own file, elsewhere, as it was, is taken
    for the original.
    """
    values = json.loads((run / "config.json").read_text())
    for key, record in values["code"].items():
        name = record["files"][0]
        path = run / "code" / key / name if place == "inside the run" else tmp_path / name
        if place != "inside the run":
            shutil.copy(made / "away" / name, path)
        if place == "of another text":
            path.write_text(path.read_text() + "\n")
        path.chmod(0o666 if place == "written by anybody" else 0o644)
        record["path"] = str(path)
    (run / "config.json").write_text(json.dumps(values))
    assert code_of(EXECUTES["sample"], run=run, tmp=tmp_path) == 2
    assert executed(made) == []


UNSETTLED = ("{evil}", "{evil}:Net", "evil:Net", "./evil.py")


@pytest.mark.parametrize("name", UNSETTLED)
@pytest.mark.parametrize(
    "where", ["network", "loss", "strategy", "over", "pairs", "metrics", "config.yaml"]
)
def test_a_run_cannot_name_a_file_to_execute(
    where: str, name: str, run: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "evil.py").write_text(PARTS["network"] + CANARY.format(str(made / "canary-evil")))
    monkeypatch.syspath_prepend(str(run))
    monkeypatch.chdir(run)
    named = name.format(evil=run / "evil.py")
    values = json.loads((run / "config.json").read_text())
    part = {"name": named}
    values |= {"over": {"strategy": {**values["strategy"], "over": part}},
               "pairs": {"pairs": [{"count": 2, "network": part}]},
               "metrics": {"metrics": [part]}}.get(
                   where, {"network" if where == "config.yaml" else where: part})  # fmt: skip
    argv = ["sample", str(run), "-o", str(tmp_path / "x.npz"), "--trust-code"]
    if where == "config.yaml":
        (run / where).write_text(json.dumps(values))
        argv = ["train", "--config", str(run / where), "--inline", "--quiet", "--dry-run"]
    else:
        (run / "config.json").write_text(json.dumps(values))
    assert code_of(argv) == 2
    assert executed(made) == []


def test_a_source_that_has_changed(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copytree(made / "runs" / "mine", tmp_path / "mine"))
    shutil.copytree(made / "mine", tmp_path / "old")
    old = read_json(path, "config.json")["code"]
    file = made / "mine" / "losss.py"
    try:
        file.write_text(file.read_text().replace("return self.scale *", "return 2 * self.scale *"))
        for argv in (
            ["resume", "{run}", "--steps", "+2", "--quiet"],
            [
                "train",
                "--resume",
                "{run}",
                "--loss",
                str(file),
                "--network",
                str(made / "mine/networks.py"),
                "--inline",
                "--quiet",
            ],
        ):
            as_elsewhere()
            assert code_of(argv, run=path) == 2
            err = capsys.readouterr().err
            assert "--other-code" in err
            assert err.count("sha256") == 2, "both hashes"
            assert read_json(path, "config.json")["code"] == old
        as_elsewhere()
        resume_run(path, extra_steps=2, new_code=True)
    finally:
        shutil.copy(tmp_path / "old" / "losss.py", file)
    new = read_json(path, "config.json")
    key = new["loss"]["name"].partition("@")[2]
    assert key not in old
    assert "2 * self.scale" in (path / "code" / key / "losss.py").read_text()
    assert [e["kind"] for e in raygan.Run.load(path).events].count("code") == 1

"""What a message says to type next can be typed: in quotes where a shell needs them; `~` is a home
for every flag that names a folder.
"""

import re
import shlex
from pathlib import Path

import pytest

import raygan
from raygan.cli import main
from raygan.controller.bucket_copies import typed
from raygan.controller.run_folder import RunFolder
from raygan.errors import ConfigError, Interrupted
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from tests.conftest import TINY


def ran(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*argv])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def named(text: str, verb: str) -> list[str]:
    """The words of the command that a text ends with, as a shell splits them."""
    found = re.search(rf"raygan {verb} [^`\n]*", text)
    assert found, text
    return shlex.split(found[0].rstrip("."))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raygan.train(
        None, run_dir=tmp_path_factory.mktemp("my runs; $HOME"), name="mine", inline=True, **TINY
    ).path


def test_the_next_command_names_the_run_whatever_its_folder_is_called(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("resume", str(odd), "--plain") == 0
    out = capsys.readouterr().out
    assert named(out, "sample")[2] == str(odd)
    assert named(out, "train")[3] == str(odd)
    with pytest.raises(ConfigError) as told:
        RunFolder.refuse(odd.parent, "mine")
    assert named(str(told.value), "resume")[2] == str(odd)
    with pytest.raises(ConfigError) as told:
        RunFolder.create(odd.parent, "mine")
    assert named(str(told.value), "resume")[2] == str(odd)
    with pytest.raises(ConfigError) as told:
        Run.load(odd).generator("fitted")
    assert named(str(told.value), "evaluate")[2] == str(odd)


def test_a_run_that_was_stopped_says_how_to_go_on(odd: Path) -> None:
    def stops(run, done) -> None:  # type: ignore[no-untyped-def]
        run.stop(15)

    with pytest.raises(Interrupted) as told:
        resume_run(odd, extra_steps=4, listeners=[stops])
    assert named(told.value.message, "resume")[2] == str(odd)
    assert resume_run(odd).info["status"] == "done"


def test_a_plain_path_has_no_quotes() -> None:
    assert typed(Path("runs/mine")) == "runs/mine"


def test_a_home_is_one_for_every_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home/work").mkdir(parents=True)
    assert ran("dashboards", "install", "--to=~/grafana") == 0
    assert list((tmp_path / "home/grafana").iterdir())
    went = dict[str, Path]()

    def for_a_job(rest: object, folder: Path) -> None:
        went["job"] = folder
        raise ConfigError("far enough")

    monkeypatch.setattr("raygan.service.cluster.job_arguments.for_a_job", for_a_job)
    assert ran("submit", "--working-dir=~/work", "--", "train", "--name", "x") == 2
    assert went.pop("job") == tmp_path / "home/work", capsys.readouterr().err
    monkeypatch.setattr(
        "raygan.service.cluster.fetching.fetch", lambda run, to, *_: went.setdefault(run, to)
    )
    monkeypatch.setattr("raygan.service.cluster.jobs.Jobs", lambda address: None)
    assert ran("fetch", "mine", "--to=~/here") == 0
    assert went == {"mine": tmp_path / "home/here"}
    assert not (tmp_path / "~").exists()

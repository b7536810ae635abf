"""What only a config names, and git does not track: told before anything is sent, and there by its
remedy.
"""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.cli.verbs.cluster import submit
from raygan.config import resolve
from raygan.config.files import read_yaml
from raygan.data.search import must_exist
from raygan.errors import ConfigError, DataError
from raygan.own.source import read_path
from raygan.paths import IN_A_JOB
from raygan.service.cluster import jobs
from raygan.service.cluster.named_files import named_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that tracks its settings, and nothing else."""
    out = tmp_path / "work"
    out.mkdir()
    np.savez(out / "pts.npz", x=np.zeros((64, 2), np.float32))
    np.savez(tmp_path / "beside.npz", x=np.zeros((64, 2), np.float32))
    subprocess.run(["git", "init", "-q", str(out)], check=True)
    monkeypatch.chdir(out)

    class NoCluster(jobs.Jobs):
        def __init__(self, address: str) -> None:
            self.address = address

        def send(self, submission: Any) -> Any:
            raise AssertionError("something was sent")

    monkeypatch.setattr(jobs, "Jobs", NoCluster)
    return out


def tracked(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    subprocess.run(["git", "-C", str(folder), "add", name], check=True)


SETTINGS = {
    "data: npz:pts.npz": "data.path=pts.npz: 'pts.npz' would not go along (git does not track it)",
    "data: {name: npz, path: ./pts.npz}": "data.path=./pts.npz: 'pts.npz' would not go along",
    "data: npz:../beside.npz": "data.path=../beside.npz: lies outside --working-dir",
    "start_from: [runs/old]": "start_from=runs/old: 'runs/old' would not go along",
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("verb", ["train", "plan", "sweep"])
def test_a_file_that_only_a_config_names_is_missed(verb: str, setting: str, folder: Path) -> None:
    (folder / "runs/old").mkdir(parents=True)
    (folder / "runs/old/run.json").write_text("{}")
    if verb == "sweep":
        tracked(folder, "s.yaml", f"name: s\nsettings: {{{setting}}}\nspace: {{seed: [0, 1]}}\n")
        argv = ["sweep", "s.yaml"]
    else:
        tracked(folder, "c.yaml", setting + "\n")
        argv = [verb, "--config", "c.yaml"]
    with pytest.raises(ConfigError) as told:
        submit(["--dry-run", "--", *argv])
    assert SETTINGS[setting] in str(told.value)


def test_what_is_included_or_lies_elsewhere_is_not_missed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked(folder, "c.yaml", "data: npz:pts.npz\n")
    assert submit(["--dry-run", "--include", "pts.npz", "--", "train", "--config", "c.yaml"]) == 0
    tracked(folder, "d.yaml", "data: npz:/mnt/pts.npz\nstart_from: [s3://bucket/runs/a]\n")
    assert submit(["--dry-run", "--", "train", "--config", "d.yaml"]) == 0
    # A folder that has a component's name is none of its files.
    (folder / "gap").mkdir()
    (folder / "gap/x").write_text("x")
    tracked(folder, "e.yaml", "strategy: gap\n")
    assert submit(["--dry-run", "--", "train", "--config", "e.yaml"]) == 0


def test_a_word_is_no_file(folder: Path) -> None:
    (folder / "auto").write_text("called as a setting's value is")
    resolved = resolve(flags={"data": "npz:pts.npz", "start_from": "s3://bucket/runs/a"})
    assert named_files(resolved, folder) == ["data.path=pts.npz"]


@pytest.mark.parametrize("look", [
    lambda: must_exist("npz", "pts.npz"),
    lambda: read_yaml(Path("pts.npz")),
    lambda: read_path("network", Path("pts.npz").absolute()),
])  # fmt: skip
def test_in_a_job_a_path_to_nothing_says_how_it_is_sent(
    look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for job in (True, False):
        if job:
            monkeypatch.setenv(IN_A_JOB, "1")
        else:
            monkeypatch.delenv(IN_A_JOB)
        with pytest.raises((ConfigError, DataError)) as told:
            look()
        assert "does not exist" in str(told.value)
        assert ("raygan submit --include pts.npz" in str(told.value)) == job

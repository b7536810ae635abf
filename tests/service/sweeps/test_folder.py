"""A sweep's folder: one begins it, one writes it at a time, and what is damaged in it is told."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raygan.cli import main
from raygan.errors import ConfigError, DataError
from raygan.service.runs.alive import process_start, who
from raygan.service.sweeps import report as sweep_report
from raygan.service.sweeps import tune as sweeping
from raygan.service.sweeps.checks import asked_for
from raygan.service.sweeps.file import Sweep, read_sweep
from raygan.service.sweeps.folder import DRIVER, STORED, begin
from tests.service.sweeps.test_file import write


def test_of_two_that_begin_at_once_one_has_the_name(tmp_path: Path) -> None:
    spec = Sweep(name="s", space={"seed": [0]})
    begin(tmp_path / "s", spec, resume=False)
    with pytest.raises(ConfigError, match=r"exists already\. Go on with --resume .*, or give"):
        begin(tmp_path / "s", spec, resume=False)
    begin(tmp_path / "s", spec, resume=True)


def test_a_sweep_that_is_running_is_not_gone_on_with(tmp_path: Path) -> None:
    """Each would take the other's trials for cut off, and tell the user to mend the file."""
    file = write(tmp_path / "s.yaml")
    spec = read_sweep(file)
    begin(tmp_path / "s", spec, resume=False)
    asked_for(file, run_dir=tmp_path, resume=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        driver = {**who(), "pid": other.pid, "process_start": process_start(other.pid)}
        (tmp_path / "s" / DRIVER).write_text(json.dumps(driver))
        told = rf"s' is running \(pid {other.pid}\). Stop it with `kill {other.pid}`"
        for go_on in (
            lambda: asked_for(file, run_dir=tmp_path, resume=True),
            lambda: begin(tmp_path / "s", spec, resume=True),
        ):
            with pytest.raises(ConfigError, match=told):
                go_on()
        other.communicate(b"\n")
    asked_for(file, run_dir=tmp_path, resume=True)


def test_what_was_cut_off_as_it_was_written_is_one_line(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml")
    begin(tmp_path / "s", read_sweep(file), resume=False)
    (tmp_path / "s" / STORED).write_text('{"name": "s", "spa')
    with pytest.raises(ConfigError, match=r"sweep\.json is damaged"):
        asked_for(file, run_dir=tmp_path, resume=True)


@pytest.mark.parametrize("space", [{"seed": [0, 1]}, {"strategy": ["gap", "independent"]}])
def test_a_run_whose_point_was_cut_off_does_not_keep_the_report(
    space: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    begin(folder, Sweep(name="s", preset="ring8-gap", space=space), resume=False)
    (folder / "runs/here").mkdir()
    (folder / "runs/here/point.json").write_text('{"se')
    (folder / "best.yaml").write_text("of an earlier report")
    sweep_report.write(folder)
    frame = pd.read_parquet(folder / "table.parquet").set_index("run")
    assert frame.loc["here", "status"].startswith("damaged: ")
    assert list(frame["status"]).count("missing") == 2
    assert not (folder / "best.yaml").exists(), "nothing is the best"
    assert "1 damaged" in sweep_report.text(folder)


def test_a_search_whose_trials_have_all_failed_has_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where they failed before there was a run."""
    monkeypatch.setattr(sweeping, "_fit", lambda *_: [DataError("no such file.")])
    monkeypatch.setattr("raygan.actors.cluster.cluster", lambda *_: nullcontext())
    pytest.importorskip("optuna")
    file = write(tmp_path / "s.yaml", search="optuna", samples=2)
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(file), "--run-dir", str(tmp_path)])
    out, err = capsys.readouterr()
    assert ended.value.code == 1
    assert "1 of its trials failed, the first: no such file" in err
    assert "report" in out
    assert len(pd.read_parquet(tmp_path / "s/table.parquet")) == 0


def test_a_file_that_is_not_there_is_no_config_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sweep file .*no.yaml' does not exist. Check the path"):
        read_sweep(tmp_path / "no.yaml")


def test_numbers_without_a_point_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1 takes 1e-4 for text."""
    (tmp_path / "s.yaml").write_text(
        "name: s\npreset: ring8-gap\nspace: {pair.lr_g: {log_uniform: [1e-4, 1E-2]}}\nsamples: 2\n"
    )
    points = read_sweep(tmp_path / "s.yaml").points()
    assert all(1e-4 <= point["pair.lr_g"] <= 1e-2 for point in points)
    (tmp_path / "s.yaml").write_text("name: s\nspace: {pair.lr_g: {uniform: [1e-4, x]}}\n")
    with pytest.raises(ConfigError, match="two numbers are needed"):
        read_sweep(tmp_path / "s.yaml")


def test_steps_are_not_swept_where_a_budget_gives_them(tmp_path: Path) -> None:
    """Trials of two names would be the same."""
    file = write(tmp_path / "s.yaml", space={"steps": [10, 20]}, budget={"d_updates": 100})
    with pytest.raises(ConfigError, match=r"space.steps: budget.d_updates gives each trial its"):
        read_sweep(file)

"""The last words of a run that has ended: its exit code is its own, whatever becomes of them."""

from pathlib import Path

import pytest

import raygan
from raygan.cli import main
from raygan.errors import CheckpointError, ConfigError, DataError
from raygan.service.runs.run import Run
from tests.conftest import TINY


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raygan.train(
        None, run_dir=tmp_path_factory.mktemp("runs"), name="mine", inline=True, **TINY
    ).path


def code_of(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*argv])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    "error",
    [
        DataError("/data/x.npz: not there any more."),
        CheckpointError("no checkpoint is whole."),
        ConfigError("data.path: nothing there."),
        ValueError("a picture without a size"),
        MemoryError(),
    ],
)
def test_a_report_that_fails_changes_no_exit_code_and_hides_no_table(
    error: Exception,
    done: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(run: Run) -> Path:
        raise error

    monkeypatch.setattr("raygan.service.views.report.write_report", fails)
    assert code_of("resume", str(done), "--plain") == 0
    shown = capsys.readouterr()
    assert "ceiling (real data)" in shown.out
    assert "report  " not in shown.out
    assert "no report: " in shown.err
    assert str(error) in shown.err
    assert "Next: raygan report " in shown.err


def test_what_one_command_has_required_is_asked_of_no_other(done: Path) -> None:
    hard, easy = "high_quality>=2", "high_quality>=0"
    assert code_of("resume", str(done), "--quiet", "--require", hard) == 5
    assert Run.load(done).info["exit_code"] == 5
    assert code_of("resume", str(done), "--quiet") == 0
    assert code_of("resume", str(done), "--quiet", "--require", hard) == 5
    assert code_of("resume", str(done), "--quiet", "--require", easy) == 0
    assert Run.load(done).info["exit_code"] == 0
    assert Run.load(done).info["status"] == "done"


def test_a_degraded_run_stays_degraded(done: Path) -> None:
    from raygan.controller.run_folder import RunFolder

    RunFolder(done).status(status="degraded", exit_code=5)
    assert code_of("resume", str(done), "--quiet") == 4
    RunFolder(done).status(status="done", exit_code=0)

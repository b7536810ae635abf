"""Two drivers on one run: the second takes it over, the first is fenced off by the storage and
ends; nothing is lost or mixed.
"""

import json
import subprocess
from pathlib import Path

import pytest

from raygan.controller.history import read_journal
from raygan.controller.storage import LocalStorage
from tests.simulation.world import check_history
from tests.test_killed import ARGS, final_digests, raygan, wait_for_checkpoint

pytestmark = pytest.mark.exhaustive
INLINE = [a for a in ARGS if a not in ("--address", "local")] + ["--inline"]


def test_the_second_driver_takes_over_and_the_first_one_ends(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = subprocess.Popen(
        raygan("train", *INLINE, "--run-dir", str(tmp_path), "--name", "run"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    wait_for_checkpoint(run, first)  # type: ignore[arg-type]
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(
        json.dumps({**info, "host": "another-machine"})
    )  # this machine cannot see its process
    subprocess.run(
        raygan("resume", str(run), "--plain"), check=True, capture_output=True, timeout=200
    )
    _, err = first.communicate(timeout=60)
    assert first.returncode == 6
    assert "was taken over by another process (epoch 2, this one is 1)" in err.splitlines()[-1]
    info = json.loads((run / "run.json").read_text())
    assert (info["status"], info["exit_code"], info["epoch"]) == (
        "done",
        0,
        2,
    ), "the first one wrote nothing at its end"
    check_history(read_journal(LocalStorage(run)).records)
    subprocess.run(
        raygan("train", *INLINE, "--run-dir", str(tmp_path), "--name", "whole"),
        check=True,
        capture_output=True,
        timeout=200,
    )
    assert final_digests(run) == final_digests(tmp_path / "whole")

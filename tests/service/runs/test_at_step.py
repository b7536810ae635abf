"""A fork begins at the checkpoint that is asked for, whatever that is called."""

from pathlib import Path

from raygan.controller.checkpoint import Checkpoint, write_checkpoint
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage
from raygan.service.runs.warm_start import _at


def test_a_step_that_was_committed_twice_is_found_under_its_second_name(tmp_path: Path) -> None:
    journal = Journal.open(LocalStorage(tmp_path))
    for step, raw in ((4, b"old"), (4, b"new"), (8, b"later")):
        write_checkpoint(journal, Checkpoint(step, {"pair-00": raw}, {"pair-00": step}))
    found = _at(tmp_path, 4)
    assert (found.step, found.parts["pair-00"]) == (4, b"new")
    assert found.entry is not None
    assert found.entry.folder == "00000004-2"
    assert _at(tmp_path, 5).step == 8

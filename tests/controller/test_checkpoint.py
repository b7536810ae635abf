"""What is written is read; every damage is found and told; only what the journal names counts."""

import errno
import json
import random
import shutil
from pathlib import Path

import pytest

from raygan.controller.checkpoint import (
    Checkpoint,
    go_on_from,
    name_of,
    newest_valid,
    read_checkpoint,
    write_checkpoint,
)
from raygan.controller.checkpoint_index import list_checkpoints, open_journal, retain
from raygan.controller.history import Entry, read_journal
from raygan.controller.journal import Journal
from raygan.controller.retention import kept_of
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError, StaleEpochError

PARTS = {"pair-00": b"a" * 50, "global": b"b" * 60}


def opened(folder: Path) -> Journal:
    return Journal.open(LocalStorage(folder))


def write(journal: Journal, step: int) -> Path:
    write_checkpoint(journal, Checkpoint(step, PARTS, {"pair-00": step, "global": 3}))
    assert isinstance(journal.storage, LocalStorage)
    return journal.storage.root / name_of(step)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(opened(tmp_path), 7)
    assert read_checkpoint(tmp_path, 7) == Checkpoint(7, PARTS, {"pair-00": 7, "global": 3})
    assert newest_valid(tmp_path) == (read_checkpoint(tmp_path, 7), [])


@pytest.mark.parametrize("flips", [500, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_every_flipped_bit_is_found(flips: int, tmp_path: Path) -> None:
    """At random places of parts, manifest and journal: none is ever used."""
    journal = opened(tmp_path)
    write(journal, 4)
    newer = write(journal, 8)
    rng = random.Random(0)
    files = [*sorted(newer.iterdir()), tmp_path / "journal/00000001.jsonl"]
    whole = {f: f.read_bytes() for f in files}
    fine, found = newest_valid(tmp_path)
    assert (fine is not None and fine.step, found) == (8, [])
    for _ in range(flips):
        file = rng.choice(files)
        raw = bytearray(whole[file])
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        file.write_bytes(bytes(raw))
        checkpoint, problems = newest_valid(tmp_path)
        assert problems or raw[-1:] != whole[file][-1:], f"a flip in {file.name} was not told"
        assert checkpoint is None or checkpoint.parts == PARTS, "a damaged part was used"
        if file in files[:-1]:
            assert checkpoint is not None
            assert checkpoint.step == 4, f"a flip in {file.name} was not found"
        file.write_bytes(whole[file])


@pytest.mark.parametrize(
    "damage",
    ["flip", "truncate", "missing part", "foreign part", "renamed part", "no manifest",
     "half a manifest", "other format", "another's name", "linked part"],
)  # fmt: skip
def test_a_damaged_checkpoint_falls_back_to_the_newest_valid_one_and_says_so(
    tmp_path: Path, damage: str
) -> None:
    journal = opened(tmp_path)
    older = write(journal, 4)
    path = write(journal, 8)
    part, manifest = path / "global.safetensors", path / "manifest.json"
    if damage == "flip":
        part.write_bytes(b"c" + part.read_bytes()[1:])
    elif damage == "truncate":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "missing part":
        part.unlink()
    elif damage == "foreign part":
        (path / "pair-09.safetensors").write_bytes(b"x")
    elif damage == "renamed part":
        part.rename(path / "pair-09.safetensors")
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_bytes(manifest.read_bytes()[:-40])
    elif damage == "other format":
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    elif damage == "another's name":
        shutil.rmtree(path)
        shutil.copytree(older, path)
    else:
        part.rename(tmp_path / "elsewhere")
        part.symlink_to(tmp_path / "elsewhere")
    found, problems = newest_valid(tmp_path)
    assert found is not None
    assert found.step == 4
    assert len(problems) == 1
    assert "00000008" in problems[0]


def test_nothing_usable_is_none_with_reasons(tmp_path: Path) -> None:
    assert newest_valid(tmp_path) == (None, [])
    (write(opened(tmp_path), 4) / "manifest.json").unlink()
    found, problems = newest_valid(tmp_path)
    assert found is None
    assert len(problems) == 1


def test_an_unfinished_attempt_is_never_listed_and_is_cleared_away(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    half = tmp_path / f"{name_of(8)}.1.tmp"
    half.mkdir(parents=True)
    (half / "pair-00.safetensors").write_bytes(b"half")
    assert list_checkpoints(tmp_path) == {}
    write(journal, 9)
    assert list(list_checkpoints(tmp_path)) == [9]
    assert not half.exists()


def test_what_was_renamed_but_not_recorded_does_not_count(tmp_path: Path) -> None:
    """Killed between the rename and the record: the checkpoint before is the newest; the next of
    its step clears it away.
    """
    journal = opened(tmp_path)
    older = write(journal, 4)
    shutil.copytree(older, tmp_path / name_of(8))
    found, problems = newest_valid(tmp_path)
    assert (found is not None and found.step, problems) == (4, [])
    write(journal, 8)
    assert list(list_checkpoints(tmp_path)) == [4, 8]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "00000004",
        "00000008-2",
    ]


def test_a_run_without_journal_is_read_by_its_manifests(tmp_path: Path) -> None:
    """Runs of older releases; and an index that is lost is made again from the checkpoints."""
    journal = opened(tmp_path)
    write(journal, 4)
    (write(journal, 8) / "global.safetensors").write_bytes(b"damaged")
    shutil.rmtree(tmp_path / "journal")
    found, problems = newest_valid(tmp_path)
    assert found is not None
    assert found.step == 4
    assert len(problems) == 1


@pytest.mark.parametrize(
    "told", [None, "{}", '{"epoch": null}', '{"epoch": 0}', "[]", "half of it"]
)
def test_a_run_that_never_had_a_journal_misses_none(told: str | None, tmp_path: Path) -> None:
    journal = opened(tmp_path)
    write(journal, 4)
    shutil.rmtree(tmp_path / "journal")
    if told is not None:
        (tmp_path / "run.json").write_text(told)
    assert newest_valid(tmp_path)[1] == []


def test_without_a_number_to_keep_all_are_kept() -> None:
    entries = [Entry(step, f"step-{step}", "") for step in (1, 2, 3)]
    assert kept_of(entries, None, []) == {"step-1", "step-2", "step-3"}
    assert kept_of(entries, 1, [1]) == {"step-1", "step-3"}


def test_only_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for step in (1, 2, 3, 30):
        write(journal, step)
    assert retain(journal.storage, 2, best=[1]) == [2]
    assert list(list_checkpoints(tmp_path)) == [1, 3, 30]
    shutil.rmtree(tmp_path / name_of(30))  # lost from disk: it does not count as one that is kept
    write(journal, 31)
    assert retain(journal.storage, 2) == [1]
    assert list(list_checkpoints(tmp_path)) == [3, 31]


def test_a_writer_that_was_fenced_off_commits_nothing(tmp_path: Path) -> None:
    stale = opened(tmp_path)
    write(stale, 4)
    fresh = opened(tmp_path)
    with pytest.raises(StaleEpochError, match="epoch 2, this one is 1"):
        write(stale, 8)
    write(fresh, 12)
    assert list(list_checkpoints(tmp_path)) == [4, 12]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["00000004", "00000012"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """ENOSPC at the n-th operation, for every n: the save fails, the checkpoint before is the
    newest, the next one works.
    """

    class Full(LocalStorage):
        left = 10**9

        def spend(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

        def write(self, name: str, raw: bytes) -> None:
            self.spend()
            super().write(name, raw)

        def append(self, name: str, raw: bytes) -> None:
            self.spend()
            super().append(name, raw)

        def sync(self, folder: str) -> None:
            self.spend()
            super().sync(folder)

        def rename(self, old: str, new: str) -> None:
            self.spend()
            super().rename(old, new)

    storage = Full(tmp_path)
    journal = Journal.open(storage)
    write(journal, 4)
    failed = 0
    for n in range(20):
        storage.left = n
        try:
            write(journal, 8)
            break
        except OSError:
            failed += 1
        storage.left = 10**9
        found, problems = newest_valid(tmp_path)
        assert (found is not None and found.step, problems) == (4, [])
        assert not list((tmp_path / "checkpoints").glob("*.tmp")), "room for the next attempt"
    assert failed == 7, "three files, two folders, the rename, the record"
    assert list(list_checkpoints(tmp_path)) == [4, 8]


def test_what_is_promised_and_gone_is_told_and_what_is_superseded_is_not(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for step in (1, 2, 3, 4):
        write_checkpoint(journal, Checkpoint(step, PARTS, {"pair-00": step, "global": step}), 2)
    assert [(e.step, e.promised) for e in journal.index] == [
        (1, False),
        (2, False),
        (3, True),
        (4, True),
    ]
    assert retain(journal.storage, 2) == [1, 2]
    for step in (4, 3):
        shutil.rmtree(tmp_path / name_of(step))
    found, problems = newest_valid(tmp_path)
    assert found is None
    assert problems == [f"checkpoint {name_of(s)}: it was committed, and is gone." for s in (4, 3)]


def test_each_write_of_a_step_has_a_name_of_its_own_and_the_record_decides(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    write(journal, 4)
    again = Checkpoint(4, {**PARTS, "global": b"newer"}, {"pair-00": 4, "global": 7})
    written = write_checkpoint(journal, again, 1)
    assert written.entry is not None
    assert written.entry.folder == "00000004-2"
    assert newest_valid(tmp_path) == (again, [])
    assert retain(journal.storage, 1) == [4]
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["00000004-2"]


def test_a_name_that_a_link_has_taken_is_left_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    write(journal, 4)
    (tmp_path / "mine").mkdir()
    (tmp_path / name_of(8)).symlink_to(tmp_path / "mine")
    write_checkpoint(journal, Checkpoint(8, PARTS, {"pair-00": 8, "global": 8}))
    found, problems = newest_valid(tmp_path)
    assert found is not None
    assert (found.step, problems, list((tmp_path / "mine").iterdir())) == (8, [], [])


def test_a_writer_that_is_taken_over_while_it_writes_renames_nothing(tmp_path: Path) -> None:
    class Slow(LocalStorage):
        def sync(self, folder: str) -> None:
            super().sync(folder)
            if folder.endswith(".tmp"):
                opened(tmp_path)

    with pytest.raises(StaleEpochError):
        write(Journal.open(Slow(tmp_path)), 4)
    assert not (tmp_path / name_of(4)).exists()


def test_a_writer_that_is_taken_over_and_whose_disk_fails_says_so(tmp_path: Path) -> None:
    class Gone(LocalStorage):
        def write(self, name: str, raw: bytes) -> None:
            opened(tmp_path)
            raise OSError(errno.ENOENT, "No such file or directory")

    with pytest.raises(StaleEpochError):
        write(Journal.open(Gone(tmp_path)), 4)


def test_a_promised_checkpoint_that_is_gone_is_told_and_a_superseded_one_is_not(
    tmp_path: Path,
) -> None:
    journal = opened(tmp_path)
    for step in (4, 8, 12):
        write_checkpoint(journal, Checkpoint(step, PARTS, {"pair-00": step, "global": 3}), keep=2)
    assert [e.promised for e in journal.index] == [False, True, True]
    for step in (4, 12):
        shutil.rmtree(tmp_path / name_of(step))
    found, problems = newest_valid(tmp_path)
    assert found is not None
    assert found.step == 8
    assert problems == [f"checkpoint {name_of(12)}: it was committed, and is gone."]
    write_checkpoint(journal, Checkpoint(16, PARTS, {"pair-00": 16, "global": 3}), keep=2)
    assert [(e.step, e.promised) for e in journal.index] == [(8, True), (12, True), (16, True)]


def test_going_on_from_a_checkpoint_undoes_those_after_it(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for step in (4, 8, 12):
        write(journal, step)
    go_on_from(journal, read_checkpoint(tmp_path, 8))
    assert list(list_checkpoints(tmp_path)) == [4, 8]
    (record,) = read_journal(journal.storage).of("resume")
    assert (record["step"], record["folder"]) == (8, "00000008")
    go_on_from(journal, None)
    assert list_checkpoints(tmp_path) == {}
    record = read_journal(journal.storage).of("resume")[-1]
    assert (record["step"], record["folder"], record["steps"]) == (0, "", {})


def test_a_lost_journal_begins_again_with_what_lies_there(tmp_path: Path) -> None:
    write(opened(tmp_path), 4)
    shutil.rmtree(tmp_path / "journal")
    assert [e.step for e in open_journal(LocalStorage(tmp_path)).index] == [4]
    assert list(list_checkpoints(tmp_path)) == [4]


def test_a_checkpoint_of_another_format_is_refused_with_both(tmp_path: Path) -> None:
    folder = write(opened(tmp_path), 4)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99, this raygan reads"):
        read_checkpoint(tmp_path, 4)


def test_one_that_the_index_does_not_know_is_what_counts_once_it_is_gone_on_from(
    tmp_path: Path,
) -> None:
    """Found by its manifest, where the journal was lost: from then on it is the index."""
    journal = opened(tmp_path)
    write(journal, 4)
    found = newest_valid(tmp_path)[0]
    assert found is not None
    journal.index = []
    go_on_from(journal, found)
    assert [(e.step, e.promised) for e in journal.index] == [(4, True)]


def test_a_stale_writer_clears_nothing_away(tmp_path: Path) -> None:
    """Not even what its successor is at."""
    stale = opened(tmp_path)
    opened(tmp_path)
    (tmp_path / "checkpoints/00000008.2.tmp").mkdir(parents=True)
    with pytest.raises(StaleEpochError):
        write(stale, 4)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["00000008.2.tmp"]


def test_a_beginning_from_nothing_is_recorded_as_one(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    write(journal, 4)
    go_on_from(journal, None)
    (record,) = read_journal(journal.storage).of("resume")
    told = {key: record[key] for key in ("index", "step", "steps", "folder", "swapped")}
    assert told == {"index": [], "step": 0, "steps": {}, "folder": "", "swapped": {}}

import json
from pathlib import Path

import pytest

from raygan.controller.checkpoint import (
    Checkpoint,
    list_checkpoints,
    newest_valid,
    read_checkpoint,
    retain,
    write_checkpoint,
)
from raygan.errors import CheckpointError


def write(folder: Path, step: int) -> Path:
    folder.mkdir(exist_ok=True)
    return write_checkpoint(
        folder, Checkpoint(step, {"pair-00": b"a" * 50, "global": b"b" * 60}, {"pair-00": step, "global": 3})
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = read_checkpoint(write(tmp_path, 7))
    assert found == Checkpoint(7, {"pair-00": b"a" * 50, "global": b"b" * 60}, {"pair-00": 7, "global": 3})


def test_every_flipped_byte_of_a_part_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, 7)
    part = path / "pair-00.safetensors"
    raw = part.read_bytes()
    for i in range(len(raw)):
        part.write_bytes(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :])
        with pytest.raises(CheckpointError, match="damaged"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    "damage", ["flip", "truncate", "missing part", "no manifest", "half a manifest", "other format"]
)
def test_a_damaged_checkpoint_falls_back_to_the_newest_valid_one_and_says_so(tmp_path: Path, damage: str) -> None:
    write(tmp_path, 4)
    path = write(tmp_path, 8)
    part, manifest = path / "global.safetensors", path / "manifest.json"
    if damage == "flip":
        part.write_bytes(b"c" + part.read_bytes()[1:])
    elif damage == "truncate":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "missing part":
        part.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_bytes(manifest.read_bytes()[:-40])
    else:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    found, problems = newest_valid(tmp_path)
    assert found is not None
    assert found.step == 4
    assert len(problems) == 1
    assert "00000008" in problems[0]


def test_nothing_usable_is_none_with_reasons(tmp_path: Path) -> None:
    assert newest_valid(tmp_path) == (None, [])
    (write(tmp_path, 4) / "manifest.json").unlink()
    found, problems = newest_valid(tmp_path)
    assert found is None
    assert len(problems) == 1


def test_an_unfinished_attempt_is_never_listed_and_is_replaced(tmp_path: Path) -> None:
    half = tmp_path / "00000008.tmp"
    half.mkdir()
    (half / "pair-00.safetensors").write_bytes(b"half")
    assert list_checkpoints(tmp_path) == []
    write(tmp_path, 8)
    assert [p.name for p in list_checkpoints(tmp_path)] == ["00000008"]
    assert not half.exists()


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 30):
        write(tmp_path, step)
    assert retain(tmp_path, 2) == ["00000001"]
    assert [p.name for p in list_checkpoints(tmp_path)] == ["00000002", "00000030"]

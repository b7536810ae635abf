"""Files from outside: pickles in each place, bombs, huge headers, links. Each is one line; nothing
of it runs.
"""

import gzip
import io
import json
import os
import pickle  # noqa: TID251  what an attacker would use
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygan.config import load_component, read_yaml, resolve
from raygan.controller.checkpoint import Checkpoint, newest_valid, write_checkpoint
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage
from raygan.data import free_memory, lm1b
from raygan.data.idx_format import read_idx
from raygan.errors import RayganError
from raygan.gan.bundle import pack, unpack
from raygan.service.runs.code import load_config
from raygan.service.training import train
from raygan.strategies.base import load_data


class Planted:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["PLANTED"],)


def evil() -> bytes:
    return pickle.dumps(Planted())


def png(side: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("L", (side, side)).save(out, "png")
    return out.getvalue()


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name.replace("__", "."), raw)
    return path


def data(spec: str) -> object:
    return load_data(resolve(flags={"data": spec}).config)


def written(tmp_path: Path, raw: bytes, name: str) -> Path:
    path = tmp_path / name
    path.write_bytes(raw)
    return path


def run_with(tmp_path: Path, file: str, raw: bytes) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    (run / file).write_bytes(raw)
    return run


def object_npz(tmp_path: Path) -> Path:
    np.savez(tmp_path / "o.npz", x=np.array([Planted()], dtype=object))
    return tmp_path / "o.npz"


def parquet(tmp_path: Path, raw: bytes) -> Path:
    pq.write_table(pa.table({"image": [raw, raw]}), tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def huge_shape() -> bytes:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99), }"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def big_png() -> bytes:
    """A PNG whose header claims 60,000 x 60,000 pixels."""
    raw = bytearray(png())
    raw[16:24] = struct.pack(">II", 60000, 60000)
    raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
    return bytes(raw)


def bomb_yaml() -> bytes:
    lines = ["a0: &a0 {x: 1}"] + [
        f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}" for i in range(1, 40)
    ]
    return "\n".join(lines).encode()


def safetensors_header(size: int, text: bytes = b"{}") -> bytes:
    return struct.pack("<Q", size) + text


BAD: dict[str, Callable[[Path], object]] = {
    "pickle as npz": lambda t: data(f"npz:{written(t, evil(), 'x.npz')}"),
    "pickled objects in npz": lambda t: data(f"npz:{object_npz(t)}"),
    "pickle inside npz": lambda t: data(f"npz:{zipped(t / 'x.npz', x__npy=evil())}"),
    "empty npz": lambda t: data(f"npz:{zipped(t / 'x.npz')}"),
    "huge shape in npz": lambda t: data(f"npz:{zipped(t / 'x.npz', x__npy=huge_shape())}"),
    "npz bomb": lambda t: data(f"npz:{zipped(t / 'x.npz', x__npy=bytes(1 << 22))}"),
    "pickle as zip": lambda t: data(f"zip:{written(t, evil(), 'x.zip')}"),
    "pickle as an image in a zip": lambda t: data(f"zip:{zipped(t / 'x.zip', a__png=evil())}"),
    "zip bomb": lambda t: data(f"zip:{zipped(t / 'x.zip', a__png=bytes(1 << 22))}"),
    "image bomb": lambda t: data(f"zip:{zipped(t / 'x.zip', a__png=big_png())}"),
    "pickle as parquet": lambda t: data(f"parquet:{written(t, evil(), 'x.parquet')}"),
    "pickle in a parquet column": lambda t: data(f"parquet:{parquet(t, evil())}"),
    "pickle as idx": lambda t: read_idx(written(t, evil(), "x")),
    "gzip bomb as idx": lambda t: read_idx(written(t, gzip.compress(bytes(1 << 22)), "x.gz")),
    "idx that claims 16 TB": lambda t: read_idx(written(t, b"\0\0\x08\x03" + b"\xff" * 12, "x")),
    "pickle as a checkpoint part": lambda t: unpack(evil()),
    "huge header in a part": lambda t: unpack(safetensors_header(1 << 60)),
    "nested header in a part": lambda t: unpack(safetensors_header(200_000, b"[" * 200_000)),
    "header without plain values": lambda t: unpack(
        safetensors_header(20, b'{"__metadata__": 3} ')
    ),
    "pickle as config.json": lambda t: load_config(run_with(t, "config.json", evil())),
    "nested config.json": lambda t: load_config(run_with(t, "config.json", b"[" * 100_000)),
    "list as config.json": lambda t: load_config(run_with(t, "config.json", b"[1]")),
    "pickle as config.yaml": lambda t: read_yaml(written(t, evil(), "c.yaml")),
    "python object in YAML": lambda t: read_yaml(
        written(t, b"a: !!python/object/apply:os.mkdir [x]", "c.yaml")
    ),
    "aliases that expand": lambda t: read_yaml(written(t, bomb_yaml(), "c.yaml")),
    "nested YAML": lambda t: read_yaml(written(t, b"[" * 5000, "c.yaml")),
}


@pytest.mark.parametrize("what", BAD)
def test_a_malicious_file_is_one_line_and_runs_nothing(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", str(tmp_path / "planted"))
    monkeypatch.setattr(free_memory, "room", lambda: 1 << 20)
    with pytest.raises(RayganError) as error:
        BAD[what](tmp_path)
    assert str(error.value).count("\n") == 0
    assert not (tmp_path / "planted").exists(), "code in the file was run"


def test_the_pickle_would_have_worked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above could not fail."""
    monkeypatch.setenv("PLANTED", str(tmp_path / "planted"))
    pickle.loads(evil())  # noqa: S301
    assert (tmp_path / "planted").is_dir()


@pytest.mark.parametrize("linked", ["part", "manifest", "folder"])
def test_a_part_behind_a_link_is_not_read(tmp_path: Path, linked: str) -> None:
    for folder in ("run", "other"):
        storage = LocalStorage(tmp_path / folder)
        (tmp_path / folder).mkdir()
        write_checkpoint(
            Journal.open(storage), Checkpoint(5, {"pair-00": pack({"step": 5})}, {"pair-00": 5})
        )
    assert newest_valid(tmp_path / "run")[0] is not None
    name = {
        "part": "00000005/pair-00.safetensors",
        "manifest": "00000005/manifest.json",
        "folder": "00000005",
    }[linked]
    ours, theirs = (tmp_path / folder / "checkpoints" / name for folder in ("run", "other"))
    ours.rename(tmp_path / "away")
    ours.symlink_to(theirs)
    found, problems = newest_valid(tmp_path / "run")
    assert found is None
    assert problems or linked == "folder"


def test_with_umask_000_nobody_else_can_look_into_a_run(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        flags = {
            "steps": 4,
            "num_pairs": 1,
            "network.hidden": 8,
            "checkpoint.every_steps": 2,
            "evaluation.samples": 1500,
        }
        run = train(resolve(flags=flags), run_dir=tmp_path / "runs", name="open", inline=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    for path in [
        *run.path.glob("journal/*"),
        *run.path.glob("checkpoints/*"),
        *run.path.glob("checkpoints/*/*"),
    ]:
        assert not path.stat().st_mode & 0o077, path


def test_the_lint_finds_a_pickle(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import pickle\nimport torch\nimport"
        " yaml\n\npickle.loads(b'')\ntorch.load('x')\nyaml.load('x', yaml.Loader)\neval('1')\n"
    )
    config = Path(__file__).parents[2] / "pyproject.toml"
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(config), "--output-format", "json",
         str(bad)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {entry["code"] for entry in json.loads(done.stdout)}
    assert {"TID251", "S301", "S506", "S307"} <= found


# -------------------------------------------------------------------------------------------- small
# until it is unpacked


def solid(side: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side)).save(out, "png")
    return out.getvalue()


def folder_of(tmp_path: Path, *raws: bytes) -> Path:
    (tmp_path / "im").mkdir()
    for i, raw in enumerate(raws):
        (tmp_path / f"im/{i}.png").write_bytes(raw)
    return tmp_path / "im"


def repeated(tmp_path: Path) -> Path:
    """One picture in a dictionary, and a row of few bits for each time that it is told again."""
    pq.write_table(
        pa.table({"image": pa.array([solid(64)] * 2000).dictionary_encode()}),
        tmp_path / "d.parquet",
    )
    assert (tmp_path / "d.parquet").stat().st_size < 20_000
    return tmp_path / "d.parquet"


def sparse(tmp_path: Path) -> Path:
    with (folder_of(tmp_path) / "0.png").open("wb") as file:
        file.truncate(1 << 40)
    return tmp_path / "im"


def chunked_png() -> bytes:
    """A text chunk that unpacks to 64 MiB."""
    raw, body = png(), b"k\0\0" + zlib.compress(bytes(64 << 20), 9)
    chunk = (
        struct.pack(">I", len(body))
        + b"zTXt"
        + body
        + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    )
    return raw[:33] + chunk + raw[33:]


def odd_file(tmp_path: Path, make: Callable[[Path], object]) -> Path:
    make(folder_of(tmp_path) / "0.png")
    return tmp_path / "im"


def shards(tmp_path: Path) -> Path:
    for name in lm1b.FILES:
        (tmp_path / name).write_bytes(gzip.compress(b"a\n" * (1 << 20)))
    return tmp_path


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(x) (w) file\n"
BOMBS: dict[str, Callable[[Path], object]] = {
    "solid pictures in a folder": lambda t: data(f"folder:{folder_of(t, *[solid(128)] * 40)}"),
    "solid pictures in a zip": lambda t: data(
        f"zip:{zipped(t / 'x.zip', **{f'{i}__png': solid(128) for i in range(40)})}"),
    "one large picture": lambda t: data(f"folder:{folder_of(t, solid(2000))}"),
    "a dictionary's repeats in parquet": lambda t: data(f"parquet:{repeated(t)}"),
    "a sparse file": lambda t: data(f"folder:{sparse(t)}"),
    "a text chunk in a picture": lambda t: data(
        f"folder:{folder_of(t, chunked_png(), chunked_png())}"),
    "a device": lambda t: data(f"folder:{odd_file(t, lambda p: p.symlink_to('/dev/zero'))}"),
    "a pipe": lambda t: data(f"folder:{odd_file(t, lambda p: os.mkfifo(p))}"),
    "PostScript as a picture": lambda t: data(f"folder:{folder_of(t, POSTSCRIPT, POSTSCRIPT)}"),
    "text in gzip": lambda t: load_component(
        "data", {"name": "lm1b", "path": str(shards(t))}).load(0),  # type: ignore[attr-defined]
    "a zip in a zip": lambda t: data(
        f"zip:{zipped(t / 'x.zip', a__zip=zipped(t / 'y.zip', a__png=png()).read_bytes())}"),
    "an IDX header": lambda t: read_idx(
        written(t, gzip.compress(b"\0\0\x08\x01\0@\0\0" + bytes(1 << 22)), "x.gz")),
}  # fmt: skip


@pytest.mark.parametrize("what", BOMBS)
def test_what_unpacks_to_more_than_there_is_is_one_line(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "room", lambda: 1 << 20)
    with pytest.raises(RayganError) as error:
        BOMBS[what](tmp_path)
    assert str(error.value).count("\n") == 0


def test_what_has_room_is_read(tmp_path: Path) -> None:
    samples = load_data(
        resolve(flags={"data": f"parquet:{repeated(tmp_path)}", "network": "dcgan"}).config
    )
    assert samples.train.shape[1:] == (3, 64, 64)


@pytest.mark.parametrize("version", [1, 2])
def test_the_room_is_what_the_tightest_group_leaves(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "cg" / ("memory" if version == 1 else "")
    names = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes")
        if version == 1
        else ("memory.max", "memory.current")
    )
    for folder, most in ((top / "a", "4294967296"), (top / "a/b", "max")):
        folder.mkdir(parents=True)
        for name, text in zip(names, (most, "1073741824"), strict=True):
            (folder / name).write_text(text + "\n")
    (top / "a/memory.stat").write_text("anon 5\ninactive_file 1048576\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("4:memory:/a/b\n" if version == 1 else "0::/a/b\n")
    (tmp_path / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable: 88888888 kB\n")
    monkeypatch.setattr(free_memory, "PROC", tmp_path)
    monkeypatch.setattr(free_memory, "CGROUP", tmp_path / "cg")
    assert free_memory.room() == (3 << 30) + (1 << 20) - free_memory.SPARE


def test_the_room_is_what_ulimit_leaves() -> None:
    code = (
        "import resource; from raygan.data import free_memory; before = free_memory.room(); "
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30,) * 2); print(before, free_memory.room())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    before, after = map(int, out.split())
    assert after < 3 << 30 < before

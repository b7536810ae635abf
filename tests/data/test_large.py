"""What is larger than memory: read a part at a time, kept in the cache, drawn from there with the
bits of the small path.
"""

import errno
import gzip
import io
import logging
import os
import pickle  # noqa: TID251  as Ray sends them
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from raygan.cli import main, verbs
from raygan.config import load_component
from raygan.data import cache, cache_listing, cache_sources, keeping, stored
from raygan.data.base import Samples
from raygan.data.files import FileComponent
from raygan.data.stored import Stored
from raygan.errors import DataError
from raygan.watching import WATCH

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (300, 3, 8, 8), dtype=np.uint8)
POINTS = RNG.normal(size=(3000, 2)) * [1, 9] + [1e9, 0]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything of 4 KiB and more is large; parts are small, also where all is in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stored, "PART", 1 << 12)
    return tmp_path / "cache" / "raygan" / "read"


def make_large(monkeypatch: pytest.MonkeyPatch) -> None:
    from raygan.data import hdf5, npz

    for module in (keeping, npz, hdf5):
        monkeypatch.setattr(module, "LARGE", 1 << 12)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    make_large(monkeypatch)


def component(kind: str, path: Path, **settings: Any) -> FileComponent:
    found = load_component("data", {"name": kind, "path": str(path), **settings})
    assert isinstance(found, FileComponent)
    return found


def png(picture: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.moveaxis(picture, 0, -1)).save(out, "PNG")
    return out.getvalue()


def folder(at: Path) -> Path:
    for i, picture in enumerate(PICTURES):
        place = at / "pictures" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:03}.png").write_bytes(png(picture))
    return at / "pictures"


def archive(at: Path) -> Path:
    with zipfile.ZipFile(at / "x.zip", "w") as made:
        for i, picture in enumerate(PICTURES):
            made.writestr(f"{i:03}.png", png(picture))
    return at / "x.zip"


def shards(at: Path) -> Path:
    (at / "shards").mkdir()
    for i in range(3):
        table = pa.table({"image": [{"bytes": png(p), "path": None} for p in PICTURES[i::3]]})
        pq.write_table(table, at / "shards" / f"{i}.parquet")
    return at / "shards"


def saved(name: str, array: Any) -> Any:
    def make(at: Path) -> Path:
        path = at / name
        if name.endswith(".h5"):
            with h5py.File(path, "w") as file:
                file["images"] = array
        else:
            {"npy": np.save, "npz": np.savez, "zed": np.savez_compressed}[name[-3:]](path, array)
        return path if path.exists() else at / f"{name}.npz"

    return make


def table(at: Path) -> Path:
    """Two shards of numbers of three kinds, which become one kind."""
    at = at / "table"
    at.mkdir()
    for i, part in enumerate(np.split(POINTS, 2)):
        whole = np.arange(len(part), dtype=np.int32)
        pq.write_table(
            pa.table(
                {"a": part[:, 0], "b": part[:, 1].astype(np.float32), "c": whole, "y": whole % 3}
            ),
            at / f"{i}.parquet",
        )
    return at


def idx(name: str) -> Any:
    def make(at: Path) -> Path:
        grey = PICTURES[:, 0]
        raw = b"\0\0\x08\x03" + np.array(grey.shape, ">u4").tobytes() + grey.tobytes()
        (at / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
        return at / name

    return make


HWC = np.moveaxis(PICTURES, 1, -1)
SOURCES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "folder": ("folder", folder, {}),
    "folder, resized": ("folder", folder, {"size": 16, "channels": 1}),
    "zip": ("zip", archive, {}),
    "shards of parquet": ("parquet", shards, {}),
    "shards of numbers": ("parquet", table, {"column": "a,b,c"}),
    "shards of numbers with labels": ("parquet", table, {"column": "a,c", "labels": "y"}),
    "idx": ("idx", idx("x-ubyte"), {}),
    "npy": ("npz", saved("x.npy", PICTURES), {}),
    "npy, channels last": ("npz", saved("x.npy", HWC), {}),
    "npy, floats": ("npz", saved("x.npy", PICTURES / 255), {}),
    "npy, resized": ("npz", saved("x.npy", PICTURES), {"size": 16, "channels": 1}),
    "npz": ("npz", saved("x.npz", PICTURES), {}),
    "npz, compressed": ("npz", saved("zed", PICTURES), {}),
    "npz, points": ("npz", saved("x.npz", POINTS), {}),
    "npy, points as they are": ("npz", saved("x.npy", POINTS - [1e9, 0]), {"scale": "none"}),
    "npz, the last ones held out": (
        "npz",
        saved("x.npz", PICTURES),
        {"held_out_by": "tail", "limit": 50},
    ),
    "hdf5": ("hdf5", saved("x.h5", PICTURES), {}),
    "hdf5, points": ("hdf5", saved("x.h5", POINTS), {}),
}


def same(a: Samples, b: Samples) -> bool:
    def drawn(x: Samples) -> list[torch.Tensor]:
        stream = torch.Generator().manual_seed(3)
        cpu = torch.device("cpu")
        return [x.batch(64, stream, cpu), x.real_batch(20, stream), x.held_out_batch(20, stream)]

    return (a.sha256, a.split, a.scaling, a.shape) == (
        b.sha256,
        b.split,
        b.scaling,
        b.shape,
    ) and all(map(torch.equal, drawn(a), drawn(b)))


@pytest.mark.parametrize("name", SOURCES)
def test_a_large_source_gives_the_bits_of_the_small_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, make, settings = SOURCES[name]
    data = component(kind, make(tmp_path), **settings)
    small = data.load(0)
    assert isinstance(small.train, np.ndarray)
    make_large(monkeypatch)
    for _ in range(2):  # read, then from the cache
        found = data.load(0)
        assert isinstance(found.train, Stored)
        assert isinstance(found.held_out, Stored)
        assert same(found, small)
        sent = pickle.dumps(found)
        each = 4 if found.labels is None else 12
        assert len(sent) < each * (len(found.train) + len(found.held_out)) + 6000, (
            "which samples, and where; not these"
        )
        assert same(pickle.loads(sent), small)  # noqa: S301  of this process
    assert small.record is not None
    assert found.record is not None
    assert found.record.converted == small.record.converted
    assert name.startswith(("npy", "idx")) or "from the cache" in found.record.kept


@pytest.mark.usefixtures("large")
def test_another_file_or_setting_is_read_anew(tmp_path: Path, own_cache: Path) -> None:
    path = saved("x.npz", PICTURES)(tmp_path)
    component("npz", path).load(0)
    component("npz", path, held_out=7, limit=9).load(0)  # the same samples
    assert len(list(own_cache.glob("*/about.json"))) == 1
    assert component("npz", path, size=4).load(0).shape == (3, 4, 4)
    np.savez(path, 255 - PICTURES)
    found = component("npz", path).load(0)
    assert np.array_equal(np.sort(found.train[:].ravel())[:5], np.zeros(5))
    assert len(list(own_cache.glob("*/about.json"))) == 3
    assert {p.suffix for p in own_cache.iterdir()} == {"", ".lock"}, "nothing half-written"


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("other", ["a reader", *cache_sources.DECODERS])
def test_what_another_reader_has_read_is_read_anew(
    other: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved("x.npz", PICTURES)(tmp_path)
    component("npz", path).load(0)
    if other == "a reader":
        # the package as an upgrade leaves it: one line of one module is another
        package = tmp_path / "package"
        shutil.copytree(Path(cache_sources.__file__).parent, package)
        assert cache_sources.hashed(package) == cache_sources.own_sources()
        (package / "layout.py").write_text((package / "layout.py").read_text() + "\n")
        changed = cache_sources.hashed(package)
        monkeypatch.setattr(cache_sources, "own_sources", lambda: changed)
    else:
        version = cache_sources.version
        monkeypatch.setattr(
            cache_sources, "version", lambda name: "99" if name == other else version(name)
        )
    found = component("npz", path).load(0)
    assert found.record is not None
    assert "for the next start" in found.record.kept
    assert len(list(own_cache.glob("*/about.json"))) == 2


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("harm", ["a byte", "shorter", "about"])
def test_a_damaged_cache_is_told_and_read_again(
    harm: str, tmp_path: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = component("npz", saved("x.npz", PICTURES)(tmp_path))
    before = data.load(0)
    (kept,) = own_cache.glob("*/samples-0")
    if harm == "about":
        kept.with_name("about.json").write_text("{")
    else:
        raw = bytearray(kept.read_bytes())
        raw[100] ^= 1
        kept.write_bytes(raw if harm == "a byte" else raw[:100])
    assert same(data.load(0), before)
    assert "is damaged" in caplog.text
    caplog.clear()
    assert same(data.load(0), before)
    assert not caplog.text


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("place", ["no such device", "full", "file"])
def test_where_nothing_can_be_kept_it_is_read_into_memory_and_told(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = component("npz", saved("x.npz", PICTURES)(tmp_path))
    (tmp_path / "file").touch()
    if place == "full":
        monkeypatch.setattr(cache, "reserve", no_space)
    else:
        monkeypatch.setenv(
            "XDG_CACHE_HOME", "/proc/none" if place == "no such device" else str(tmp_path / "file")
        )
    found = data.load(0)
    assert isinstance(found.train, np.ndarray)
    assert found.record is not None
    assert "not cached" in found.record.lines()[-1]
    monkeypatch.setattr(keeping, "room", lambda: 0)
    with pytest.raises(DataError, match="Set XDG_CACHE_HOME") as error:
        data.load(0)
    assert "\n" not in str(error.value)


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("large")
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "ftruncate", no_space)
    with pytest.raises(
        DataError, match=r"No space left on device\. Make room there, set XDG_CACHE_HOME"
    ):
        component("npz", saved("x.npz", PICTURES)(tmp_path)).load(0)
    assert not [p for p in own_cache.iterdir() if p.suffix != ".lock"]


@pytest.mark.usefixtures("large")
def test_of_two_that_read_the_same_one_writes(tmp_path: Path) -> None:
    data = component("npz", saved("x.npz", PICTURES)(tmp_path))
    waits, found = threading.Event(), list[Samples]()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting" in record.getMessage():
                waits.set()

    first = cache.Shelf.of(data)
    assert first is not None
    first._begin()
    handler = Heard()
    cache.log.addHandler(handler)
    second = threading.Thread(target=lambda: found.append(data.load(0)))
    try:
        second.start()
        assert waits.wait(30)
        token = keeping.PLACE.set(first)
        first.commit(data.read())
        keeping.PLACE.reset(token)
        first.close()
        second.join(30)
    finally:
        cache.log.removeHandler(handler)
    assert found[0].record is not None
    assert "from the cache" in found[0].record.kept


@pytest.mark.usefixtures("large")
def test_a_machine_without_the_file_reads_the_source_itself(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved("x.npz", PICTURES)(tmp_path)
    here = component("npz", path).load(0)
    sent = [pickle.dumps(component("npz", path).load(0)) for _ in range(2)]
    here.train[:1]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    next(own_cache.glob("*/samples-0")).unlink()
    assert same(pickle.loads(sent[0]), here)  # noqa: S301
    np.savez(path, 255 - PICTURES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "third"))
    with pytest.raises(DataError, match=r"holds other data on .* Bring it the same"):
        same(pickle.loads(sent[1]), here)  # noqa: S301


@pytest.mark.usefixtures("large")
def test_reading_is_told_as_it_goes(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    token = WATCH.set(lambda _, done, total: told.append((done, total)))
    component("folder", folder(tmp_path)).load(0)
    WATCH.reset(token)
    assert told == sorted(told)
    assert len(told) > 10
    assert told[-1] == (300, 300)


MEASURED = """
import sys, torch
from raygan.config import load_component
from raygan.service import training
def peak():
    told = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
    return int(told.split()[1]) >> 10
data = load_component("data", {"name": sys.argv[1], "path": sys.argv[2]})
# whatever is imported only now
load_component("data", {"name": sys.argv[1], "path": sys.argv[3]}).load(0)
open("/proc/self/clear_refs", "w").write("5")
before = peak()
found = data.load(0)
for seed in range(20):
    found.batch(2, torch.Generator().manual_seed(seed), torch.device("cpu"))
print(peak() - before, found.train.nbytes + found.held_out.nbytes >> 20)
"""


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, tuple[str, Path]]:
    pictures = tmp_path / "big"
    pictures.mkdir()
    Image.new("RGB", (256, 256), (90, 0, 0)).save(tmp_path / "a.png")
    for i in range(1760):
        shutil.copyfile(tmp_path / "a.png", pictures / f"{i}.png")
    (tmp_path / "small-big").mkdir()
    for i in range(2):
        Image.new("RGB", (64, 64), (90 + i, 0, 0)).save(tmp_path / f"small-big/{i}.png")
    np.save(tmp_path / "small-big.npy", PICTURES)
    with (tmp_path / "big.npy").open("wb") as file:
        about = {"descr": "|u1", "fortran_order": False, "shape": (1760, 3, 256, 256)}
        np.lib.format.write_array_header_1_0(file, about)
        file.truncate(file.tell() + 1760 * 3 * 256 * 256)  # holes: nothing on the disk
    return {"folder": ("folder", pictures), "npy": ("npz", tmp_path / "big.npy")}


def test_reading_takes_a_tenth_of_the_data_and_less(sources: dict[str, tuple[str, Path]]) -> None:
    for kind, path in sources.values():
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                MEASURED,
                kind,
                str(path),
                str(path.with_name(f"small-{path.name}")),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        grown, held = map(int, done.stdout.split())
        assert held == 330
        assert grown <= held / 10, f"{kind}: {grown} MiB more for {held} MiB"


@pytest.mark.usefixtures("large")
def test_the_cache_is_listed_and_emptied_by_age(
    tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("old", "new"):
        component("npz", saved_pictures(tmp_path / f"{name}.npz")).load(0)
    old = next(k for k in cache_listing.cached_sources() if k.source.endswith("old.npz"))
    os.utime(old.path / "about.json", (0, 0))  # no start has read it for years
    (own_cache / "half.tmp").mkdir()
    assert verbs.data(["--cache"]) == 0
    listed = capsys.readouterr().out
    assert "2 decoded sources" in listed
    assert "old.npz" in listed
    assert verbs.data(["--clear-cache", "30"]) == 0
    assert "removed 1 decoded sources" in capsys.readouterr().out
    assert not old.path.exists()
    (new,) = cache_listing.cached_sources()
    assert new.source.endswith("new.npz")
    assert component("npz", tmp_path / "old.npz").load(0).train.shape == (270, 3, 8, 8)
    assert len(cache_listing.cached_sources()) == 2, "it was read again, and kept"
    assert verbs.data(["--clear-cache", "0"]) == 0
    assert cache_listing.cached_sources() == []


@pytest.mark.usefixtures("large")
def test_what_nobody_has_read_for_a_month_makes_room_for_what_is_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    component("npz", saved_pictures(tmp_path / "old.npz")).load(0)
    (old,) = cache_listing.cached_sources()
    os.utime(old.path / "about.json", (0, 0))
    component("npz", saved_pictures(tmp_path / "new.npz")).load(0)
    assert [k.source.endswith("new.npz") for k in cache_listing.cached_sources()] == [True]
    assert "old.npz" in caplog.text, "told"


@pytest.mark.usefixtures("large")
def test_a_run_goes_on_with_what_is_removed_meanwhile(tmp_path: Path) -> None:
    found = component("npz", saved_pictures(tmp_path / "x.npz")).load(0)
    before = np.array(found.train[[0, 5]])
    assert cache_listing.cleared(0)
    assert np.array_equal(found.train[[0, 5]], before)


@pytest.mark.parametrize("days", ["-1", "many", "nan", "inf", ""])
def test_a_wrong_number_of_days_is_one_line(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["data", "--clear-cache", days])
    assert capsys.readouterr().err.count("\n") == 1


def saved_pictures(path: Path) -> Path:
    np.savez(path, x=PICTURES)
    return path


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("what", ["a null", "text"])
def test_what_is_no_number_far_down_a_large_table_is_refused_by_its_row(
    what: str, tmp_path: Path
) -> None:
    values = pa.array([*map(float, range(2999)), None])
    values = values if what == "a null" else pa.array([str(i) for i in range(3000)])
    pq.write_table(pa.table({"a": values, "b": np.arange(3000.0) / 2}), tmp_path / "x.parquet")
    told = (
        "1 nulls, the first in row 2999" if what == "a null" else "'a' .string. may be no feature"
    )
    with pytest.raises(DataError, match=told):
        component("parquet", tmp_path / "x.parquet").load(0)

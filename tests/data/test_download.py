"""What is fetched is what it should be, or nothing is kept; asked for by a setting only."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from raygan.config import resolve
from raygan.data import download
from raygan.data.mnist import FILES, LABELS
from raygan.errors import DataError
from raygan.strategies.base import load_data


def idx(shape: tuple[int, ...]) -> bytes:
    head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    return head + np.arange(np.prod(shape), dtype=np.int64).astype(np.uint8).tobytes()


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server of four small files, and a machine that has none."""
    served, sums = tmp_path / "served", {}
    served.mkdir()
    for name in (*FILES, *LABELS):
        raw = idx((40, 28, 28) if "images" in name else (40,))
        (served / name).write_bytes(gzip.compress(raw, mtime=0))
        sums[name] = hashlib.sha256(raw).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    source = download.Source(f"http://127.0.0.1:{server.server_port}/", sums)
    for module in (
        "mnist.Mnist.source",
        "stacked_mnist.MNIST",
        "fashion_mnist.FashionMnist.source",
    ):
        monkeypatch.setattr(f"raygan.data.{module}", source)
    monkeypatch.setattr("raygan.data.search.roots", lambda: [tmp_path / "cache/raygan"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "stacked_mnist"])
def test_missing_files_are_fetched_once(name: str, mirror: Path) -> None:
    data = load_data(resolve(flags={"data": name, "data.download": True}).config)
    assert len(data.train) == 40
    for file in mirror.iterdir():
        file.unlink()
    again = load_data(resolve(flags={"data": name, "data.download": True}).config)
    assert again.sha256 == data.sha256


def test_nothing_is_fetched_that_nobody_asked_for(mirror: Path) -> None:
    with pytest.raises(DataError, match=r"--data\.download true") as error:
        load_data(resolve(flags={"data": "mnist"}).config)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "damage", [b"", b"<html>no</html>", gzip.compress(b"another file", mtime=0)]
)
def test_another_file_is_refused_and_not_kept(damage: bytes, mirror: Path, tmp_path: Path) -> None:
    (mirror / FILES[0]).write_bytes(damage)
    into = tmp_path / "into"
    with pytest.raises(DataError, match="nothing was kept"):
        load_data(
            resolve(flags={"data": "mnist", "data.download": True, "data.path": str(into)}).config
        )
    assert not into.exists() or not list(into.iterdir())


@pytest.mark.parametrize("gone", ["file", "server"])
def test_without_a_network_one_line_has_the_next_move(
    gone: str, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gone == "file":
        (mirror / FILES[0]).unlink()
    else:
        nowhere = download.Source("http://127.0.0.1:1/", {})
        monkeypatch.setattr("raygan.data.mnist.Mnist.source", nowhere)
    with pytest.raises(DataError, match=r"cannot download .* Copy the file into .*mnist") as error:
        load_data(resolve(flags={"data": "mnist", "data.download": True}).config)
    assert "\n" not in str(error.value)

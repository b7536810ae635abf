"""`raygan serve` as a process: its routes, many clients at once,
a checkpoint that comes in between, and its end.
"""

import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raygan.config import Resolved
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.training import train
from tests.conftest import tiny_config

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]
CLIENTS = 16


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, str]]:
    """A run, and the address where it is served."""
    config = tiny_config(num_pairs=2, steps=20, checkpoint={"every_steps": 10})
    resolved = Resolved(config=config, origins={})
    run = train(resolved, run_dir=tmp_path_factory.mktemp("runs"), name="r", inline=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "raygan.cli", "serve", str(run.path), "--port", str(port),
               "--every", "1", "--address", "local"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()  # it comes with the first answer, or is "" at the end
    if not line:
        pytest.fail(process.communicate()[1][-2000:])
    yield run, line.split()[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert "Traceback" not in process.communicate()[1]


def got(address: str, what: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(address + what, timeout=60) as answer:
        return answer.read(), dict(answer.headers)


def test_every_route(served: tuple[Run, str]) -> None:
    run, address = served
    raw, headers = got(address, "sample?count=5&seed=3&format=npy")
    np.testing.assert_allclose(
        np.load(io.BytesIO(raw)), run.generator(run.main_player).sample(5, 3), rtol=1e-5
    )
    assert headers["x-raygan-seed"] == "3"
    assert json.loads(got(address, "sample?count=2")[0])["shape"] == [2, 2]
    one, two = (got(address, "sample?count=2")[1]["x-raygan-seed"] for _ in range(2))
    assert one != two, "a seed that is not given is drawn"
    assert Image.open(io.BytesIO(got(address, "sample?format=png")[0])).format == "PNG"
    health = json.loads(got(address, "health")[0])
    assert (health["status"], health["which"], health["shape"]) == ("ok", run.main_player, [2])
    assert (health["prior"], health["reach"]) == ("gaussian", 3.0)
    z = ",".join(["0.1"] * health["z_dim"])
    assert json.loads(got(address, f"latent?z={z}")[0])["shape"] == [1, 2]
    assert b"raygan_serve_requests_total" in got(address, "metrics")[0]
    page, headers = got(address, "")
    assert b"Another z" in page
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("sample?count=0", 422, "greater than or equal to 1"),
        ("sample?count=1000000", 422, "less than or equal to 10000"),
        ("sample?format=gif", 422, "Input should be"),
        ("sample?format=txt", 400, "not text"),
        ("sample?seed=-1", 422, "greater than or equal to 0"),
        ("latent?z=1", 400, "z: 1 numbers"),
        ("latent?z=a,b", 400, "write numbers between commas"),
        ("latent", 422, "Field required"),
        ("nothing", 404, "Not Found"),
    ],
)
def test_what_is_refused(served: tuple[Run, str], what: str, status: int, said: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as found:
        got(served[1], what)
    assert found.value.code == status
    assert said in found.value.read().decode()


def test_a_checkpoint_that_comes_while_all_ask_costs_nobody_an_answer(
    served: tuple[Run, str],
) -> None:
    run, address = served
    before = json.loads(got(address, "health")[0])["checkpoint"]
    over, errors, seen = threading.Event(), list[str](), set[str]()

    def client(seed: int) -> None:
        while not over.is_set():
            try:
                raw, headers = got(address, f"sample?count=8&seed={seed}")
                assert len(json.loads(raw)["x"]) == 8
                seen.add(headers["x-raygan-checkpoint"])
            except Exception as error:
                errors.append(repr(error))

    clients = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for thread in clients:
        thread.start()
    resume_run(run.path, extra_steps=10, inline=True)
    deadline = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    over.set()
    for thread in clients:
        thread.join()
    assert errors == []
    assert before in seen
    assert max(seen) > before, "the newest is served"
    assert json.loads(got(address, "health")[0])["rolled"] == 1


def test_bad_input_ends_before_ray_starts(served: tuple[Run, str], tmp_path: Path) -> None:
    port = served[1].rstrip("/").rpartition(":")[2]
    for arguments, said in (
        ([str(served[0].path), "--port", port], f"--port {port}: cannot listen"),
        ([str(served[0].path), "--port", "0"], "--port '0'"),
        ([str(tmp_path / "none")], "is not a run folder"),
        ([str(served[0].path), "--from", "pair:9"], "pair:9"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "raygan.cli", "serve", *arguments],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr

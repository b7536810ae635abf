"""A whole run in Azure's and in Google's store, as emulators have them, from the command line."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from raygan.controller.bucket import open_bucket
from raygan.controller.checkpoint import newest_valid
from raygan.controller.history import read_journal
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from tests.buckets import BUCKET, Server
from tests.test_bucket_runs import (
    INLINE,
    one_line,
    out_of,
    started,
    states,
    undisturbed,
    wait_for,
)
from tests.test_killed import raygan

pytestmark = pytest.mark.exhaustive
HOW = [*INLINE, "--checkpoint.every-steps", "20", "--evaluation.every-steps", "160"]
HOW[HOW.index("--steps") + 1] = "160"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return undisturbed(HOW, tmp_path_factory.mktemp("whole"))


@pytest.fixture(params=["azure", "google"])
def bucket(request: pytest.FixtureRequest) -> Server:
    there: Server = request.getfixturevalue(request.param)
    return there


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's local sides: those of another machine than the run's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "reader"))
    return tmp_path


def test_a_run_is_killed_resumed_elsewhere_read_and_fetched(
    bucket: Server, whole: dict[str, str], caches: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = f"{bucket.scheme}://{BUCKET}/killed/runs"
    address = f"{runs}/one"
    first = started("one", HOW, caches / "first", runs)
    wait_for("one", first, 3, runs)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)
    assert "lost" in out_of(capsys, "status", address)
    subprocess.run(
        raygan("resume", address, "--plain"), check=True, capture_output=True, timeout=300,
        env={**os.environ, "XDG_CACHE_HOME": str(caches / "second")},
    )  # fmt: skip
    assert states("one", runs) == whole
    assert not read_journal(open_bucket(address)).problems
    assert "done" in out_of(capsys, "status", address)
    (row,) = json.loads(out_of(capsys, "runs", "--at", runs, "--json"))
    assert (row["name"], row["status"], row["step"]) == ("one", "done", 160)
    page = Path(out_of(capsys, "report", address).splitlines()[-1])
    assert "<html" in page.read_text()
    out_of(capsys, "sample", address, "-n", "5", "-o", str(caches / "made.npz"))
    out_of(capsys, "fetch", address, "--to", str(caches / "here"))
    found, problems = newest_valid(caches / "here/one")
    assert problems == []
    assert found is not None
    assert {p: digest(unpack(raw)) for p, raw in found.parts.items()} == whole
    contents = [file.read_bytes() for file in caches.rglob("*") if file.is_file()]
    there = open_bucket(runs)
    contents += [there.objects.get(name) for name in there.objects.below("one")]
    assert len(contents) > 50
    for secret in bucket.secrets:
        assert not any(secret.encode() in raw for raw in contents)


@pytest.mark.parametrize("verb", ["status", "resume"])
def test_what_is_not_there_is_one_line(
    bucket: Server, verb: str, caches: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scheme = bucket.scheme
    assert "is not a run" in one_line(capsys, verb, f"{scheme}://{BUCKET}/runs/nobody")
    assert bucket.absent in one_line(capsys, verb, f"{scheme}://no-such-bucket/runs/x")


def test_another_key_is_told_in_one_line(
    azure: Server, caches: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Google's emulator lets everybody in."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
    line = one_line(capsys, "status", f"az://{BUCKET}/runs/x")
    assert "the bucket cannot be used (AuthorizationFailure)" in line
    assert "d3Jvbmc" not in line

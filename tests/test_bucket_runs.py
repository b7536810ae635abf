"""Runs in a bucket, from the command line: trained, killed, resumed, stopped, read, fetched."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from raygan.cli import main
from raygan.config import Resolved
from raygan.controller import bucket_copies, mirror
from raygan.controller.bucket import BucketStorage, open_bucket
from raygan.controller.checkpoint import newest_valid
from raygan.controller.checkpoint_index import open_journal
from raygan.controller.history import read_journal
from raygan.controller.requests import Requests, file_of
from raygan.controller.run_folder import RunFolder, find_run, read_jsonl
from raygan.errors import ConfigError, DataError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.object_store import Objects
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.serving import running
from raygan.service.serving.source import Rolling, Source
from raygan.service.training import train
from tests.buckets import BUCKET, CANARY, Server
from tests.conftest import tiny_config
from tests.test_killed import ARGS, raygan

RUNS = f"s3://{BUCKET}/some/runs"
INLINE = [a for a in ARGS if a not in ("--address", "local")] + ["--inline"]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Local sides: not the user's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made(name: str, **changes: Any) -> Run:
    config = tiny_config(**changes)
    return train(Resolved(config=config, origins={}), run_dir=RUNS, name=name, inline=True)


def storage(name: str, runs: str = RUNS) -> BucketStorage:
    return open_bucket(f"{runs}/{name}")


def states(name: str, runs: str = RUNS) -> dict[str, str]:
    checkpoint, problems = newest_valid(storage(name, runs))
    assert problems == []
    assert checkpoint is not None
    return {p: digest(unpack(raw)) for p, raw in checkpoint.parts.items()}


def out_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0, words
    return capsys.readouterr().out


def one_line(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 2, words
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_run_is_in_the_bucket_whole_and_no_secret_is(
    server: Server, caches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made("whole")
    capsys.readouterr()
    there = storage("whole")
    for name in ("run.json", "config.json", "config.yaml", "metrics.parquet", "summary.json"):
        assert there.read(name) == (run.path / name).read_bytes(), name
    fetched = find_run(f"{RUNS}/whole")
    assert fetched != run.path
    for log in ("metrics.jsonl", "events.jsonl"):
        assert (fetched / log).read_bytes() == (run.path / log).read_bytes() != b""
    assert not list(fetched.glob("checkpoints/*"))
    assert Run.load(f"{RUNS}/whole").generator("global").sample(4, seed=0).shape == (4, 2)
    listed = json.loads(out_of(capsys, "runs", "--at", RUNS, "--json"))
    (row,) = [r for r in listed if r["name"] == "whole"]
    assert (row["status"], row["step"]) == ("done", 12)
    out_of(capsys, "fetch", f"{RUNS}/whole", "--to", str(tmp_path / "here"))
    found, problems = newest_valid(tmp_path / "here/whole")
    assert problems == []
    assert found is not None
    assert {p: digest(unpack(raw)) for p, raw in found.parts.items()} == states("whole")
    assert read_journal(bucket_copies.storage_of(tmp_path / "here/whole")).problems == []
    with pytest.raises(ConfigError, match="exists already"):
        made("whole")
    for file in [*caches.rglob("*"), *(tmp_path / "here").rglob("*")]:
        assert file.is_dir() or CANARY.encode() not in file.read_bytes(), file
    for name in open_bucket(RUNS).objects.below("whole"):
        assert CANARY.encode() not in open_bucket(RUNS).read(name), name


def test_a_resumed_run_has_the_bits_of_the_one_on_disk(server: Server, tmp_path: Path) -> None:
    made("twice")
    resume_run(f"{RUNS}/twice", extra_steps=8)
    alone = tiny_config(steps=20)
    whole = train(Resolved(config=alone, origins={}), run_dir=tmp_path, name="alone", inline=True)
    found, _ = newest_valid(whole.path)
    assert found is not None
    assert states("twice") == {p: digest(unpack(raw)) for p, raw in found.parts.items()}
    steps = [r["step"] for r in read_jsonl(find_run(f"{RUNS}/twice") / "metrics.jsonl")]
    assert max(steps) == 20
    assert 4 in steps or 5 in steps, "what the first life told is kept"


def test_a_request_to_scale_stays_in_the_bucket_until_it_is_done_with(
    server: Server, caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that dies on another machine takes none along, nor what was decided of it."""
    run, there = made("asked"), storage("asked")
    journal = open_journal(there)
    ours = mirror.Mirror(RunFolder(run.path), journal, there)
    first, last = (file_of({"verb": "scale"}) for _ in range(2))
    for name, pairs in ((first, 3), (last, 2)):
        there.write(name, json.dumps({"verb": "scale", "id": name, "pairs": pairs}).encode())
    there.write("stop.json", b"{}")
    ours.push()
    requests = Requests(run.path)
    assert requests.waiting() == [first, last]
    assert requests.stops()
    assert not there.exists("stop.json"), "heard once"
    requests.keep(first, {**requests.read(first), "members": [0, 1, 5]})
    ours.push()
    # it is killed; another machine has nothing but the bucket
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches / "elsewhere"))
    view = Requests(find_run(f"{RUNS}/asked"))
    assert view.waiting() == [first, last]
    assert view.read(first)["members"] == [0, 1, 5]
    requests.drop(first)
    ours.push()
    assert [there.exists(name) for name in (first, last)] == [False, True]
    requests.drop(last)
    ours.push()
    ours.push()
    assert requests.waiting() == []
    assert not there.exists(last)


@pytest.mark.parametrize("how", ["more steps", "other settings"])
def test_what_a_resumed_run_has_changed_before_it_goes_on_is_sent(
    server: Server, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever takes it over from a driver that is killed has the settings of before."""
    name = f"changed-{how[:4]}"
    made(name)
    stored = json.loads(storage(name).read("config.json"))
    monkeypatch.setattr(mirror.Mirror, "close", lambda self: None)  # it is killed
    if how == "more steps":
        resume_run(f"{RUNS}/{name}", extra_steps=8)
    else:
        resume_run(f"{RUNS}/{name}", overrides=tiny_config(steps=16))
    now = json.loads(storage(name).read("config.json"))
    assert (stored["steps"], now["steps"]) == (12, 20 if how == "more steps" else 16)


def test_a_run_in_a_bucket_is_served_by_its_address_and_moves_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica elsewhere has none of this machine's files."""
    asked: list[Source] = []
    monkeypatch.setattr(running, "serve", lambda source, *rest: asked.append(source) or 0)
    made("served")
    with pytest.raises(SystemExit) as end:
        main(["serve", f"{RUNS}/served/"])
    assert end.value.code == 0
    assert [s.path for s in asked] == [f"{RUNS}/served"]
    rolling = Rolling(asked[0])
    before = rolling.model.checkpoint
    resume_run(f"{RUNS}/served", extra_steps=8)
    rolling.look()
    assert (rolling.rolled, rolling.failed) == (1, "")
    assert before < rolling.model.checkpoint
    assert rolling.model.generators.draw(3).shape == (3, 2)


def test_a_file_that_is_gone_goes_in_the_bucket_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker's database has a journal while it writes: beside a newer database it is harm."""
    monkeypatch.setattr(mirror, "PACE_S", 3600.0)

    class Database:
        def begin(self, run: Any) -> None:
            self.left = run.log.folder.path / "db-journal"
            self.left.write_text("undo")
            self.there: list[bool] = []

        def __call__(self, run: Any, done: Any) -> None:
            run.log.folder.mirror()
            self.there.append(storage("gone").exists("db-journal"))
            self.left.unlink(missing_ok=True)

    heard = Database()
    config = tiny_config()
    train(
        Resolved(config=config, origins={}), run_dir=RUNS, name="gone", inline=True,
        listeners=[heard],
    )  # fmt: skip
    assert heard.there[0]
    assert not heard.there[-1]
    assert storage("gone").exists("data.png")


def test_results_are_kept_beside_the_run_wherever_it_lies(
    server: Server, caches: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made("judged")
    Run.load(f"{RUNS}/judged").store("best.json", {"player": "pair-01"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches / "of-another-machine"))
    assert Run.load(f"{RUNS}/judged").best == "pair-01"

    def refused(self: BucketStorage, name: str, raw: bytes) -> None:
        raise OSError(13, "AccessDenied", name)

    monkeypatch.setattr(BucketStorage, "write", refused)
    Run.load(f"{RUNS}/judged").store("best.json", {"player": "pair-00"})
    assert "best.json is not stored in the run" in caplog.text
    assert Run.load(f"{RUNS}/judged").best == "pair-01"


@pytest.mark.parametrize(
    "words",
    [
        "stop RUN",
        "scale RUN --pairs 2",
        "sample RUN --from fitted",
        "status RUN",
        "runs --repair RUN",
    ],
)
def test_what_is_refused_names_the_run_by_its_address(
    server: Server, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {"kind": "swap", "step": 1, "time": 0.0}
    monkeypatch.setattr("raygan.service.runs.repair._without_event", lambda run, records: [lost])
    name = f"told-{words.split()[0]}"
    made(name)
    there = storage(name)
    if words.startswith("status"):
        there.write("run.json", b"{")
    capsys.readouterr()
    line = one_line(capsys, *words.replace("RUN", f"{RUNS}/{name}").split())
    assert f"{RUNS}/{name}" in line
    assert "cache" not in line


def test_what_cannot_be_sent_is_told_and_does_not_stop_training(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = BucketStorage.write

    def write(self: BucketStorage, name: str, raw: bytes) -> None:
        if name.startswith("metrics.jsonl"):
            raise OSError(5, "no answer", name)
        real(self, name, raw)

    monkeypatch.setattr(BucketStorage, "write", write)
    run = made("unheard")
    assert run.info["status"] == "done"
    assert run.info["warnings"]["W203 file-not-written"] == 1
    assert any("not in s3://" in r.getMessage() for r in caplog.records)
    assert states("unheard")
    assert not storage("unheard").objects.below("metrics.jsonl")
    monkeypatch.undo()


def test_rows_of_before_a_checkpoint_are_there_before_it_is_recorded(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that is killed just after a commit has lost no row that nobody makes again."""
    monkeypatch.setattr(mirror, "PACE_S", 3600.0)
    seen = []
    real = BucketStorage.append

    def append(self: BucketStorage, name: str, raw: bytes) -> None:
        record = json.loads(raw)
        if record["kind"] == "checkpoint":
            logs = b"".join(self.read(n) for n in sorted(self.objects.below("metrics.jsonl")))
            rows = [json.loads(line) for line in logs.splitlines()]
            seen.append((record["step"], max((r["step"] for r in rows), default=0)))
        real(self, name, raw)

    monkeypatch.setattr(BucketStorage, "append", append)
    made("paced", steps=30, round_steps=2)
    assert len(seen) >= 5
    assert all(told >= step - 4 for step, told in seen), seen


def test_what_is_gone_since_it_was_listed_is_left_out_and_no_name_leads_out(
    server: Server, monkeypatch: pytest.MonkeyPatch, caches: Path
) -> None:
    """A request that the driver takes away while somebody looks; and keys of somebody else's."""
    made("moving")
    names, below = Objects.names, Objects.below
    monkeypatch.setattr(Objects, "names", lambda self, f: [*names(self, f), "stop.json"])
    ghosts = {"samples/gone.npy": ("v", 9), "samples/../../../out": ("v", 9)}

    def more(self: Objects, folder: str) -> dict[str, tuple[str, int]]:
        return below(self, folder) | (ghosts if folder == "samples" else {})

    monkeypatch.setattr(Objects, "below", more)
    view = find_run(f"{RUNS}/moving")
    assert (view / "run.json").exists()
    assert not (view / "stop.json").exists()
    assert not list(caches.rglob("out"))
    bucket_copies.refresh(view)


def test_a_report_of_a_run_that_somebody_took_over_is_not_sent(server: Server) -> None:
    run = made("mine")
    (run.path / "report.html").write_text("late")
    theirs = json.dumps({**run.info, "epoch": 2}).encode()
    storage("mine").write("run.json", theirs)
    mirror.send(run.path)
    assert storage("mine").read("run.json") == theirs
    assert not storage("mine").exists("report.html")
    storage("mine").write("run.json", json.dumps(run.info).encode())
    mirror.send(run.path)
    assert storage("mine").read("report.html") == b"late"


def test_logs_are_segments_that_readers_follow(server: Server, tmp_path: Path) -> None:
    run = made("follow")
    there = storage("follow")
    view = find_run(f"{RUNS}/follow")
    before = (view / "metrics.jsonl").read_bytes()
    more = b'{"kind": "train", "step": 13}\n'
    there.write("metrics.jsonl/00000002-00000001", more)
    requests = server.requests
    bucket_copies.refresh(view)
    cost = server.requests - requests
    assert (view / "metrics.jsonl").read_bytes() == before + more
    there.write("metrics.jsonl/00000002-00000001", more * 2)  # it grows
    there.remove("command.txt")
    bucket_copies.refresh(view)
    assert (view / "metrics.jsonl").read_bytes() == before + more * 2
    assert not (view / "command.txt").exists()
    assert cost < 25, "only what is new is read"
    assert run.path.exists()


def test_what_is_distilled_into_a_bucket_is_resumed_on_another_machine(
    server: Server, caches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What it learns from lies beside it, as on disk; only the bucket is left."""
    sites = train(
        Resolved(config=tiny_config(), origins={}), run_dir=tmp_path, name="sites", inline=True
    )
    words = ["distil", str(sites.path), "--inline", "--plain", "--steps", "4", "--count", "400"]
    words += ["--evaluation.every-steps", "4", "--evaluation.samples", "1500"]
    words += ["--run-dir", RUNS, "--name"]
    at = f"{RUNS}/one-samples.npz"
    assert f"{at}: what sites has made" in out_of(capsys, *words, "one")
    config = json.loads(storage("one").read("config.json"))
    assert config["data"]["path"] == at
    assert open_bucket(RUNS).exists("one-samples.npz")
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches / "of-another-machine"))
    get, asked = Objects.get, list[str]()
    monkeypatch.setattr(Objects, "get", lambda self, name: asked.append(name) or get(self, name))
    resumed = resume_run(f"{RUNS}/one", extra_steps=4)
    assert (resumed.info["status"], max(resumed.info["steps"].values())) == ("done", 8)
    assert Run.load(f"{RUNS}/one").generator("best").sample(2).shape == (2, 2)
    out_of(capsys, "evaluate", f"{RUNS}/one", "--samples", "1500")
    assert asked.count("one-samples.npz") == 1, "samples are brought once"
    assert "'s3://raygan-test/some/runs/one'" in one_line(capsys, *words, "one")
    # refused once the samples are there: nothing of them stays
    monkeypatch.setattr("raygan.service.training.outlined", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([*words, "two"])
    assert not open_bucket(RUNS).exists("two-samples.npz")
    # and what was left, or is somebody else's, is not written over
    open_bucket(RUNS).write("two-samples.npz", b"theirs")
    assert f"'{RUNS}/two-samples.npz' exists already" in one_line(capsys, *words, "two")
    assert open_bucket(RUNS).read("two-samples.npz") == b"theirs"
    open_bucket(RUNS).remove("one-samples.npz")
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches / "of-a-third"))
    with pytest.raises(DataError, match=f"{at} cannot be brought .*Put the file back"):
        resume_run(f"{RUNS}/one", extra_steps=4)


@pytest.mark.parametrize("verb", ["status", "report", "sample", "resume", "evaluate"])
def test_what_is_not_there_is_one_line(
    server: Server, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not a run" in one_line(capsys, verb, f"{RUNS}/nobody")
    assert "NoSuchBucket" in one_line(capsys, verb, "s3://no-such-bucket/runs/x")
    assert "write s3://" in one_line(capsys, verb, "s3://")


def test_a_store_without_its_library_or_credentials_is_one_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--inline", "--steps", "2", "--run-dir", RUNS, "--name", "x"]
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "obstore", None)
        assert "pip install 'raygan[bucket]'" in one_line(capsys, *words)
    with monkeypatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        patch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
        patch.setattr("raygan.object_store.HASTY", {"max_retries": 0})
        line = one_line(capsys, *words)
        assert "AWS_ACCESS_KEY_ID" in line
        assert CANARY not in line
    assert not storage("x").objects.below(".")


def wait_for(name: str, process: subprocess.Popen[bytes], saved: int = 1, runs: str = RUNS) -> None:
    deadline = time.monotonic() + 120
    there = storage(name, runs)
    while len(read_journal(there).of("checkpoint")) < saved:
        assert process.poll() is None, "the run ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started(name: str, how: list[str], caches: Path, runs: str = RUNS) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        raygan("train", *how, "--run-dir", runs, "--name", name), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env={**os.environ, "XDG_CACHE_HOME": str(caches)},
    )  # fmt: skip


def undisturbed(how: list[str], folder: Path) -> dict[str, str]:
    """The final weights of a run on disk that nothing happens to."""
    subprocess.run(
        raygan("train", *how, "--run-dir", str(folder), "--name", "whole"),
        check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    checkpoint, _ = newest_valid(folder / "whole")
    assert checkpoint is not None
    return {p: digest(unpack(raw)) for p, raw in checkpoint.parts.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return undisturbed(INLINE, tmp_path_factory.mktemp("whole"))


@pytest.mark.ray
@pytest.mark.exhaustive
@pytest.mark.parametrize("how", ["inline", "ray"])
def test_killed_and_resumed_elsewhere_it_has_the_bits_of_the_undisturbed_run(
    server: Server, whole: dict[str, str], how: str, tmp_path: Path
) -> None:
    """The second machine has nothing of the first one's disk."""
    name = f"killed-{how}"
    first = started(name, INLINE if how == "inline" else ARGS, tmp_path / "first")
    wait_for(name, first, 3)
    os.kill(first.pid, signal.SIGKILL)
    first.wait(60)
    assert json.loads(storage(name).read("run.json"))["status"] == "running"
    subprocess.run(
        raygan("resume", f"{RUNS}/{name}", "--plain"), check=True, capture_output=True, timeout=300,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "second")},
    )  # fmt: skip
    assert states(name) == whole
    info = json.loads(storage(name).read("run.json"))
    assert (info["status"], info["exit_code"], info["epoch"]) == ("done", 0, 2)
    rows = read_jsonl(find_run(f"{RUNS}/{name}") / "metrics.jsonl")
    told = sorted({r["step"] for r in rows if r["kind"] == "train" and r["player"] == "pair-00"})
    assert told[0] < 150
    assert told[-1] == 400


@pytest.mark.exhaustive
def test_a_second_driver_takes_over_and_the_first_one_ends(
    server: Server, whole: dict[str, str], tmp_path: Path
) -> None:
    first = started("two", INLINE, tmp_path / "first")
    wait_for("two", first)
    info = json.loads(storage("two").read("run.json"))
    storage("two").write("run.json", json.dumps({**info, "host": "another-machine"}).encode())
    subprocess.run(
        raygan("resume", f"{RUNS}/two", "--plain"), check=True, capture_output=True, timeout=300,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "second")},
    )  # fmt: skip
    _, err = first.communicate(timeout=60)
    assert first.returncode == 6
    assert b"was taken over by another process" in err
    assert states("two") == whole
    assert json.loads(storage("two").read("run.json"))["epoch"] == 2
    assert not read_journal(storage("two")).problems


@pytest.mark.exhaustive
def test_a_run_is_stopped_through_the_bucket(server: Server, tmp_path: Path) -> None:
    how = [*INLINE, "--round-steps", "5"]
    how[how.index("--steps") + 1] = "20000"
    first = started("stopped", how, tmp_path / "first")
    wait_for("stopped", first)
    stop = subprocess.run(
        raygan("stop", f"{RUNS}/stopped"), capture_output=True, timeout=200, check=False, text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "second")},
    )  # fmt: skip
    assert stop.returncode == 0, stop.stderr
    first.communicate(timeout=60)
    assert json.loads(storage("stopped").read("run.json"))["status"] == "stopped"

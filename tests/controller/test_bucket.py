"""Disk, memory and a real object server keep the same promises."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygan import object_store as module
from raygan.controller.bucket import BucketStorage, open_bucket
from raygan.controller.checkpoint import (
    Checkpoint,
    go_on_from,
    newest_valid,
    read_checkpoint,
    write_checkpoint,
)
from raygan.controller.checkpoint_index import list_checkpoints, retain
from raygan.controller.history import read_head, read_journal
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage, Storage
from raygan.errors import ConfigError, StaleEpochError
from raygan.object_store import Objects, refuse_unreachable
from tests.buckets import Server, Struck, memory

PARTS = {"pair-00": b"a" * 5000, "global": b"b" * 6000}
SERVED = [
    "server",
    pytest.param("azure", marks=pytest.mark.exhaustive),
    pytest.param("google", marks=pytest.mark.exhaustive),
]


@pytest.fixture(params=["disk", "memory", *SERVED])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "disk":
        return LocalStorage(tmp_path)
    if request.param == "memory":
        return memory()
    there: Server = request.getfixturevalue(request.param)
    return there.storage()


@pytest.fixture(params=SERVED)
def served(request: pytest.FixtureRequest) -> Server:
    """A real object server of each kind."""
    there: Server = request.getfixturevalue(request.param)
    return there


def again(storage: Storage) -> Storage:
    """Another process's."""
    if isinstance(storage, BucketStorage):
        return BucketStorage(Objects(storage.objects.store, storage.objects.address))
    assert isinstance(storage, LocalStorage)
    return LocalStorage(storage.root)


def save(journal: Journal, step: int, keep: int | None = None, **parts: bytes) -> Checkpoint:
    return write_checkpoint(
        journal, Checkpoint(step, {**PARTS, **parts}, dict.fromkeys(PARTS, step)), keep
    )


def test_a_log_is_made_by_one_and_read_by_all(storage: Storage) -> None:
    storage.create("journal/00000001.jsonl")
    with pytest.raises(FileExistsError):
        again(storage).create("journal/00000001.jsonl")
    with pytest.raises(FileExistsError):
        storage.create("journal/00000001.jsonl")
    for line in (b"one\n", b"two\n"):
        storage.append("journal/00000001.jsonl", line)
    other = again(storage)
    other.append("journal/00000001.jsonl", b"three\n")  # found its end by itself
    assert other.read("journal/00000001.jsonl") == b"one\ntwo\nthree\n"
    sizes = (1, 6, 7, 14, 15, 99)
    assert [other.tail("journal/00000001.jsonl", n) for n in sizes] == [
        b"one\ntwo\nthree\n"[-n:] for n in sizes
    ]
    assert other.list("journal") == ["00000001.jsonl"]
    with pytest.raises(FileNotFoundError):
        other.read("journal/00000002.jsonl")
    with pytest.raises(FileNotFoundError):
        other.append("journal/00000002.jsonl", b"never made")


def test_what_is_there_exists_is_listed_and_goes(storage: Storage) -> None:
    assert storage.list("checkpoints") == []
    assert not storage.exists("checkpoints/1")
    place = storage.stage("checkpoints/00000001", 1)
    storage.write(f"{place}/a.safetensors", b"x")
    storage.write(f"{place}/a.safetensors", b"y")
    assert storage.unfinished("checkpoints") == [place.removeprefix("checkpoints/")]
    storage.write(f"{place}/manifest.json", b"{}")
    asked = []
    folder = storage.publish(place, "checkpoints/00000001", lambda: asked.append(1))
    assert asked == [1]
    assert storage.unfinished("checkpoints") == []
    assert folder.startswith("checkpoints/00000001")
    assert storage.list("checkpoints") == [folder.removeprefix("checkpoints/")]
    assert storage.list(folder) == ["a.safetensors", "manifest.json"]
    assert storage.read(f"{folder}/a.safetensors") == b"y"
    assert storage.exists(folder)
    assert storage.exists(f"{folder}/manifest.json")
    with pytest.raises(OSError):
        storage.read(f"{folder}/b.safetensors")
    for _ in range(2):
        storage.remove(folder)
    assert not storage.exists(folder)
    assert storage.list("checkpoints") == []


def test_a_published_folder_is_there_only_if_the_fence_lets_it(storage: Storage) -> None:
    def taken_over() -> None:
        raise StaleEpochError(1, 2)

    place = storage.stage("checkpoints/00000001", 1)
    storage.write(f"{place}/manifest.json", b"{}")
    with pytest.raises(StaleEpochError):
        storage.publish(place, "checkpoints/00000001", taken_over)


def test_runs_are_saved_resumed_and_thinned_out(storage: Storage) -> None:
    journal = Journal.open(storage)
    for step in (4, 8, 12):
        save(journal, step, keep=2, **{"global": bytes([step]) * 9})
        journal.append("swap", step=step)
    assert retain(storage, 2) == [4]
    other = again(storage)
    assert list(list_checkpoints(other)) == [8, 12]
    found, problems = newest_valid(other)
    assert problems == []
    assert found is not None
    assert (found.step, found.parts["global"]) == (12, bytes([12]) * 9)
    taken = Journal.open(other)
    with pytest.raises(StaleEpochError):
        journal.append("swap", step=13)
    go_on_from(taken, found)
    save(taken, 12, keep=2)  # the same step again: the one before stays till this one is recorded
    assert taken.epoch == 2
    assert [r["kind"] for r in read_journal(storage).records][-2:] == ["resume", "checkpoint"]
    assert len([e for e in read_head(storage).index if e.promised]) == 2
    newest, problems = newest_valid(storage)
    assert newest is not None
    assert (problems, newest.parts) == ([], PARTS)


def test_a_damaged_part_and_a_lost_folder_are_told(storage: Storage) -> None:
    journal = Journal.open(storage)
    old, new = save(journal, 4), save(journal, 8)
    assert old.entry is not None
    assert new.entry is not None
    storage.write(f"checkpoints/{new.entry.folder}/global.safetensors", b"other")
    found, problems = newest_valid(again(storage))
    assert found is not None
    assert found.step == 4
    assert "is damaged" in problems[0]
    storage.remove(f"checkpoints/{new.entry.folder}")
    assert "is gone" in newest_valid(again(storage))[1][0]
    storage.remove(f"checkpoints/{old.entry.folder}")
    assert newest_valid(again(storage))[0] is None


def test_a_long_journal_is_read_from_its_end(storage: Storage) -> None:
    journal = Journal.open(storage)
    for step in range(150):
        journal.append("swap", step=step, filler="x" * 600)
    head = read_head(again(storage))
    assert (head.seq, head.sha) == (151, journal.head)
    assert len(read_journal(again(storage)).records) == 151


# --------------------------------------------------------------------------------------------------
# what only a bucket has


def struck(fault: str, at: int, inner: object) -> BucketStorage:
    return BucketStorage(Objects(Struck(inner, fault, at), "memory://run"))


def test_an_append_that_may_have_come_through_is_settled_before_the_next() -> None:
    """The reply is lost, and the store is down when it is asked again; once it is back, what lies
    there is the journal.
    """
    healthy = memory()
    journal = Journal.open(healthy)
    first = journal.append("swap", step=1)
    journal.storage = struck("lost-down", 1, healthy.objects.store)
    journal.storage.logs._ends = {"journal/00000001.jsonl": 3}
    with pytest.raises(OSError, match="no answer"):
        journal.append("swap", step=2)  # look, put (lost), settle (down)
    with pytest.raises(OSError):
        journal.append("swap", step=3)
    strike = journal.storage.objects.store
    strike.at = -1
    journal.append("swap", step=4)
    steps = [r.get("step") for r in read_journal(healthy).records]
    assert steps == [None, 1, 2, 4]
    assert not read_journal(healthy).problems
    assert read_journal(healthy).records[1] == first


def test_an_epoch_whose_reply_is_lost_is_ones_own() -> None:
    healthy = memory()
    storage = struck("lost", 0, healthy.objects.store)
    storage.create("journal/00000001.jsonl")
    storage.append("journal/00000001.jsonl", b"one\n")
    assert healthy.read("journal/00000001.jsonl") == b"one\n"
    with pytest.raises(FileExistsError):
        struck("lost", 0, healthy.objects.store).create("journal/00000001.jsonl")


def test_what_no_list_shows_yet_is_found_by_its_name() -> None:
    storage = memory()
    late = Struck(storage.objects.store, stale=True)  # lists are those of an empty bucket
    journal = Journal.open(storage)
    save(journal, 4)
    second = Journal.open(storage)
    save(second, 8)
    reader = BucketStorage(Objects(late, "memory://run"))
    assert reader.list("journal") == ["00000001.jsonl", "00000002.jsonl"]
    assert read_journal(reader).records == read_journal(storage).records
    found, problems = newest_valid(reader)
    assert found is not None
    assert (found.step, problems) == (8, [])
    third = Journal.open(reader)
    assert third.epoch == 3
    with pytest.raises(StaleEpochError):
        save(second, 9)


def test_a_checkpoint_whose_manifest_is_not_listed_yet_is_not_cleared_away() -> None:
    storage = memory()
    journal = Journal.open(storage)
    first = save(journal, 4).entry
    late = Struck(storage.objects.store, stale=True)
    assert late.old is not None
    late.old = [m for m in late.old if not m["path"].endswith("manifest.json")]
    save(Journal.open(BucketStorage(Objects(late, "memory://run"))), 8)
    found, problems = newest_valid(storage)
    assert found is not None
    assert (found.step, problems) == (8, [])
    assert first is not None
    assert read_checkpoint(storage, 4, first.manifest, first.folder).parts == PARTS


def test_a_late_put_of_a_settled_append_changes_nothing() -> None:
    storage = memory()
    journal = Journal.open(storage)
    name = "journal/00000001.jsonl"
    storage.logs._doubts[name] = b"it never came\n"
    journal.append("swap", step=1)
    assert storage.read(f"{name}/00000002") == b"", "settled: nothing"
    with pytest.raises(FileExistsError):  # and if it comes now
        storage.objects.put_new(f"{name}/00000002", b"it never came\n", b"else")
    assert [r["kind"] for r in read_journal(storage).records] == ["open", "swap"]


def test_a_segment_of_somebody_else_is_not_written_over() -> None:
    storage = memory()
    journal = Journal.open(storage)
    storage.objects.store.put("journal/00000001.jsonl/00000002", b"theirs\n")
    with pytest.raises(FileExistsError, match="somebody else writes"):
        journal.append("swap", step=1)
    assert storage.read("journal/00000001.jsonl/00000002") == b"theirs\n"


def test_a_glance_is_a_request_at_a_pace_and_a_fence_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = memory()
    journal = Journal.open(storage)
    count = Struck(storage.objects.store)
    storage.objects.store = count
    for _ in range(5):
        journal.glance()
    assert count.calls == 1
    for _ in range(3):
        journal.fence()
    assert count.calls == 4


def test_a_glance_at_a_store_that_is_away_is_no_failure_and_a_commit_is() -> None:
    """Telemetry goes on meanwhile; who is fenced off still finds out."""
    storage = memory()
    journal = Journal.open(storage)
    inner = storage.objects.store
    storage.objects.store = Struck(inner, "down", 0)
    journal.glance()
    with pytest.raises(OSError, match="no answer"):
        journal.append("swap", step=1)
    storage.objects.store = inner
    Journal.open(storage)
    journal._looked = -1e9
    for _ in range(2):
        with pytest.raises(StaleEpochError):
            journal.glance()


def test_a_mistake_of_ours_is_not_told_as_the_bucket_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any, **how: Any) -> Any:
        raise TypeError("a mistake")

    store = SimpleNamespace(list=wrong)
    monkeypatch.setattr(module, "open_objects", lambda *args: Objects(store, "s3://b/runs"))
    with pytest.raises(TypeError, match="a mistake"):
        refuse_unreachable("s3://b/runs")
    store.list = lambda *args, **how: iter(())
    refuse_unreachable("s3://b/runs")


def test_of_many_writers_at_once_one_has_the_log(storage: Storage) -> None:
    """The arbiter of epochs: a put that fails where the object exists, however close they are."""
    others = [again(storage) for _ in range(8)]

    def tried(other: Storage, number: int) -> bool:
        try:
            other.create(f"journal/{number:08d}.jsonl")
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(len(others)) as pool:
        for number in range(1, 6):
            won = list(pool.map(tried, others, [number] * len(others)))
            assert won.count(True) == 1, (number, won)
            last = others[won.index(True)]
            last.append(f"journal/{number:08d}.jsonl", b"mine\n")
            assert storage.read(f"journal/{number:08d}.jsonl") == b"mine\n"


def test_no_secret_is_told(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRIES", {"max_retries": 0})
    address = f"{served.scheme}://no-such-bucket/runs"

    def gone(number: int) -> None:
        raise ConnectionResetError

    storage = open_bucket(address)
    with pytest.raises(ConfigError, match=served.absent) as refused:
        refuse_unreachable(address)
    with pytest.raises(OSError) as failed:
        storage.write("a", b"")
    monkeypatch.setattr(served, "before", gone)
    with pytest.raises(OSError, match="no answer") as silent:
        storage.read("a")
    for error in (refused, failed, silent):
        assert not any(secret in str(error.value) for secret in served.secrets)
        assert "\n" not in str(error.value)


KEYS = {
    "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "x",
    "AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_ACCOUNT_KEY": "c2VjcmV0",
    "GOOGLE_BEARER_TOKEN": "secret",
}  # fmt: skip
NO_FILE = {"GOOGLE_BEARER_TOKEN": "", "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json"}
MISTAKES = [
    ("s3", {"AWS_ENDPOINT_URL": "localhost:9000"}, "AWS_ENDPOINT_URL 'localhost:9000' is no addr"),
    ("gs", {"GOOGLE_BASE_URL": "https://"}, "GOOGLE_BASE_URL 'https://' is no address"),
    ("az", {"AZURE_STORAGE_ENDPOINT": "me:secret@here"}, "'...@here' is no address"),
    ("s3", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "is http; https alone .*AWS_ENDPOINT_URL"),
    ("az", {"AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:9/a"}, "is http; https alone"),
    ("s3", {"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is missing"),
    ("az", {"AZURE_STORAGE_ACCOUNT_NAME": ""}, "no account is named"),
    ("az", {"AZURE_STORAGE_ACCOUNT_KEY": "my secret"}, "the key is not what Azure calls one"),
    ("gs", NO_FILE, "the file of its credentials cannot be read"),
    ("s3", {"AWS_ALLOW_HTTP": "secret"}, "is neither"),
]


@pytest.mark.parametrize(("scheme", "changed", "told"), MISTAKES)
def test_a_setting_that_is_wrong_is_told_and_none_of_what_it_holds(
    scheme: str, changed: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in os.environ if n.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, **changed}.items():
        if value:
            monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=told) as refused:
        refuse_unreachable(f"{scheme}://b/runs")
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_without_its_record_is_no_checkpoint() -> None:
    storage = memory()
    journal = Journal.open(storage)
    place = storage.stage("checkpoints/00000004", 1)
    storage.write(f"{place}/manifest.json", json.dumps({"format": 1}).encode())
    assert newest_valid(storage) == (None, [])
    save(journal, 4)
    assert len(storage.list("checkpoints")) == 1, "the orphan of this step is gone"

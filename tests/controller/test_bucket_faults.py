"""A save into a bucket, struck at its n-th request, for every n: it fails, the store is down from
there on, the reply is lost, the process is killed before or after it; with lists that are late, and
with another writer that takes over just there. Nothing is lost, and nothing is said that is not so.
"""

import pytest

from raygan.controller.bucket import BucketStorage
from raygan.controller.checkpoint import Checkpoint, newest_valid, write_checkpoint
from raygan.controller.history import read_journal
from raygan.controller.journal import Journal
from raygan.errors import StaleEpochError
from raygan.object_store import Objects
from tests.buckets import Killed, Server, Struck, memory

PARTS = {"pair-00": b"a" * 5000, "global": b"b" * 6000}
OTHER = {**PARTS, "global": b"c" * 6000}
FAULTS = ["error", "down", "lost", "lost-down", "killed", "killed-after", "retried"]
MANY = 60
"""More requests than a save makes."""
SERVED = [
    pytest.param("server", 1, id="all"),
    pytest.param("server", 4, id="some"),
    pytest.param("azure", 7, id="some-azure"),
    pytest.param("google", 7, id="some-google"),
]
"""A server's fixture, and of how many requests one is struck: of seven each by another fault."""


@pytest.fixture
def there(request: pytest.FixtureRequest, kind: str) -> Server | None:
    """None: in memory."""
    return None if kind == "memory" else request.getfixturevalue(kind)


def begun(there: Server | None) -> BucketStorage:
    """A run with a checkpoint of step 4, and parts of one that was cut short."""
    storage = there.storage() if there else memory()
    journal = Journal.open(storage)
    write_checkpoint(journal, Checkpoint(4, PARTS, {"pair-00": 4, "global": 4}))
    place = storage.stage("checkpoints/00000008", 1)
    storage.write(f"{place}/pair-00.safetensors", b"half")
    return storage


def other(storage: BucketStorage) -> BucketStorage:
    """As another process has it."""
    return BucketStorage(Objects(storage.objects.store, storage.objects.address))


def save(storage: BucketStorage, step: int) -> None:
    journal = Journal.open(storage)
    journal.append("swap", step=step)
    write_checkpoint(journal, Checkpoint(step, OTHER, {"pair-00": step, "global": step}), 1)


def check(storage: BucketStorage, step: int, said: bool, where: object) -> None:
    """What is there is one or the other, whole; what was said to be saved is; the next works."""
    found, problems = newest_valid(other(storage))
    assert problems == [], where
    assert found is not None, where
    new = found.parts == OTHER and found.step == step
    assert new or (found.parts == PARTS and found.step == 4), where
    assert new or not said, f"{where}: it said that it had saved"
    save(other(storage), 12)
    after, problems = newest_valid(other(storage))
    assert problems == [], where
    assert after is not None
    assert after.step == 12, where
    assert not storage.unfinished("checkpoints"), where
    assert not read_journal(other(storage)).problems, where


def strike(
    there: Server | None, fault: str, step: int, stale: bool, tried: range = range(MANY)
) -> int:
    """At each of these requests; returns the first that a save did not come to."""
    for n in tried:
        storage = begun(there)
        store = Struck(storage.objects.store, fault, n, stale)
        said = True
        try:
            save(BucketStorage(Objects(store, storage.objects.address)), step)
        except (OSError, Killed, StaleEpochError):
            said = False
        assert said or fault != "retried", n
        check(storage, step, said, (storage.objects.address, fault, step, stale, n))
        if not store.struck:
            assert said
            return n
    raise AssertionError(f"more than {MANY} requests")


@pytest.mark.parametrize("stale", [False, True], ids=["lists", "late-lists"])
@pytest.mark.parametrize("step", [8, 4])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_save_that_is_struck_at_any_request_loses_nothing(
    fault: str, step: int, stale: bool
) -> None:
    assert strike(None, fault, step, stale) >= 18


@pytest.mark.exhaustive
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("kind", "every"), SERVED)
def test_the_same_on_a_real_server(there: Server, every: int, fault: str) -> None:
    """In memory each request is struck by each fault; here each fault begins at another."""
    tried = range(FAULTS.index(fault) % every, MANY, every)
    assert strike(there, fault, 8, stale=False, tried=tried) >= 18


@pytest.mark.exhaustive
@pytest.mark.parametrize("lost", [False, True], ids=["unheard", "lost-reply"])
@pytest.mark.parametrize(("kind", "every"), SERVED)
def test_a_connection_that_breaks_at_any_request_loses_nothing(
    there: Server, every: int, lost: bool
) -> None:
    """The server itself hangs up, before or after it has carried a request out."""
    for n in range(2 * lost % every, MANY, every):
        storage, first = begun(there), there.requests + 1 + n
        hit = []

        def hang_up(number: int, first: int = first, hit: list[int] = hit) -> None:
            if number == first:
                hit.append(number)
                raise ConnectionResetError

        setattr(there, "after" if lost else "before", hang_up)
        said = True
        try:
            save(other(storage), 8)
        except OSError:
            said = False
        finally:
            there.before = there.after = lambda number: None
        check(storage, 8, said, (lost, n))
        if not hit:
            assert said
            assert n >= 18
            return
    raise AssertionError(f"more than {MANY} requests")


@pytest.mark.parametrize("stale", [False, True], ids=["lists", "late-lists"])
@pytest.mark.parametrize(
    ("kind", "every"),
    [
        ("memory", 1),
        *(
            pytest.param(*case.values, marks=pytest.mark.exhaustive, id=f"{case.id}-server")
            for case in SERVED
        ),
    ],
)
def test_another_writer_takes_over_at_any_request(
    there: Server | None, every: int, stale: bool
) -> None:
    """It resumes and saves the same step while the first one is at it: what it commits stays."""
    fenced = 0
    for n in range(2 * stale % every, MANY, every):
        storage = begun(there)
        store = Struck(storage.objects.store, stale=stale)
        theirs = {**PARTS, "global": b"d" * 6000}

        def take_over(
            number: int,
            n: int = n,
            storage: BucketStorage = storage,
            theirs: dict[str, bytes] = theirs,
        ) -> None:
            if number == n:
                journal = Journal.open(other(storage))
                write_checkpoint(journal, Checkpoint(8, theirs, {"pair-00": 8, "global": 8}), 1)

        store.between = take_over
        said = True
        try:
            save(BucketStorage(Objects(store, storage.objects.address)), 8)
        except StaleEpochError:
            said = False
        found, problems = newest_valid(other(storage))
        assert problems == [], n
        assert found is not None
        assert not read_journal(other(storage)).problems, n
        assert found.parts == theirs or (said and found.parts == OTHER), n
        fenced += not said
        if store.calls <= n:
            assert said
            assert fenced >= 10 // every
            return
    raise AssertionError(f"more than {MANY} requests")

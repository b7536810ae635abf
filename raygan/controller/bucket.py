"""A run's journal and checkpoints in an object store (S3, Google Cloud, Azure), through obstore.

    journal/00000001.jsonl/00000000          made by one writer alone (conditional put): the epoch is its own
    journal/00000001.jsonl/00000001 ...      what was appended, an object each, conditional too
    checkpoints/00000500.3f2a9c1b04de/...    parts, the manifest last; the name is of this attempt alone

A store has no rename, no append and no fsync. It has a put that is atomic and durable on return,
and one that fails where the object exists: on that all rests. What a list does not show yet is asked
for by its name, since numbers have no gaps. A reply may be lost: then what lies there is read.
"""

from __future__ import annotations

import contextlib
import errno
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from raygan.controller.storage import Landed
from raygan.errors import ConfigError
from raygan.paths import split_address

LOG = ".jsonl"
"""What ends so is appended to."""
NUMBERED = re.compile(r"([0-9]{8})\.jsonl")
AT_ONCE = 16
"""Objects that are read at once."""
LOOK_S = 2.0
RETRIES = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}


class BucketStorage:
    """`Storage` below a prefix of a bucket."""

    look_s = LOOK_S
    """Each look is a request."""

    def __init__(self, store: Any, address: str) -> None:
        """store: one of obstore's. address: as users write it; only shown."""
        self.store = store
        self.address = address
        self._ends: dict[str, int] = {}
        """Log -> the number of its next segment."""
        self._doubts: dict[str, bytes] = {}
        """Log -> what was to be its next segment; nobody knows whether it is."""

    # -------------------------------------------------------------------------------------------------
    # logs: numbered segments

    def create(self, name: str) -> None:
        """The store is the arbiter; whose object it is tells a token in it."""
        first, token = _segment(name, 0), uuid.uuid4().hex.encode()
        if not self._put_new(first, token):
            raise FileExistsError(errno.EEXIST, "exists", self._shown(name))
        self._ends[name] = 1

    def append(self, name: str, raw: bytes) -> None:
        """One object more. A put that may or may not have come through is settled by another one,
        empty, of the same name: one of the two is there for good.
        """
        end = self._ends[name] if name in self._ends else self._segments(name)[-1] + 1
        if name in self._doubts:
            landed = not self._put_new(_segment(name, end), b"", self._doubts[name])
            self._ends[name] = end = end + 1
            doubted = self._doubts.pop(name)
            if landed:
                raise Landed(doubted, self._shown(name))
        self._ends[name] = end
        self._doubts[name] = raw
        try:
            mine = self._put_new(_segment(name, end), raw)
        except OSError:
            with contextlib.suppress(OSError):
                landed = not self._put_new(_segment(name, end), b"", raw)
                self._ends[name] = end + 1
                del self._doubts[name]
                if landed:
                    return
            raise
        del self._doubts[name]
        if not mine:
            raise FileExistsError(
                errno.EEXIST, "somebody else writes this log", self._shown(_segment(name, end))
            )
        self._ends[name] = end + 1

    def tail(self, name: str, size: int) -> bytes:
        """Of as many segments as it takes."""
        out = b""
        numbers = self._segments(name)[1:]
        while numbers and len(out) < size:
            some, numbers = numbers[-AT_ONCE * 4 :], numbers[: -AT_ONCE * 4]
            out = b"".join(self._all(name, some)) + out
        return out[-size:]

    def _segments(self, name: str) -> Sequence[int]:
        """0 and the numbers that follow it. Raises FileNotFoundError."""
        there = [int(last) for last in self._names(name) if last.isdigit()]
        last = max(there, default=-1)
        while self._there(_segment(name, last + 1)):
            last += 1
        if last < 0:
            raise FileNotFoundError(errno.ENOENT, "is not there", self._shown(name))
        return range(last + 1)

    def _all(self, name: str, numbers: Sequence[int]) -> Iterator[bytes]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(lambda n: self._get(_segment(name, n)), numbers)

    # -------------------------------------------------------------------------------------------------
    # whole objects

    def write(self, name: str, raw: bytes) -> None:
        """All of it or none, durable with its name."""
        with self._told(name):
            self.store.put(name, raw)

    def read(self, name: str) -> bytes:
        """An object, or a log from its begin."""
        return (
            b"".join(self._all(name, self._segments(name)[1:]))
            if name.endswith(LOG)
            else self._get(name)
        )

    def exists(self, name: str) -> bool:
        """Asked by name; of a folder by its manifest, since a list may come late."""
        if name.endswith(LOG):
            return self._there(_segment(name, 0))
        return self._there(name) or self._there(f"{name}/manifest.json") or bool(self._names(name))

    def list(self, folder: str) -> list[str]:
        """What the store lists, and the numbered logs that it does not list yet."""
        names = set(self._names(folder))
        found = [int(m[1]) for n in names if (m := NUMBERED.fullmatch(n))]
        if found or folder == "journal":
            last = max(found, default=0)
            for number in sorted({*range(1, last)} - {*found}):
                if self.exists(f"{folder}/{number:08d}{LOG}"):
                    names.add(f"{number:08d}{LOG}")
            while self.exists(f"{folder}/{last + 1:08d}{LOG}"):
                last += 1
                names.add(f"{last:08d}{LOG}")
        return sorted(names)

    def below(self, folder: str) -> dict[str, tuple[str, int]]:
        """name -> (version, bytes) of all objects below a folder, as the store lists them."""
        with self._told(folder):
            return {
                meta["path"]: (str(meta["e_tag"] or meta["last_modified"]), int(meta["size"]))
                for page in self.store.list(_plain(folder) or None, chunk_size=1000)
                for meta in page
            }

    def versions(self, name: str) -> dict[str, tuple[str, int]]:
        """`below`, of one object."""
        with self._told(name):
            meta = self.store.head(name)
        return {name: (str(meta["e_tag"] or meta["last_modified"]), int(meta["size"]))}

    def remove(self, name: str) -> None:
        """An object, or all below a folder; a checkpoint's manifest first, so that no half of it
        looks whole.
        """
        names = sorted(self.below(name), key=lambda n: not n.endswith("manifest.json"))
        for each in [*names, name]:
            with self._told(each), contextlib.suppress(FileNotFoundError):
                self.store.delete(each)

    # -------------------------------------------------------------------------------------------------
    # folders that are there as a whole

    def stage(self, folder: str, by: int) -> str:
        """A name that no other attempt has: what an older writer still sends goes elsewhere."""
        return f"{folder}.{uuid.uuid4().hex[:12]}"

    def publish(self, place: str, folder: str, fence: Callable[[], None]) -> str:
        """Its manifest, which was written last, has done that."""
        fence()
        return place

    def unfinished(self, folder: str) -> Sequence[str]:
        """Folders without a manifest, as far as the store lists it."""
        inside = [n.removeprefix(f"{folder}/").split("/") for n in self.below(folder)]
        whole = {path[0] for path in inside if path[-1] == "manifest.json"}
        return sorted({path[0] for path in inside if len(path) > 1} - whole)

    # -------------------------------------------------------------------------------------------------
    # requests

    def _put_new(self, name: str, raw: bytes, other: bytes | None = None) -> bool:
        """Put it where there is nothing; is it there now? Where a reply was lost, what lies there
        tells. other: what else it may be; anything but these two raises FileExistsError.
        """
        try:
            with self._told(name):
                self.store.put(name, raw, mode="create", use_multipart=False)
            return True
        except FileExistsError:
            found = self._get(name)
            if found == raw:
                return True
            if other is not None and found != other:
                raise
            return False

    def _get(self, name: str) -> bytes:
        with self._told(name):
            return bytes(self.store.get(name).bytes())

    def _there(self, name: str) -> bool:
        try:
            with self._told(name):
                self.store.head(name)
        except FileNotFoundError:
            return False
        return True

    def _names(self, folder: str) -> Sequence[str]:
        prefix = _plain(folder)
        with self._told(folder):
            found = self.store.list_with_delimiter(prefix or None)
        names = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
        return [n.rstrip("/").rpartition("/")[2] for n in names if n.rstrip("/") != prefix]

    def _shown(self, name: str) -> str:
        return f"{self.address}/{name}"

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """obstore's errors as OSError, in few words: a store's own say which keys were used."""
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "is not there", self._shown(name)) from None
        except Exception as error:
            kind = type(error).__name__
            if not type(error).__module__.startswith("obstore"):
                raise
            if kind == "AlreadyExistsError":
                raise FileExistsError(errno.EEXIST, "exists", self._shown(name)) from None
            number = errno.EACCES if kind in REFUSED else errno.EIO
            raise OSError(number, _reason(kind, str(error)), self._shown(name)) from None


REFUSED = ("PermissionDeniedError", "UnauthenticatedError")


def _segment(name: str, number: int) -> str:
    return f"{name}/{number:08d}"


def _plain(folder: str) -> str:
    return "" if folder == "." else folder


def _reason(kind: str, text: str) -> str:
    """A store's code or HTTP's, never its text: that names keys, and what was signed."""
    code = re.search(r"<Code>(\w+)</Code>", text) or re.search(
        r"status code: (\d+ [A-Za-z ]+)", text
    )
    if "169.254.169.254" in text or "metadata.google" in text:
        return "no credentials"
    return code[1].strip() if code else "no answer" if "HTTP error" in text else kind


def open_bucket(address: str) -> BucketStorage:
    """Of `s3://bucket/prefix`, gs:// and az://container/prefix; credentials and endpoint are what
    AWS_*, GOOGLE_* and AZURE_* say. Raises ConfigError without the library, or where these are wrong.
    """
    scheme, bucket, prefix = split_address(address)
    try:
        from obstore import store as stores
        from obstore.exceptions import BaseError
    except ImportError:
        raise ConfigError(
            f"{address}: a run in a bucket needs obstore: pip install 'raygan[bucket]'"
        ) from None
    make: Callable[..., Any] = {
        "s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore,
    }[scheme]  # fmt: skip
    try:
        store = make(bucket, prefix=prefix or None, retry_config=RETRIES)
    except BaseError as error:
        raise ConfigError(
            f"{address}: {_reason('its settings are wrong', str(error))}. Set {SETTINGS[scheme]}."
        ) from None
    return BucketStorage(store, address)


SETTINGS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION (and AWS_ENDPOINT_URL of another store)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY",
}
"""What a store's credentials are called, as the library reads them."""


def refuse_unreachable(storage: BucketStorage) -> None:
    """Raises ConfigError, one line, where the bucket does not answer or does not let this user in."""
    try:
        next(iter(storage.store.list(None, chunk_size=1)), None)
    except Exception as error:
        scheme = storage.address.partition(":")[0]
        why = _reason(type(error).__name__, str(error))
        raise ConfigError(
            f"{storage.address}: the bucket cannot be used ({why}). Is it there, and may you? Set"
            f" {SETTINGS.get(scheme, 'its credentials')}."
        ) from None

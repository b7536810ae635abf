"""Requests to an object store, through obstore: few kinds, each all or nothing, with errors that
are OSError and tell no secret.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from raygan.errors import ConfigError
from raygan.paths import split_address

RETRIES = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}
HASTY = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}
"""For the first question: somebody waits at the command line."""
SETTINGS = {
    "s3": (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION (and AWS_ENDPOINT_URL of another"
        " store)"
    ),
    "gs": "GOOGLE_APPLICATION_CREDENTIALS (and GOOGLE_BASE_URL of another store)",
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY (and AZURE_STORAGE_ENDPOINT of"
        " another store)"
    ),
}
"""What a store's credentials are called, as the library reads them."""
ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""What the address of another store is called."""
WRONG = {
    "Account must be specified": "no account is named",
    "Invalid Access Key": "the key is not what Azure calls one",
    "Missing SecretAccessKey": "AWS_SECRET_ACCESS_KEY is missing",
    "Missing AccessKeyId": "AWS_ACCESS_KEY_ID is missing",
    "SAS": "the SAS token is not whole",
    "Unable to open service account file": "the file of its credentials cannot be read",
    "Unable to decode service account file": "the file of its credentials holds none",
    "as boolean": "one that is true or false is neither",
    "builder error": "its address is http; https alone is allowed unless ..._ALLOW_HTTP=true",
}
"""What the library complains of in its settings -> what is said of it: none of what they hold."""


class Objects:
    """Below a prefix of a bucket; every method may raise OSError."""

    def __init__(self, store: Any, address: str) -> None:
        """store: one of obstore's. address: as users write it; only shown."""
        self.store = store
        self.address = address

    def put(self, name: str, raw: bytes) -> None:
        """All of it or none, durable with its name."""
        with self._told(name):
            self.store.put(name, raw)

    def delete(self, name: str) -> None:
        """Nothing happens where there is none."""
        with self._told(name), contextlib.suppress(FileNotFoundError):
            self.store.delete(name)

    def put_new(self, name: str, raw: bytes, other: bytes | None = None) -> bool:
        """Put it where there is nothing; is it there now? Where a reply was lost, what lies there
        tells. other: what else it may be; anything but these two raises FileExistsError.
        """
        try:
            with self._told(name):
                # in one request: the condition is the put's own
                self.store.put(name, raw, mode="create", use_multipart=False)
            return True
        except FileExistsError:
            # a retry of the library may have met its own first try, whose reply was lost
            found = self.get(name)
            if found == raw:
                return True
            if other is not None and found != other:
                raise
            return False

    def get(self, name: str) -> bytes:
        """Its content. Raises FileNotFoundError."""
        with self._told(name):
            return bytes(self.store.get(name).bytes())

    def there(self, name: str) -> bool:
        """Is there an object of exactly this name?"""
        try:
            with self._told(name):
                self.store.head(name)
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, as the store lists it."""
        prefix = _plain(folder)
        with self._told(folder):
            found = self.store.list_with_delimiter(prefix or None)
        names = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
        return [n.rstrip("/").rpartition("/")[2] for n in names if n.rstrip("/") != prefix]

    def below(self, folder: str) -> dict[str, tuple[str, int]]:
        """name -> (version, bytes) of all objects below a folder, as the store lists them."""
        with self._told(folder):
            return {
                meta["path"]: _facts(meta)
                for page in self.store.list(_plain(folder) or None, chunk_size=1000)
                for meta in page
            }

    def versions(self, name: str) -> dict[str, tuple[str, int]]:
        """`below`, of one object."""
        with self._told(name):
            meta = self.store.head(name)
        return {name: _facts(meta)}

    def shown(self, name: str) -> str:
        """Its address."""
        return f"{self.address}/{name}"

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """obstore's errors as OSError, in few words: a store's own say which keys were used."""
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "is not there", self.shown(name)) from None
        except Exception as error:
            kind = type(error).__name__
            if not type(error).__module__.startswith("obstore"):
                raise
            if kind == "AlreadyExistsError":
                raise FileExistsError(errno.EEXIST, "exists", self.shown(name)) from None
            number = errno.EACCES if kind in REFUSED else errno.EIO
            raise OSError(number, _reason(kind, str(error)), self.shown(name)) from None


REFUSED = ("PermissionDeniedError", "UnauthenticatedError")


def _facts(meta: Any) -> tuple[str, int]:
    """(version, bytes)."""
    return str(meta["e_tag"] or meta["last_modified"]), int(meta["size"])


def _plain(folder: str) -> str:
    return "" if folder == "." else folder


def _reason(kind: str, text: str) -> str:
    """A store's code or HTTP's, never its text: that names keys, and what was signed."""
    code = re.search(r"<Code>(\w+)</Code>", text) or re.search(
        r"status code: (\d+ [A-Za-z ]+)", text
    )
    if "169.254.169.254" in text or "metadata.google" in text:
        return "no credentials"
    for theirs, ours in WRONG.items():
        if theirs in text:
            return ours
    return code[1].strip() if code else "no answer" if "HTTP error" in text else kind


def _plainly(endpoint: str) -> str:
    """Without a password."""
    return re.sub(r"[^/]*@", "...@", endpoint)


def open_objects(address: str, retries: dict[str, Any] | None = None) -> Objects:
    """Of `s3://bucket/prefix`, gs:// and az://container/prefix; credentials and endpoint are what
    AWS_*, GOOGLE_* and AZURE_* say. Raises ConfigError without the library,
    or where these are wrong.
    """
    scheme, bucket, prefix = split_address(address)
    try:
        from obstore import store as stores
        from obstore.exceptions import BaseError
    except ImportError:
        raise ConfigError(
            f"{address}: a run in a bucket needs obstore: pip install 'raygan[bucket]'"
        ) from None
    for variable in ENDPOINTS[scheme]:
        # the library goes down with a panic, not an error, where it is none
        found = os.environ.get(variable)
        if found is not None and not re.match(r"https?://[^/\s]", found):
            raise ConfigError(
                f"{address}: {variable} {_plainly(found)!r} is no address. Write https://HOST or"
                " http://HOST:PORT."
            )
    make: Callable[..., Any] = {
        "s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore,
    }[scheme]  # fmt: skip
    try:
        store = make(bucket, prefix=prefix or None, retry_config=retries or RETRIES)
    except BaseError as error:
        raise ConfigError(
            f"{address}: {_reason('its settings are wrong', str(error))}. Set {SETTINGS[scheme]}."
        ) from None
    return Objects(store, address)


def refuse_unreachable(address: str) -> None:
    """Raises ConfigError, one line, where the bucket does not answer or let this user in."""
    objects = open_objects(address, HASTY)
    from obstore.exceptions import BaseError

    try:
        next(iter(objects.store.list(None, chunk_size=1)), None)
    except (BaseError, OSError) as error:
        # the store's and the network's errors: a mistake of ours is not told as the bucket's
        scheme = objects.address.partition(":")[0]
        why = _reason(type(error).__name__, str(error))
        raise ConfigError(
            f"{objects.address}: the bucket cannot be used ({why}). Is it there, and may you? Set"
            f" {SETTINGS.get(scheme, 'its credentials')}."
        ) from None

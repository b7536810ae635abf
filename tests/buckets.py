"""Real object servers on this machine, and stores that fail at the n-th request."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from obstore.exceptions import GenericError
from obstore.store import MemoryStore, S3Store
from werkzeug.serving import WSGIRequestHandler, make_server

from raygan.controller.bucket import BucketStorage
from raygan.object_store import Objects

BUCKET = "raygan-test"
CANARY = "canary-of-a-secret-key"
_NUMBER = itertools.count()


class Killed(BaseException):
    """The process is gone: no handler of ours may see it."""


class Quiet(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Nothing."""


class Server:
    """A server over HTTP, a WSGI application. `before`, `after`: called at each request, with its
    number; what they raise closes the connection without a reply (`after`: once the request was
    carried out). It has one bucket.
    """

    scheme: str
    made: type[Any]
    """The library's store of this kind."""
    secrets = (CANARY,)
    """What nothing may show."""
    absent = "NoSuchBucket"
    """What it says of a bucket that is not there."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self.requests = 0
        self.before: Callable[[int], None] = lambda n: None
        self.after: Callable[[int], None] = lambda n: None
        self.http = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.http.server_port}"
        self.env: dict[str, str] = {}
        """Leads a user here."""

    def storage(self) -> BucketStorage:
        """A new prefix of its bucket; without retries, so that each fault is felt."""
        store = self.made(BUCKET, prefix=f"run-{next(_NUMBER)}", retry_config={"max_retries": 0})
        return BucketStorage(Objects(store, f"{self.scheme}://run"))

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        """A request of the tests' own."""
        link = http.client.HTTPConnection("127.0.0.1", self.http.server_port)
        link.request(method, path, body, headers)
        answer = link.getresponse()
        assert answer.status in (200, 201), answer.read()
        link.close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        self.requests += 1
        number = self.requests
        try:
            self.before(number)
            body = list(self.app(environ, start))
            self.after(number)
        except ConnectionError:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise
        return body

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Moto(Server):
    """moto's S3."""

    scheme, made = "s3", S3Store

    def __init__(self) -> None:
        super().__init__(DomainDispatcherApplication(create_backend_app))
        self.env = {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": CANARY,
        }  # fmt: skip
        self.ask("PUT", f"/{BUCKET}")


def memory() -> BucketStorage:
    return BucketStorage(Objects(MemoryStore(), "memory://run"))


class Struck:
    """A store that is struck at its n-th request.

    error: it fails, once | down: so do all that follow | lost: it is carried out, and fails
    lost-down: the same, and all that follow fail | killed, killed-after: before or after it the
    process is gone | retried: it is carried out twice. stale:
    lists show what there was in the beginning.
    """

    def __init__(self, inner: Any, fault: str = "", at: int = -1, stale: bool = False) -> None:
        self.inner, self.fault, self.at = inner, fault, at
        self.calls = 0
        self.between: Callable[[int], None] = lambda n: None
        self.old = self._all() if stale else None

    @property
    def struck(self) -> bool:
        return self.calls > self.at >= 0

    def _all(self) -> list[Any]:
        return [meta for page in self.inner.list(None) for meta in page]

    def _do(self, what: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        self.between(number)
        if number == self.at and self.fault == "killed":
            raise Killed
        hit = number == self.at or (number > self.at >= 0 and self.fault.endswith("down"))
        if hit and (number > self.at or self.fault in ("error", "down")):
            raise GenericError("HTTP error")
        out = what()
        if hit and self.fault == "retried":  # the library has lost the reply, and asks again
            out = what()
        if hit and self.fault.startswith("lost"):
            raise GenericError("HTTP error")
        if hit and self.fault == "killed-after":
            raise Killed
        return out

    def put(self, *args: Any, **kwargs: Any) -> Any:
        return self._do(lambda: self.inner.put(*args, **kwargs))

    def get(self, *args: Any) -> Any:
        return self._do(lambda: self.inner.get(*args))

    def head(self, *args: Any) -> Any:
        return self._do(lambda: self.inner.head(*args))

    def delete(self, *args: Any) -> Any:
        return self._do(lambda: self.inner.delete(*args))

    def list(self, prefix: str | None = None, **kwargs: Any) -> Iterator[Any]:
        def look() -> Any:
            if self.old is None:
                return list(self.inner.list(prefix, **kwargs))
            return [[m for m in self.old if not prefix or m["path"].startswith(f"{prefix}/")]]

        return iter(self._do(look))

    def list_with_delimiter(self, prefix: str | None = None) -> Any:
        def look() -> Any:
            if self.old is None:
                return self.inner.list_with_delimiter(prefix)
            head = f"{prefix}/" if prefix else ""
            rest = [m for m in self.old if m["path"].startswith(head)]
            split = [(m, m["path"].removeprefix(head).split("/")) for m in rest]
            folders = sorted({f"{head}{path[0]}" for _, path in split if len(path) > 1})
            return {
                "common_prefixes": folders,
                "objects": [m for m, path in split if len(path) == 1],
            }

        return self._do(look)

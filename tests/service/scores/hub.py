"""A stub of the Hub's API, as huggingface_hub speaks it: repositories in memory, with commits."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(ThreadingHTTPServer):
    """Its repositories, and what was asked of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sha(self, repo: str) -> str:
        """Of what it holds now."""
        files = sorted(self.repos[repo].items())
        return hashlib.sha1(repr(files).encode()).hexdigest()


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def _json(self, facts: object, status: int = 200, **headers: str) -> None:
        self._raw(
            json.dumps(facts).encode(), status, {"Content-Type": "application/json", **headers}
        )

    def _raw(self, raw: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def do_POST(self) -> None:
        """Make a repository, ask how to upload, commit."""
        self.server.asked.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self._json({"error": "Invalid credentials"}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            self.server.repos.setdefault(repo, {})
            self.server.private[repo] = asked.get("visibility") == "private" or bool(
                asked.get("private")
            )
            return self._json({"url": f"{self.server.url}/{repo}", "id": repo})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
        assert found is not None, self.path
        if found[2] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for f in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        for line in body.splitlines():
            part = json.loads(line)
            if part["key"] == "file":
                value = part["value"]
                self.server.repos[found[1]][value["path"]] = base64.b64decode(value["content"])
        url = f"{self.server.url}/{found[1]}/commit/{self.server.sha(found[1])}"
        return self._json(
            {"success": True, "commitOid": self.server.sha(found[1]), "commitUrl": url}
        )

    def do_GET(self) -> None:
        """What a repository holds, and its files."""
        self.server.asked.append(f"{self.command} {self.path}")
        found = re.fullmatch(
            r"/api/models/([^/]+/[^/]+?)(/revision/main|/tree/.*)?(\?.*)?", self.path
        )
        if found is not None:
            return self._info(found[1], (found[2] or "").startswith("/tree"))
        wanted = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)(\?.*)?", self.path)
        assert wanted is not None, self.path
        raw = self.server.repos[wanted[1]][wanted[3]]
        etag = hashlib.sha1(raw).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": wanted[2], "Content-Type": "text/plain"}
        return self._raw(raw, 200, headers)

    do_HEAD = do_GET  # noqa: N815

    def _info(self, repo: str, tree: bool) -> None:
        if repo not in self.server.repos:
            return self._json({"error": "not found"}, 404, **{"X-Error-Code": "RepoNotFound"})
        files = self.server.repos[repo]
        if tree:
            return self._json([
                {"type": "file", "path": p, "size": len(raw), "oid": hashlib.sha1(raw).hexdigest()}
                for p, raw in files.items()
            ])  # fmt: skip
        siblings = [{"rfilename": path} for path in files]
        return self._json({"id": repo, "modelId": repo, "sha": self.server.sha(repo),
                           "siblings": siblings, "private": False, "tags": [], "downloads": 0,
                           "likes": 0})  # fmt: skip


@contextmanager
def serving() -> Iterator[Hub]:
    """While the block runs."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()

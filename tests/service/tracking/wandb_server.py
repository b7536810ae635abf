"""Enough of W&B's server for a run to begin, log, finish and be gone on with, in this process.

What it answers is what the client of the pinned version asks for; what it does not know it answers
with nothing. `WANDB_BASE_URL` points the client here.
"""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY, PROJECT = "someone", "raygan"


@dataclass
class Bucket:
    """A run, as the server keeps it."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    group: str = ""
    lines: dict[str, list[str]] = field(default_factory=dict)
    """Name of a stream (wandb-history.jsonl) -> its lines."""
    files: dict[str, bytes] = field(default_factory=dict)
    ended: int | None = None
    """The exit code of its last life."""

    def rows(self) -> list[dict[str, Any]]:
        """Its history."""
        return [json.loads(line) for line in self.lines.get("wandb-history.jsonl", [])]

    def answer(self) -> dict[str, Any]:
        """What GraphQL says of it."""
        history = self.lines.get("wandb-history.jsonl", [])
        entity = {"id": "e", "name": ENTITY}
        return {
            "id": f"id-{self.name}", "name": self.name, "displayName": self.name,
            "description": "", "sweepName": None, "notes": "", "tags": sorted(self.tags),
            "project": {"id": "p", "name": PROJECT, "entity": entity},
            "config": json.dumps(self.config), "summaryMetrics": "{}", "logLineCount": 0,
            "historyLineCount": len(history), "eventsLineCount": 0, "eventsTail": "[]",
            "historyTail": json.dumps(history[-1:]), "wandbConfig": json.dumps({"t": 1}),
        }  # fmt: skip


class WandbServer(ThreadingHTTPServer):
    """Listens on a port of its own; `runs` has what it was told."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.runs: dict[str, Bucket] = {}
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """For WANDB_BASE_URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no news."""

    def close(self) -> None:
        """Nobody answers there from now on."""
        self.shutdown()
        self.server_close()

    def asked(self, name: str, facts: dict[str, Any]) -> dict[str, Any]:
        """The answer to a GraphQL operation."""
        if name == "Viewer":
            viewer = {"id": "v", "entity": ENTITY, "username": ENTITY, "flags": "{}"}
            return {"viewer": {**viewer, "email": "", "teams": {"edges": []}}}
        if name == "RunResumeStatus":
            known = self.runs.get(facts["name"])
            entity = {"id": "e", "name": ENTITY}
            model = {"id": "p", "name": facts["project"], "entity": entity}
            return {"model": {**model, "bucket": known and known.answer()}}
        if name == "UpsertBucket":
            new = facts["name"] not in self.runs
            run = self.runs.setdefault(facts["name"], Bucket(facts["name"]))
            run.config |= json.loads(facts["config"] or "{}")
            run.tags |= set(facts["tags"] or ())
            run.group = facts["groupName"] or run.group
            return {"upsertBucket": {"bucket": run.answer(), "inserted": new}}
        if name == "CreateRunFiles":
            where = f"{self.url}/upload/{facts['run']}"
            files = [{"name": f, "uploadUrl": f"{where}/{f}"} for f in facts["files"]]
            made = {"runID": f"id-{facts['run']}", "uploadHeaders": [], "files": files}
            return {"createRunFiles": made}
        return {}

    def streamed(self, name: str, told: dict[str, Any]) -> None:
        """Lines of a run's streams, each from its offset."""
        run = self.runs[name]
        for stream, part in (told.get("files") or {}).items():
            lines = run.lines.setdefault(stream, [])
            lines[part["offset"] :] = part["content"]
        if told.get("complete"):
            run.ended = told["exitcode"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WandbServer

    def log_message(self, *facts: Any) -> None:
        """Says nothing."""

    def _body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _say(self, answer: Any) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_POST(self) -> None:
        raw = self._body()
        if self.path == "/graphql":
            asked = json.loads(raw)
            facts = asked.get("variables", {})
            self._say({"data": self.server.asked(asked["operationName"], facts)})
            return
        if self.path.endswith("/file_stream"):
            self.server.streamed(self.path.split("/")[-2], json.loads(raw))
        self._say({})

    def do_PUT(self) -> None:
        name, _, file = self.path.removeprefix("/upload/").partition("/")
        self.server.runs[name].files[file] = self._body()
        self._say({})

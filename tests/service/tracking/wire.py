"""A wire to a server that can be cut: what was reached through it refuses, or never answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any


class Wire:
    """Listens on a port of its own and passes on to `port`, while `mode` is "passes".

    "hangs": connections are taken, and nothing is answered, not on those that are open either.
    "refuses": each is ended at once, as one to a server that is dead.
    """

    def __init__(self, port: int = 0, mode: str = "passes") -> None:
        self.port, self.mode = port, mode
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        """For a client."""
        self._open: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.mode == "refuses":
                    client.close()
                    continue
                self._open.append(client)
                if self.mode != "passes":
                    continue
                server = socket.create_connection(("127.0.0.1", self.port))
                self._open.append(server)
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: Any, target: Any) -> None:
        with contextlib.suppress(OSError):
            while raw := source.recv(65536):
                if self.mode == "refuses":
                    break
                if self.mode == "passes":
                    target.sendall(raw)
            target.shutdown(socket.SHUT_WR)

"""Who may look at a live page: whoever was given its address, from a browser that talks to this
server and to no other.

http://HOST:PORT/?token=T  --once-->  http://HOST:PORT/FOLDER/
                                      + cookie (HttpOnly, SameSite=Strict, Path=/FOLDER/)

Cookies know no ports: one of Path=/ would go to every server on that host name, and two pages would
overwrite each other's. So the page lies in a folder whose name only its reader knows, the cookie is
for that folder alone, and has a name of its own.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import secrets
import socket
from typing import Any

from aiohttp import web

from raygan.errors import ConfigError

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; connect-src"
        " 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
LOCAL = ("127.0.0.1", "localhost", "::1")
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+))(?::\d+)?")
OWN = ("", "none", "same-origin")
"""Sec-Fetch-Site of a request that no other page has made; "" from what is no browser, or an old
one.
"""


def in_address(host: str) -> str:
    """As an address has it.

    >>> in_address("::1"), in_address("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


def port_taken(host: str, port: int, error: OSError) -> ConfigError:
    """What is told where nobody can listen."""
    return ConfigError(
        f"--port {port}: cannot listen on {host} ({error.strerror}). Choose another --port."
    )


class Door:
    """Of one page, for as long as it is served."""

    def __init__(self, host: str = LOCAL[0]) -> None:
        self.token = secrets.token_urlsafe(24)
        """In the printed address only; the browser keeps `session` instead."""
        self.session = secrets.token_urlsafe(24)
        self.folder = f"/{secrets.token_urlsafe(12)}"
        self.cookie = f"raygan-{secrets.token_hex(6)}"
        self.names = (
            {*LOCAL} if host in LOCAL else {*LOCAL, host, socket.gethostname(), socket.getfqdn()}
        )

    def logger(self) -> logging.Logger:
        """The server's own, less our secrets: it quotes what it could not read, the token in it
        included.
        """
        out = logging.Logger(__name__)
        out.parent = logging.getLogger()
        out.addFilter(self._redact)
        return out

    def _redact(self, record: logging.LogRecord) -> bool:
        record.exc_text = (
            logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        )
        # Formatted here, or a secret split between message and arguments would pass.
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        for secret in (self.token, self.session, self.folder):
            record.msg = record.msg.replace(secret, "***")
            record.exc_text = record.exc_text and record.exc_text.replace(secret, "***")
        return True

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Let in, or say in a line why not; nothing that was sent is said again."""
        # First of all, before any token is looked at: a page that has rebound its name to us gets
        # nothing, not even whether a token was right.
        if not self.knows(request.headers.get("Host", "")):
            return refusal(
                403,
                "not a name of this server. Open the address that `raygan watch --web` printed.",
            )
        if request.path == "/" and same(request.query.get("token", ""), self.token):
            return self.welcome(request.headers.get("Sec-Fetch-Site", ""))
        if not same(request.cookies.get(self.cookie, ""), self.session):
            return refusal(401, "the address that `raygan watch --web` printed has the token.")
        if request.headers.get("Sec-Fetch-Site", "") not in OWN:
            return refusal(403, "another page has asked.")
        answer: web.StreamResponse = await handler(request)
        answer.headers.update(HEADERS)
        return answer

    def knows(self, host: str) -> bool:
        """Is it a name of this server? Another name that leads here is somebody else's (DNS
        rebinding); an address is nobody's.

        Any port: that of a tunnel may be another one.
        """
        found = HOST.fullmatch(host)
        name = (found[1] or found[2]) if found else ""
        if name.lower() in {n.lower() for n in self.names}:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return not self.names <= {*LOCAL}

    def welcome(self, site: str) -> web.Response:
        """On to the folder, which has no token in its address (history, referrers, shoulders).

        A link on another page (a notebook's terminal) is followed by a refresh: a redirect would
        not carry a Strict cookie.
        """
        on = f"{self.folder}/"
        if site in OWN:
            answer = web.Response(status=303, headers={**HEADERS, "Location": on})
        else:
            answer = web.Response(headers={**HEADERS, "Refresh": f"0; url={on}"})
        answer.set_cookie(self.cookie, self.session, path=on, httponly=True, samesite="Strict")
        return answer


def same(given: str, wanted: str) -> bool:
    """In a time that tells nothing; whatever characters were sent."""
    # == ends at the first letter that differs, which can be timed.
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def refusal(status: int, text: str) -> web.Response:
    """A response of one plain line."""
    return web.Response(status=status, text=f"{status}: {text}\n", headers=HEADERS)

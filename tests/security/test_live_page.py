"""Who gets a live page: two pages on one host, other servers and pages on that host, other names
that lead to it.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from raygan.service.views.access import HEADERS, Door, in_address, port_taken
from raygan.service.views.live import Page

SECRET_OF = ("token", "session", "folder")


def page(host: str = "127.0.0.1") -> Page:
    """A page without a run: its door is what counts here."""
    out = object.__new__(Page)
    out.door, out.pictures, out.seen, out.more, out.note, out.version = (
        Door(host),
        {},
        {"name": "shown"},
        True,
        "",
        0,
    )
    return out


class Server(TestServer):
    """The page as `watch` serves it."""

    def __init__(self, shown: Page) -> None:
        super().__init__(shown.application())
        self.shown = shown

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        return self.shown.runner()


def served(shown: Page, visit: Callable[[TestClient[Any, Any]], Awaitable[None]]) -> None:
    """Call `visit` with a client of the page that keeps no cookies of its own."""

    async def main() -> None:
        async with TestClient(Server(shown), cookie_jar=CookieJar(unsafe=True)) as client:
            await visit(client)

    asyncio.run(main())


async def answer(client: TestClient[Any, Any], path: str, **headers: str) -> tuple[int, str, str]:
    async with client.session.get(
        client.make_url(path),
        headers={k.replace("_", "-"): v for k, v in headers.items()},
        allow_redirects=False,
    ) as got:
        return got.status, await got.text(), got.headers.get("Set-Cookie", "")


def ticket(shown: Page) -> str:
    return f"{shown.door.cookie}={shown.door.session}"


def test_two_pages_on_one_host_let_each_other_be() -> None:
    """Both in one browser, which knows no ports; neither is sent the other's cookie."""
    got: dict[str, list[str]] = {"one": [], "two": []}

    async def visits() -> None:
        pages = {"one": page(), "two": page()}
        servers = {}
        for name, shown in pages.items():
            application = shown.application()

            async def note(
                request: web.Request, response: web.StreamResponse, name: str = name
            ) -> None:
                got[name].append(request.headers.get("Cookie", ""))

            application.on_response_prepare.append(note)
            servers[name] = TestServer(application)
            await servers[name].start_server()
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
            for name, shown in pages.items():
                await browser.get(servers[name].make_url(f"/?token={shown.door.token}"))
            for name, shown in pages.items():
                assert (
                    await browser.get(servers[name].make_url(f"{shown.door.folder}/state.json"))
                ).status == 200
                await browser.get(servers[name].make_url("/favicon.ico"))
        for name, shown in pages.items():
            other = pages["two" if name == "one" else "one"].door
            assert ticket(shown) in got[name]
            assert not any(other.cookie in c or other.session in c for c in got[name]), (
                "the other server's secret"
            )
            assert got[name][-1] == "", "a path that another server could be asked for"
        for server in servers.values():
            await server.close()

    asyncio.run(visits())


def test_the_cookie_is_for_one_folder_and_no_script() -> None:
    shown = page()

    async def visit(client: TestClient[Any, Any]) -> None:
        status, text, cookie = await answer(client, f"/?token={shown.door.token}")
        assert (status, text) == (303, "")
        for part in (
            "HttpOnly",
            "SameSite=Strict",
            f"Path={shown.door.folder}/",
            f"{shown.door.cookie}=",
        ):
            assert part in cookie
        assert shown.door.token not in cookie, "what opens the page first is kept nowhere"
        status, _, cookie = await answer(
            client, f"/?token={shown.door.token}", Sec_Fetch_Site="cross-site"
        )
        assert status == 200, (
            "a Strict cookie does not travel along a redirect that another page began"
        )
        assert "SameSite=Strict" in cookie

    served(shown, visit)


@pytest.mark.parametrize(
    "name", ["token", "a cookie of /", "the token as a cookie", "a guess", "odd", "nothing"]
)
def test_without_the_pages_own_cookie_there_is_nothing(name: str) -> None:
    shown = page()
    door = shown.door
    sent = {
        "token": {},
        "a cookie of /": {"Cookie": f"raygan-token={door.session}"},
        "the token as a cookie": {"Cookie": f"{door.cookie}={door.token}"},
        "a guess": {"Cookie": f"{door.cookie}=x"},
        "odd": {"Cookie": f"{door.cookie}=\xe9"},
        "nothing": {},
    }[name]
    query = f"?token={door.token}" if name == "token" else ""

    async def visit(client: TestClient[Any, Any]) -> None:
        for path in (
            "/",
            "/state.json",
            f"{door.folder}/",
            f"{door.folder}/state.json",
            f"{door.folder}/live.js",
        ):
            if name == "token" and path == "/":
                continue
            status, text, cookie = await answer(client, path + query, **sent)
            assert (status, cookie) == (401, ""), path
            assert "shown" not in text
            assert not any(getattr(door, s) in text for s in SECRET_OF)

    served(shown, visit)


def test_every_answer_forbids_what_it_does_not_need() -> None:
    """Pages, refusals and what is not there alike: a script that got in could load nothing."""
    shown = page()

    async def visit(client: TestClient[Any, Any]) -> None:
        for path, cookie, status in (
            (f"{shown.door.folder}/state.json", "", 401),
            (f"{shown.door.folder}/state.json", ticket(shown), 200),
            (f"/?token={shown.door.token}", "", 303),
        ):
            sent = {"Cookie": cookie} if cookie else {}
            async with client.session.get(
                client.make_url(path), headers=sent, allow_redirects=False
            ) as got:
                assert got.status == status
                assert {k: got.headers.get(k) for k in HEADERS} == HEADERS, path

    served(shown, visit)


def test_what_the_server_logs_of_itself_has_none_of_the_secrets() -> None:
    door, lines = Door(), list[logging.LogRecord]()
    logger = door.logger()
    logger.parent = None
    handler = logging.Handler()
    handler.emit = lines.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    for secret in (door.token, door.session, door.folder):
        logger.warning("cannot read GET %s twice: %s", f"/x?token={secret}", secret)
        try:
            raise ValueError(f"in {secret}")
        except ValueError:
            logger.exception("of %s", secret)
    told = " ".join(f"{r.getMessage()} {r.exc_text or ''}" for r in lines)
    assert told.count("***") >= 9
    assert not any(s in told for s in (door.token, door.session, door.folder))


@pytest.mark.parametrize(
    ("bound", "host", "in_"),
    [
        ("127.0.0.1", "127.0.0.1:8266", True),
        ("127.0.0.1", "LocalHost:9000", True),
        ("127.0.0.1", "[::1]:8266", True),
        ("127.0.0.1", "evil.example:8266", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "10.0.0.7", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "[::1].evil.example", False),
        ("0.0.0.0", "10.0.0.7:8266", True),
        ("0.0.0.0", "evil.example", False),
        ("gpu-7.lab", "gpu-7.lab:8266", True),
    ],
)
def test_another_name_that_leads_here_is_shut_out(bound: str, host: str, in_: bool) -> None:
    assert Door(bound).knows(host) is in_


def test_rebound_names_and_other_pages_are_told_nothing() -> None:
    """Even with the cookie: a browser that was led here, a page on another port of this host."""
    shown = page()

    async def visit(client: TestClient[Any, Any]) -> None:
        path = f"{shown.door.folder}/state.json"
        assert (await answer(client, path, Cookie=ticket(shown)))[0] == 200
        for headers in (
            {"Host": "evil.example"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "cross-site"},
        ):
            status, text, _ = await answer(client, path, Cookie=ticket(shown), **headers)
            assert status == 403, headers
            assert "evil" not in text

    served(shown, visit)


def test_no_secret_in_logs_answers_or_errors(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A handler that fails, and lines that are no HTTP, each with the token in them."""
    shown = page()
    shown.seen = {"broken": cast(float, object())}  # json has no word for it: the handler raises
    door = shown.door
    lines = [f"GET /?token={door.token} HTTP/9.9", f"GE\x01T /?token={door.token} HTTP/1.1",
             f"GET /?token={door.token}\x00 HTTP/1.1", f"GET http://[/?token={door.token} HTTP/1.1",
             f"GET /?token={door.token} HTTP/1.1\r\nA: {'x' * 20000}"]  # fmt: skip
    said = []

    async def visit(client: TestClient[Any, Any]) -> None:
        status, text, _ = await answer(
            client, f"{door.folder}/state.json?token={door.token}", Cookie=ticket(shown)
        )
        assert status == 500
        said.append(text)
        for line in lines:
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(line.encode() + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            await asyncio.wait_for(reader.read(), 10)
            writer.close()

    with caplog.at_level(logging.DEBUG):
        served(shown, visit)
    out = capsys.readouterr()
    logged = "\n".join([caplog.text, *(logging.Formatter().format(r) for r in caplog.records)])
    everything = "\n".join([*said, logged, out.out, out.err])
    assert re.search("Error handling request", logged), "the failure itself is told"
    assert not [s for s in SECRET_OF if getattr(door, s) in everything]


def test_the_token_is_in_no_command_line(tmp_path: Path) -> None:
    """It is made in the process, and printed once; `watch` has no flag for it."""
    from raygan.cli import verbs
    from raygan.errors import ConfigError

    with pytest.raises(ConfigError, match="--token"):
        verbs.watch([str(tmp_path), "--web", "--token", "mine"])
    assert SimpleNamespace(**vars(Door())).token != Door().token


@pytest.mark.parametrize("site", ["none", "cross-site"])
def test_whoever_is_let_in_is_sent_on_with_all_headers_and_a_cookie_for_the_folder(
    site: str,
) -> None:
    door = Door()
    answer = door.welcome(site)
    assert HEADERS.items() <= dict(answer.headers).items()
    if site == "none":
        assert (answer.status, answer.headers["Location"]) == (303, f"{door.folder}/")
    else:
        assert (answer.status, answer.headers["Refresh"]) == (200, f"0; url={door.folder}/")
    cookie = answer.cookies[door.cookie]
    assert (cookie.value, cookie["path"], cookie["samesite"]) == (
        door.session,
        f"{door.folder}/",
        "Strict",
    )
    assert cookie["httponly"]


def test_an_address_of_numbers_is_in_brackets_and_a_port_that_is_taken_is_named() -> None:
    assert (in_address("::1"), in_address("10.0.0.1")) == ("[::1]", "10.0.0.1")
    error = port_taken("::1", 8080, OSError(98, "Address already in use"))
    assert str(error).startswith("--port 8080: cannot listen on ::1 (Address already in use).")

"""The live page's token, asked for by every route; without a socket."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from raygan.service.live import COOKIE, HEADERS, Page

TOKEN = "t" * 32


def page() -> Page:
    out = Page.__new__(Page)
    out.token, out.pictures, out.seen = TOKEN, {}, {}
    out.more, out.note, out.version = True, "", 0
    return out


def get(path: str, cookie: str | None = None) -> web.StreamResponse:
    headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}

    async def handler(request: Any) -> web.Response:
        return web.Response(text="inside")

    return asyncio.run(page()._guard(make_mocked_request("GET", path, headers=headers), handler))  # type: ignore[call-arg, arg-type, misc]


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", f"/?token={TOKEN}x", "/?token=%C3%BC", "/state.json"]
)
@pytest.mark.parametrize("cookie", [None, "", "wrong"])
def test_whoever_has_no_token_is_told_nothing(path: str, cookie: str | None) -> None:
    answer: Any = get(path, cookie)
    assert answer.status == 401
    assert "inside" not in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_token_is_taken_out_of_the_address_and_kept_in_a_cookie() -> None:
    answer: Any = get(f"/state.json?token={TOKEN}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.cookies[COOKIE]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (TOKEN, True, "Lax")
    assert set(HEADERS) <= set(answer.headers)


def test_whoever_has_the_cookie_gets_in() -> None:
    answer: Any = get("/state.json", TOKEN)
    assert (answer.status, answer.text) == (200, "inside")
    assert {k: answer.headers[k] for k in HEADERS} == HEADERS


def test_every_route_is_guarded() -> None:
    ours = page()
    app = ours.application()
    assert list(app.middlewares) == [ours._guard]
    routes = {r.resource.canonical for r in app.router.routes() if r.resource}
    assert routes == {"/", "/live.js", "/live.css", "/state.json", "/picture/{key}.png"}

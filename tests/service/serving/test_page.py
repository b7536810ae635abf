"""The page of `raygan serve` in a browser, before routes that answer as the true ones do."""

import json
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser import Browser

pytest.importorskip("ray.serve")
app = pytest.importorskip("raygan.service.serving.app")
pytestmark = pytest.mark.exhaustive


class Routes(ThreadingHTTPServer):
    """What is served, and what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.checkpoint, self.z_dim, self.problem = "00000010", 2, ""
        self.asked: Counter[str] = Counter()

    def health(self) -> dict[str, Any]:
        return {
            "problem": self.problem, "source": "/runs/r", "which": "best", "shape": [2],
            "checkpoint": self.checkpoint, "generators": ["pair-00"], "z_dim": self.z_dim,
            "prior": "gaussian", "text": False,
        }  # fmt: skip


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        routes, asked = self.server, urlsplit(self.path)
        assert isinstance(routes, Routes)
        routes.asked[asked.path] += 1
        status, kind = 200, "application/json"
        body = json.dumps({"x": [[0.5, float(routes.checkpoint)]] * 3})
        if asked.path == "/":
            kind, body = "text/html", app.PAGE.read_text()
        elif asked.path == "/health":
            body = json.dumps(routes.health())
        elif asked.path == "/latent" and asked.query.count(",") + 1 != routes.z_dim:
            status, body = 400, json.dumps({"detail": "z: another length"})
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 200 and asked.path in ("/latent", "/sample"):
            self.send_header("X-Raygan-Checkpoint", routes.checkpoint)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Not to the tests' output."""


@pytest.fixture
def routes() -> Iterator[Routes]:
    with Routes() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def browser(routes: Routes) -> Iterator[Browser]:
    page = Browser(900, 900)
    try:
        page.go(f"http://127.0.0.1:{routes.server_port}/")
        page.until("typeof about === 'object' && about.checkpoint === '00000010' && !busy")
        yield page
    finally:
        page.close()


ABOUT, DRAWN = "document.querySelector('#about').textContent", "!busy && cloud[0][1]"


def test_a_newer_checkpoint_is_told_and_drawn_with_the_first_answer_of_it(
    routes: Routes, browser: Browser
) -> None:
    browser.until(DRAWN, lambda y: y == 10)
    z = browser.js("sliders.map(s => s.input.value).join()")
    browser.js("show()")
    browser.until(f"{DRAWN} && {ABOUT}")
    assert routes.asked["/health"] == 1, "the same checkpoint costs nothing more"
    routes.checkpoint, routes.problem = "00000020", "a checkpoint was left out"
    browser.js("show()")
    browser.until(DRAWN, lambda y: y == 20)
    assert "checkpoint 00000020" in browser.js(ABOUT)
    assert browser.js("document.querySelector('#problem').textContent") == routes.problem
    assert browser.js("sliders.map(s => s.input.value).join()") == z, "the sliders stay"
    assert (routes.asked["/health"], routes.asked["/sample"]) == (2, 2)
    assert browser.complaints == []


def test_a_generator_that_takes_another_z_has_its_sliders(routes: Routes, browser: Browser) -> None:
    """`--from best` may be another one's by then."""
    routes.checkpoint, routes.z_dim = "00000020", 3
    browser.js("show()")
    browser.until("!busy && document.querySelector('#problem').textContent")
    browser.click("#draw")
    browser.until(DRAWN, lambda y: y == 20)
    assert browser.js("document.querySelectorAll('#sliders input').length") == 3
    assert browser.js("document.querySelector('#problem').textContent") == ""

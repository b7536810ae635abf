"""A real browser for tests: Chromium without a window, steered through its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp


class Browser:
    """One page. Every wait is for a condition, with a deadline."""

    def __init__(self, width: int, height: int, phone: bool = False) -> None:
        program = shutil.which("chromium")
        assert program, "chromium is not installed: apt-get install chromium"
        self.folder = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-port=0", f"--user-data-dir={self.folder}",
             "--hide-scrollbars", "about:blank"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"ws://127\.0\.0\.1:(\d+)/", line):
                break
        else:
            raise AssertionError("chromium did not start")
        self.runner = asyncio.Runner()
        self.count = 0
        self.complaints: list[str] = []
        """What the page wrote to its console as an error."""
        self.runner.run(self._connect(int(found[1])))
        self.call("Page.enable"), self.call("Runtime.enable"), self.call("Log.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    async def _connect(self, port: int) -> None:
        self.session = aiohttp.ClientSession()
        async with self.session.get(f"http://127.0.0.1:{port}/json") as answer:
            page = next(t for t in await answer.json() if t["type"] == "page")
        self.socket = await self.session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A DevTools method."""
        self.count += 1
        return self.runner.run(self._call(self.count, method, params))

    async def _call(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await self.socket.send_str(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads((await self.socket.receive(timeout=30)).data)
            if (
                answer.get("method") == "Log.entryAdded"
                and answer["params"]["entry"]["level"] == "error"
            ):
                self.complaints.append(answer["params"]["entry"]["text"])
            if answer.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(answer["params"]["exceptionDetails"]))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                out: dict[str, Any] = answer["result"]
                return out

    def go(self, address: str) -> None:
        """Open a page."""
        self.call("Page.navigate", url=address)

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        out = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in out, out
        return out["result"].get("value")

    def until(
        self, expression: str, what: Callable[[Any], bool] = bool, timeout_s: float = 90.0
    ) -> Any:
        """Wait until an expression has a value that `what` accepts; returns it."""
        deadline, value = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            value = self.js(expression)
            if what(value):
                return value
            time.sleep(0.1)
        raise AssertionError(f"{expression} is {value!r} after {timeout_s} s")

    def click(self, selector: str) -> None:
        """Press the mouse on an element's middle, as a person does."""
        self.js(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        x, y = self.js(
            f"(() => {{ const r = document.querySelector({selector!r}).getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        out = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(out["data"]))

    def close(self) -> None:
        """Take the browser away."""

        async def leave() -> None:
            await self.socket.close()
            await self.session.close()

        self.runner.run(leave())
        self.runner.close()
        self.process.terminate()
        self.process.wait(20)
        if self.process.stderr:
            self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

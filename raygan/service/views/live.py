"""`raygan watch --web RUN`: a page that shows a run while it goes on; the pictures are the
report's.

Served by the watching process, on this machine only unless told otherwise, and only to whoever has
the token in its address: the run opens no port, and the page ends with the shell that asked for it.
It can look, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from raygan.data.base import Samples
from raygan.errors import DataError
from raygan.service.runs.identity import data_note, known_data
from raygan.service.runs.run import Run
from raygan.service.signals import wanted
from raygan.service.views.access import LOCAL, Door, in_address, port_taken
from raygan.service.views.drawings import Drawing, drawings, pictured
from raygan.service.views.follow import Feed
from raygan.service.views.state import state

EVERY_S = 1.0
"""Between two looks at the run."""
FILES = Path(__file__).parents[1] / "templates"


class Page:
    """The page of one run."""

    def __init__(self, feed: Feed, door: Door) -> None:
        self.feed = feed
        self.drawn = Run(feed.run.path)
        """The same run, for the thread that draws: what is read of logs is no two threads'."""
        self.door = door
        self.more = True
        """Does the run go on?"""
        self.over = False
        """Is the page itself to end? Then no further picture is begun."""
        self.seen: dict[str, Any] = {}
        self.pictures: dict[str, tuple[Drawing, bytes]] = {}
        self.version = 0
        """Of the pictures: grows when what they show has changed."""
        self._drawn: object = None
        try:
            self.data: Samples | None = known_data(feed.run.info, feed.run.config)
            self.note = data_note(feed.run, self.data)
        except DataError as error:  # its pictures need the real data, the table does not
            self.data, self.note = None, f"No pictures: {error}"

    # ----------------------------------------------------------------------------------------------
    # looking

    async def look_for_ever(self) -> None:
        """Keep what is served up to date."""
        # In threads, each of its own: drawing takes seconds, in which the page answers, and the run
        # is looked at: its hub does not wait with the end for somebody who draws.
        both = [asyncio.create_task(_for_ever(look)) for look in (self.glance, self.draw)]
        try:
            await asyncio.gather(*both)
        finally:
            for task in both:
                task.cancel()

    def look(self) -> None:
        """Once, at all."""
        self.glance()
        self.draw()

    def glance(self) -> None:
        """The run, as it is now."""
        self.more = self.feed.refresh()
        self.seen = state(self.feed.run)

    def draw(self) -> None:
        """The pictures again, when there is something new to see."""
        what = read_by_pictures(self.drawn.path)
        # By the files, not by what was seen: floor and ceiling, a late row or its repetition move
        # neither progress nor status. Before they are read: what comes meanwhile is drawn next.
        if self.data is None or what == self._drawn:
            return
        self._drawn = what
        made = dict[str, tuple[Drawing, bytes]]()
        for drawing in drawings(self.drawn, self.data, *pictured(self.drawn)):
            if self.over:
                return
            if raw := drawing.draw():
                made[drawing.key] = drawing, raw
        # All at once: a page never shows pictures of two moments.
        self.pictures = made
        self.version += 1

    # ----------------------------------------------------------------------------------------------
    # serving

    def application(self) -> web.Application:
        """Routes, all in the door's folder; every request passes the door."""
        out = web.Application(middlewares=[self.door.guard])
        at = self.door.folder
        out.router.add_get(f"{at}/", self._file("live.html", "text/html"))
        out.router.add_get(f"{at}/live.js", self._file("live.js", "text/javascript"))
        out.router.add_get(f"{at}/live.css", self._file("live.css", "text/css"))
        out.router.add_get(f"{at}/state.json", self._state)
        out.router.add_get(f"{at}/picture/{{key}}.png", self._picture)
        return out

    def runner(self) -> web.AppRunner:
        """What serves it; an address that was asked for is logged nowhere."""
        # The address has the token in it.
        return web.AppRunner(self.application(), access_log=None, logger=self.door.logger())

    def _file(self, name: str, kind: str) -> Any:
        async def handler(request: web.Request) -> web.Response:
            return web.Response(text=(FILES / name).read_text(), content_type=kind)

        return handler

    async def _state(self, request: web.Request) -> web.Response:
        pictures = [
            {"key": k, "title": d.title, "note": d.note} for k, (d, _) in self.pictures.items()
        ]
        now = {
            **self.seen,
            "more": self.more,
            "note": self.note,
            "version": self.version,
            "pictures": pictures,
            "now": time.time(),  # noqa: TID251  shown only
        }
        return web.Response(text=json.dumps(now, allow_nan=False), content_type="application/json")

    async def _picture(self, request: web.Request) -> web.Response:
        found = self.pictures.get(request.match_info["key"])
        if found is None:
            raise web.HTTPNotFound(text="no such picture yet\n")
        return web.Response(body=found[1], content_type="image/png")


async def _for_ever(look: Callable[[], None]) -> None:
    while True:
        await asyncio.to_thread(look)
        await asyncio.sleep(EVERY_S)


def read_by_pictures(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file that `drawings` read, with what changes when it does."""
    logs = ("run.json", "config.json", "metrics.jsonl", "events.jsonl", "schedule.jsonl")
    out = dict[str, tuple[int, int]]()
    for path in [*(folder / name for name in logs), *(folder / "samples").glob("*.npy")]:
        # not there yet, or replaced just now
        with contextlib.suppress(OSError):
            facts = path.stat()
            out[path.name] = facts.st_mtime_ns, facts.st_size
    return out


def serve(feed: Feed, host: str, port: int) -> None:
    """Serve until Ctrl-C. Raises ConfigError when the port is taken."""
    page = Page(feed, Door(host))
    page.look()

    async def main() -> None:
        runner = page.runner()
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise port_taken(host, port, error) from None
        bound = runner.addresses[0][1]
        print(f"http://{in_address(host)}:{bound}/?token={page.door.token}", flush=True)
        if host not in LOCAL:
            print(
                "warning: without TLS; whoever listens on the network can read the token",
                flush=True,
            )
        looking = asyncio.create_task(page.look_for_ever())
        for signum in wanted():
            asyncio.get_running_loop().add_signal_handler(signum, looking.cancel)
        try:
            await looking
        except asyncio.CancelledError:  # Ctrl-C: the page ends, the run does not
            page.over = True
        finally:
            await runner.cleanup()

    asyncio.run(main())

"""The listener that begins a run's trackers, tells what went wrong with them, and lets them end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.components import load_component
from raygan.config import Config
from raygan.controller.jsonl import NOTES
from raygan.controller.listener import Listener
from raygan.data.base import Samples
from raygan.own.names import label
from raygan.service.tracking.feed import Feed, TrackerRecords
from raygan.service.tracking.payload import Payload
from raygan.service.views.sheet import drawn
from raygan.service.views.tables import fate
from raygan.trackers.base import TrackerComponent

if TYPE_CHECKING:
    from raygan.controller.listener import Running

CLOSE_S = 30.0
"""For all trackers of a run to take in its end."""


def trackers_of(config: Config) -> list[tuple[str, TrackerComponent]]:
    """(name, component) of those that the config names. Raises ConfigError where one's library is
    not installed.
    """
    out = []
    for spec in config.track:
        made = load_component("tracker", spec)
        assert isinstance(made, TrackerComponent)
        made.refuse_missing()
        out.append((label(made.name), made))
    return out


class Tracking(Listener):
    """The driver's: begins a thread a tracker, and tells what went wrong with it."""

    def __init__(self, config: Config, folder: Path, data: Samples) -> None:
        kept, told = TrackerRecords(folder), Payload(config, folder)
        self.feeds = [
            Feed(name, component.made, told, kept, lambda x: drawn(x, data))
            for name, component in trackers_of(config)
        ]

    def begin(self, run: Running) -> None:
        """Start the trackers' threads, before the first step."""
        for feed in self.feeds:
            feed.start()

    def tick(self, run: Running) -> None:
        """Each turn of the loop: the log is written by this thread alone."""
        for feed in self.feeds:
            feed.guard.watched()
            if feed.guard.trouble:
                run.log.warn("W211 tracker-failed", feed.guard.trouble.pop())

    def close(self) -> None:
        """The run has ended, and its files say how. They have CLOSE_S together to take that in."""
        # Together, not each: five trackers without a network would hold the shell for minutes.
        until = time.monotonic() + CLOSE_S
        for feed in self.feeds:
            feed.ended.set()
        for feed in self.feeds:
            feed.join(max(0.0, until - time.monotonic()))
            late = f"{feed.label}: still busy after {CLOSE_S:g} s, and left alone"
            last = late if feed.is_alive() else outcome(feed)
            for text in [*feed.guard.trouble, *[last] * bool(last)]:
                NOTES.warning("W211 tracker-failed: %s; %s", text, fate("W211"))


def outcome(feed: Feed) -> str:
    """What a tracker's failures in this life came to; "" for a single one, which is told."""
    if (times := feed.guard.failed - feed.guard.before) <= 1:
        return ""
    if not feed.begun or feed.held:
        what = "it lacks rows, and is told them when the run is gone on with"
    else:
        what = f"it refused {feed.left_out} rows" if feed.left_out else "it has all rows"
    return f"{feed.label}: {times} calls failed; {what}"

"""Where a run's facts go: the journal, which alone counts, and the files that people read.

commit  -->  journal (fsynced, hashed), then the same as an event
event   -->  events.jsonl only
warn    -->  counted in the totals, told as an event
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from raygan.config import full_dump
from raygan.controller.async_record import Schedule
from raygan.controller.journal import Journal
from raygan.controller.run_folder import RunFolder
from raygan.controller.state import RunState
from raygan.errors import StaleEpochError


class RunLog:
    """A run's journal and its folder, written together."""

    def __init__(self, state: RunState, folder: RunFolder, journal: Journal) -> None:
        self.state = state
        self.folder = folder
        self.journal = journal
        self.life = journal.epoch
        """The first epoch of this driver's, as run.json has it."""
        self.schedule = Schedule(folder)
        folder.fence = journal.glance
        folder.telemetry.trouble = self.not_written

    def next_epoch(self) -> None:
        """What is left of this attempt can commit nothing any more."""
        self.journal = self.journal.next()
        self.folder.fence = self.journal.glance

    def commit(self, kind: str, step: int, **facts: Any) -> None:
        """A record of the journal, and then the same as an event, for those who look on."""
        # the journal first: an event that it does not have would be a lie, a record without its
        # event can be told again (`raygan runs --repair`)
        self.journal.append(kind, step=step, **facts)
        self.folder.event(kind, step, **facts)

    def event(self, kind: str, step: int, **facts: Any) -> None:
        """Something that nothing rests on."""
        self.folder.event(kind, step, **facts)

    def warn(self, name: str, text: str) -> None:
        """A named warning: counted, in events.jsonl, shown once a kind and listed at the end."""
        warnings = self.state.totals.warnings
        warnings[name] = warnings.get(name, 0) + 1
        self.event("warning", self.state.furthest, name=name, text=text)

    def warn_checkpoints(self, problems: Sequence[str]) -> None:
        """Checkpoints that could not be used, and were passed over."""
        for problem in problems:
            self.warn("W202 damaged-checkpoint", f"{problem} An older one is used.")

    def not_written(self, name: str, error: OSError) -> None:
        """A file that the run does not rest on found no room for the first time.

        Training goes on.
        """
        text = f"{name}: {error.strerror}; the run goes on, and writes it when it can"
        self.warn("W203 file-not-written", text)

    def keep_totals(self) -> None:
        """What was spent by now goes with the journal's next snapshot."""
        state = self.state
        state.totals.failures = dict(state.failures.counts)
        self.journal.totals = dict(state.totals.dump(state.elapsed))

    def set_members(self, ids: Sequence[int]) -> None:
        """Others from now on; kept in config.json, so that resuming builds the same players."""
        state = self.state
        # in memory, then config.json: a kill between resumes with the members of the checkpoint,
        # which are asked first
        state.set_members(ids)
        self.folder.write("config.json", json.dumps(full_dump(state.config), indent=1) + "\n")
        self.tell_members()

    def tell_members(self, **facts: Any) -> None:
        """Who takes part, and in which role, with other facts of run.json."""
        state = self.state
        roles = {player: asdict(role) for player, role in state.roles.items()}
        self.folder.status(roster=state.players, roles=roles, **facts)

    def end(self, status: str) -> None:
        """The last record of this life: what the run has spent goes on from here. Nothing depends
        on it.
        """
        self.keep_totals()
        with contextlib.suppress(OSError, StaleEpochError):
            self.journal.snapshot("end", status=status)

"""What a PMGAN generator has of its judge: the newest answer, copies of D and C, and how long it
waits for more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from torch import nn

from raygan.config import Tempo
from raygan.errors import RayganError
from raygan.gan.types import Board
from raygan.gan.weights import Publication, unflatten
from raygan.strategies.pmgan.lead import Lead
from raygan.strategies.pmgan.slots import LOOK_S
from raygan.strategies.roles import JUDGE, number_of

if TYPE_CHECKING:
    from raygan.strategies.pmgan.settings import PmganSettings

PATIENCE_S, DEADLINE_S = 2.0, 120.0
"""Seconds without an answer of the judge (async) after which a round ends before its time, and
after which that is an error.
"""


class Answers:
    """The judge's answers to one generator."""

    def __init__(
        self, name: str, settings: PmganSettings, tempo: Tempo, d: nn.Module, c: nn.Module
    ) -> None:
        """d, c: what the judge's D and C are copied into."""
        self.name = name
        self.settings = settings
        self.tempo = tempo
        self.d, self.c = d, c
        self.index = number_of(name)
        self.newest: Publication | None = None
        self.lead = Lead(settings.max_lag)
        self.waited = 0.0
        """Seconds, in this round."""
        self.unanswered = 0.0
        """async: seconds that the generator has waited since the judge's last answer;
        not those in which it had nothing to do.
        """

    def hear(self, step: int, board: Board) -> Publication | None:
        """The judge's answer to use for this step: an exact version in lockstep, the newest that is
        here in async, where it waits as long as `must_wait` says, and gives up (None) after
        PATIENCE_S. Raises RayganError after DEADLINE_S without an answer.
        """
        shelf = JUDGE if self.settings.feedback == "weights" else f"{JUDGE}/{self.name}"
        if self.tempo == "lockstep":
            # version i + 1 of the judge has seen slot i, which is ours of this step
            (found,) = board.between([shelf], after=step, upto=step + 1)[shelf]
            self.take(found)
            return found
        self.poll(board, shelf)
        began = time.perf_counter()
        # in short looks: between two the worker's thread may take a message, and members change
        while (waits := self.must_wait(step)) and time.perf_counter() - began < PATIENCE_S:
            self.poll(board, shelf, LOOK_S)
        here = time.perf_counter() - began
        self.waited += here
        self.unanswered += here
        if waits and self.unanswered > DEADLINE_S:
            raise RayganError(
                f"{self.name}: no answer of the judge within {DEADLINE_S:.0f} s. See the judge's"
                " log."
            )
        return None if waits else self.newest

    def poll(self, board: Board, shelf: str, wait_s: float = 0.0) -> None:
        """Take up what has arrived."""
        have = -1 if self.newest is None else self.newest.version
        if (
            found := board.peek([shelf], {shelf: have}, wait_s).get(shelf)
        ) is not None and found.version > have:
            self.take(found)

    def must_wait(self, step: int) -> bool:
        """No answer for us yet; or we are `max_lag` steps ahead of the judge; or (gradients) no
        gradient of this very slot.
        """
        # the second: a joiner that the judge has not met
        if self.newest is None or not self.newest.arrays["active"][self.index]:
            return True
        seen = int(self.newest.arrays["seen"][self.index])
        if self.settings.feedback == "gradients":
            return seen != step
        updates = self.newest.version
        return self.lead.at(step, updates, used=seen == step) >= self.lead.most

    def take(self, answer: Publication) -> None:
        """Copy D and C."""
        self.newest, self.unanswered = answer, 0.0
        if self.settings.feedback == "weights":
            unflatten(self.d, answer.arrays["D"])
            unflatten(self.c, answer.arrays["C"])

    def take_again(self) -> None:
        """The newest once more, where there is one: what was copied was overwritten."""
        if self.newest is not None:
            self.take(self.newest)

"""PMGAN's generator, with its slot. When it trains is `strategy.py`'s to say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config import Tempo
from raygan.gan import steps as S
from raygan.gan.meter import Meter
from raygan.gan.offered import Offered
from raygan.gan.optimizers import zero_grad
from raygan.gan.pair import Pair, Sharing
from raygan.gan.trainer import Parts
from raygan.gan.types import Board, Report, State
from raygan.gan.weights import Publication, Vector, finite, halve
from raygan.strategies.pmgan.answers import Answers
from raygan.strategies.pmgan.slots import generator_loss, noise_of, share_of, write_slot
from raygan.strategies.roles import number_of

if TYPE_CHECKING:
    from raygan.strategies.pmgan.settings import PmganSettings


class Generator(Pair):
    """G_k, with copies of D and C that it never trains."""

    def __init__(
        self,
        name: str,
        parts: Parts,
        classifier: nn.Module,
        settings: PmganSettings,
        tempo: Tempo,
        members: int,
        sharing: Sharing | None,
    ) -> None:
        super().__init__(name, parts, sharing)
        self.settings = settings
        self.tempo = tempo
        self.members = members
        """Generators, until the judge has told how many there are."""
        self.c = classifier.to(self.device)
        self.index = number_of(name)
        self.samples: Tensor | None = None
        """What the slot holds, with G's graph behind it."""
        self.offered = Offered(self.g)
        self.answers = Answers(name, settings, tempo, self.d, self.c)
        self.opened = 0
        """The step at which it began, or came back."""

    # ----------------------------------------------------------------------------------------------
    # the slot

    def open(self, board: Board) -> None:
        """The first slot, or the one that was there when the state was saved."""
        super().open(board)
        self.opened = self.step
        self.redraw(board)

    def redraw(self, board: Board) -> None:
        """This step's slot, of the networks as they are."""
        z = self.noise(self.streams.at("noise", self.step))
        with self.streams.for_layers(self.step, "layers/slot"):
            samples = self.offered.draw()(z)
        self.write(board, samples, math.nan)

    @property
    def can_undo(self) -> bool:
        """Not where a gradient is of exactly one slot, and the judge (async) has passed that slot
        by.
        """
        return self.tempo == "lockstep" or self.settings.feedback == "weights"

    def held(self) -> State:
        """With what the slot is drawn from."""
        return {**super().held(), **self.offered.held()}

    def restore(self, state: State) -> None:
        """The inverse."""
        super().restore(state)
        self.offered.restore(state)

    def undo(self, state: State, board: Board) -> None:
        """The slot again as well: what it holds hangs on weights that are undone."""
        super().undo(state, board)
        self.answers.take_again()
        self.redraw(board)

    def write(self, board: Board, samples: Tensor, loss: float) -> None:
        """Samples (N, *shape), kept for the next step; as many of them as the judge looks at are
        published, as one frozen object that replaces the one before: its share of a batch, or all,
        where it returns a gradient for each.
        """
        self.samples = samples
        n = len(samples)
        whole = self.settings.feedback == "gradients" or self.settings.generator_batch == "share"
        if not whole:
            newest = self.answers.newest
            told = newest and int(newest.arrays["active"].sum())
            # told by the judge's last answer: where members have come and gone the shares are
            # others
            n = share_of(self.batch_size, told or self.members)
        # a copy: the graph behind the samples is still to be gone back through, and the slot never
        # changes
        frozen: Vector = samples[:n].detach().cpu().numpy().copy()
        frozen.flags.writeable = False
        words = halve(finite(self.name, self.step, frozen), self.settings.publish)
        board.publish(write_slot(self.name, self.step, words, loss))

    # ----------------------------------------------------------------------------------------------
    # training

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` steps; in lockstep the judge's next version is there. async: fewer, where the
        judge is silent for long.
        """
        meter, answers = Meter(), self.answers
        answers.waited = 0.0
        begin, end = self.step, self.step + steps
        while self.step < end and (feedback := answers.hear(self.step, board)) is not None:
            with self.streams.for_layers(self.step):
                meter.add(**self.one_generator_step(feedback, board))
            if self.sharing.due(self.step):
                board.publish(self.publication())
        if self.step > begin:
            meter.gradients(grad_g=self.g)
        done = {"wait_s": answers.waited, "steps_done": float(self.step - begin)}
        return {**self.report(meter), **done}

    def one_generator_step(self, feedback: Publication, board: Board) -> dict[str, float]:
        """Eq. 2, on the samples that are in the slot; then the next slot."""
        # beta and D of one answer belong together: the judge has computed both from one snapshot
        weight = float(feedback.arrays["beta"][self.index])
        # of one that came back the judge may have seen steps that are undone
        seen = max(self.opened, int(feedback.arrays["seen"][self.index]))
        self.set_rates()
        assert self.samples is not None, "open() wrote the first slot"
        zero_grad(self.opt_g)
        loss_c = math.nan
        if self.settings.feedback == "gradients":
            facts = feedback.arrays["losses"]
            loss_g, loss_c = float(facts[0]), float(facts[1])
            if math.isfinite(loss_g):
                gradient = torch.from_numpy(np.array(feedback.arrays["gradient"])).to(self.device)
                self.samples.backward(gradient)
                S.apply(self.opt_g, self.g, self.config.clip_grad_g)
        else:
            active = torch.from_numpy(feedback.arrays["active"] > 0).to(self.device)
            with S.frozen(self.d), S.frozen(self.c):
                blurred = self.blur(self.samples, noise_of(self.streams, self.step))
                total, (value, loss_g, loss_c) = generator_loss(
                    self.loss, self.d, self.c, self.samples, blurred, self.index, weight, active
                )
            if math.isfinite(value):
                total.backward()
                S.apply(self.opt_g, self.g, self.config.clip_grad_g)
            else:
                loss_g = math.nan
        self.update_average()
        # after a round that was undone the judge has seen more of us than there is
        lag = max(0, self.step - seen)
        self.step += 1
        self.bad_steps.note(self.step, loss_g=loss_g)
        with self.streams.for_layers(self.step, "layers/slot"):
            samples = self.offered.draw()(self.noise(self.streams.at("noise", self.step)))
        self.write(board, samples, loss_g)
        return {"loss_g": loss_g, "overlap": loss_c, "beta": weight, "lag": float(lag)}

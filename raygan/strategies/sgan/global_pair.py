"""SGAN's global pair: Algorithm 1, lines 14 to 31. When it trains is `strategy.py`'s to say.

opposition    all opponents, here and with deputies: copies, versions    opposition.py
messengers    the copies D_msg[n] of this process                        messengers.py
generators    the copies of G_n, or their samples, of this process       local_generators.py
payoffs       how much each opponent counts                              payoffs.py
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from raygan.config import Tempo
from raygan.gan.later import Value, bad_or_last
from raygan.gan.meter import Meter
from raygan.gan.optimizers import zero_grad
from raygan.gan.pair import Sharing
from raygan.gan.trainer import Parts, Trainer
from raygan.gan.types import Board, Report, State
from raygan.gan.weights import Publication, Vector, flatten
from raygan.strategies.roles import GLOBAL
from raygan.strategies.sgan.deputies import Answer, Deputy, Task
from raygan.strategies.sgan.local_generators import LocalGenerators
from raygan.strategies.sgan.messengers import Messengers
from raygan.strategies.sgan.opponents import Opponents, Prior
from raygan.strategies.sgan.opposition import Opposition
from raygan.strategies.sgan.payoffs import Payoffs, Shares

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings

LOOK_S = 0.1
"""async: from one look for a local to learn from to the next."""


class GlobalPair(Trainer):
    """The supervisor: trains G0 against messengers, and D0 against the locals' generators."""

    def __init__(
        self, parts: Parts, settings: SganSettings, locals_: Sequence[str], tempo: Tempo,
        sharing: Sharing, prior_of: Callable[[str], Prior], deputies: Sequence[Deputy] = (),
    ) -> None:  # fmt: skip
        super().__init__(GLOBAL, parts)
        self.settings = settings
        self.tempo = tempo
        here = Opponents(self, settings, not sharing.samples, prior_of)
        self.messengers = Messengers(self, settings, here)
        self.generators = LocalGenerators(self, here, settings.global_d_steps)
        bytes_a_step = sharing.nbytes(parts) / max(1, sharing.every)
        self.opposition = Opposition(here, deputies, settings, locals_, tempo, bytes_a_step)
        self.payoffs = Payoffs(settings)
        self.payoffs.set_members(locals_)

    def set_members(self, members: Sequence[str]) -> None:
        """Whom to learn from, from the next iteration on; may be called from another thread."""
        self.opposition.set_members(members)

    def meet(self) -> None:
        """Between two iterations: take up who has come, let go who has left."""
        if self.opposition.meet():
            self.payoffs.set_members(self.opposition.locals)

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` iterations; needs the locals' versions up to there in lockstep. async: fewer,
        where nobody is there to learn from.
        """
        meter = Meter()
        self.meet()
        begin, opposition = self.step, self.opposition
        end = begin + steps
        lockstep = self.tempo == "lockstep"
        for portion in opposition.portions(self.step, steps, board) if lockstep else [steps]:
            for _ in range(portion):
                if not lockstep:
                    self.meet()
                with self.streams.for_layers(self.step):
                    losses = self.iteration(board)
                if losses is None:
                    time.sleep(LOOK_S)
                    break
                meter.add(**losses, lag=opposition.lag(self.step))
                if self.step == end:
                    meter.gradients(grad_g=self.g, grad_d=self.d)
        unmet = len(opposition.locals) - len(opposition.met)
        return {
            **self.report(meter),
            **({} if lockstep else {"unmet": float(unmet), "steps_done": float(self.step - begin)}),
        }

    # -------------------------------------------------------------------------------------------
    # Algorithm 1

    def iteration(self, board: Board) -> dict[str, Value] | None:
        """One iteration i; None where no local was met yet (async: who had published has died)."""
        self.set_rates()
        fresh, elsewhere = self.opposition.due(self.step, board)
        if self.settings.variant == "early_global":  # App. A.2: after each update of a local
            loss_g = self.early(fresh)
            if not self.opposition.met:
                return None
            shares = self.shares()
            losses_d = self.generators.judge(shares["d"])
            answers: list[Answer] = []
        else:
            self.opposition.here.refresh(fresh)  # line 14
            shares = self.shares()
            # the deputies begin before this process does its own part, and work meanwhile: then
            # the batch that they judge is made before messengers learn, which do not change it
            sent = self.messengers.fake() if self.opposition.deputies and shares["g"] else None
            wait = self.ask(board, shares, elsewhere, sent)
            if not shares["g"]:
                wait()
                return None
            self.messengers.train()  # lines 15-21
            fake = self.messengers.fake() if sent is None else sent
            total, losses_g = self.messengers.judge(fake, shares["g"])
            # before the wait: D0's losses hang on the locals' generators alone, not on G0's step
            losses_d = self.generators.judge(shares["d"])
            answers = wait()
            self.bad_steps.total += sum(answer.skipped for answer in answers)
            loss_g = self.step_g(fake, total, losses_g, answers, shares["g"])
        steps_d = [self.step_d(losses_d, answers, shares["d"])]
        for _ in range(1, self.settings.global_d_steps):
            shares = self.shares()
            wait = self.ask(board, shares, again=True)
            losses_d = self.generators.judge(shares["d"], again=True)
            steps_d += [self.step_d(losses_d, wait(), shares["d"])]
        self.update_average()
        self.step += 1
        loss_d = bad_or_last(steps_d)
        self.bad_steps.note(self.step, loss_d=loss_d, loss_g=loss_g)
        return {"loss_d": loss_d, "loss_g": loss_g}

    def early(self, fresh: Mapping[str, Publication]) -> Value:
        """G0 takes a step after each local; G0's last loss, or the first that is not finite."""
        losses, here = [], self.opposition.here
        for name in self.opposition.locals:
            here.refresh({name: fresh[name]} if name in fresh else {})
            if name in self.opposition.met:  # else it has just joined
                self.messengers.train_one(here.by_name[name])
                fake, shares = self.messengers.fake(name), self.shares()["g"]
                judged = self.messengers.judge(fake, shares, name)
                losses += [self.step_g(fake, *judged, [], shares)]
        return bad_or_last(losses)

    def shares(self) -> Shares:
        """What each opponent that was met counts now."""
        return self.payoffs.shares(self.opposition.met)

    def ask(
        self, board: Board, shares: Shares, refresh: Sequence[str] = (),
        fake: Tensor | None = None, again: bool = False,
    ) -> Callable[[], list[Answer]]:  # fmt: skip
        """Every deputy begins its part of this iteration; a function that waits for the answers."""
        if not self.opposition.deputies:
            return list  # and no copy of the networks is made
        g, d = flatten(self.g), flatten(self.d)
        turn = self.streams.turn
        x = None if fake is None else fake.detach().cpu().numpy()
        task = Task(self.step, turn, g, d, shares, tuple(refresh), x, again)
        return self.opposition.ask(task, board)

    def step_g(
        self, fake: Tensor, total: Tensor, losses: dict[str, float], answers: Sequence[Answer],
        shares: Mapping[str, float]
    ) -> float:  # fmt: skip
        """Lines 22-26: one step of G0 on the gradient summed over the messengers; the weighted mean
        of its losses.
        """
        for answer in answers:
            losses |= answer.losses_g
        value = self.payoffs.note("g", losses, shares)
        if math.isfinite(value):
            zero_grad(self.opt_g)
            by_x = [torch.tensor(a.by_x, device=self.device) for a in answers if a.by_x is not None]
            if by_x:
                # d loss / d samples of the others' messengers, as a term whose gradient by the
                # samples is just that: one way back through G0 for all
                total = total + (fake * torch.stack(by_x).sum(0)).sum()
            total.backward()
            apply(self.opt_g, self.g, self.config.clip_grad_g, self.opposition.times)
        return value

    def step_d(
        self, losses: dict[str, float], answers: Sequence[Answer], shares: Mapping[str, float]
    ) -> float:
        """Lines 27-31: one step of D0 on the gradient summed over the locals' generators; the mean
        of its losses.
        """
        for answer in answers:
            losses |= answer.losses_d
            add_gradient(self.d, answer.by_d)
        self.payoffs.note("d", losses, shares)
        value = sum(losses[n] for n in shares) / len(shares)
        if math.isfinite(value):
            apply(self.opt_d, self.d, self.config.clip_grad_d, self.opposition.times)
            self.loss.after_d_step(self.d)
        return value

    # ----------------------------------------------------------------------------------------------
    # state

    def state(self) -> State:
        """The pair's state, and its opponents' where they live longer than one iteration."""
        return {**super().state(), **self.payoffs.state(), **self.opposition.state()}

    def restore(self, state: State) -> None:
        """Take up a state."""
        super().restore(state)
        self.payoffs.restore(state)
        self.opposition.restore(state)


def add_gradient(network: nn.Module, flat: Vector) -> None:
    """To that of its parameters, which may have none yet."""
    parameters = list(network.parameters())
    device = parameters[0].device
    pieces = torch.tensor(flat, device=device).split([p.numel() for p in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        more = piece.view_as(parameter)
        parameter.grad = more if parameter.grad is None else parameter.grad.add_(more)


def apply(
    optimizer: torch.optim.Optimizer, network: nn.Module, clip: float | None, times: float
) -> None:
    """Clip the mean gradient, multiply it (by N: the sum), step."""
    # the bound sees the mean, so that it means the same for any number of opponents
    if clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    if times != 1.0:
        torch._foreach_mul_([p.grad for p in network.parameters() if p.grad is not None], times)
    optimizer.step()

"""SGAN's global pair. When it trains is `strategy.py`'s to say; what is done with the opponents is
`messengers.py`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from raygan.config import Tempo
from raygan.gan import steps as S
from raygan.gan.pair import Meter, Parts, Sharing
from raygan.gan.types import Board, Report, State
from raygan.gan.weights import Publication, Vector, flatten
from raygan.strategies.sgan.messengers import Answer, Crew, Deputy, Task

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings

PORTION_BYTES = 16e6
"""Of publications that are read at once (lockstep)."""
Fetched = tuple[dict[str, list[Publication]], dict[str, list[int]]]
"""What was published, here; versions that deputies have read."""


class GlobalPair(Crew):
    """The supervisor: trains G0 against messengers, and D0 against the locals' generators."""

    def __init__(
        self, parts: Parts, settings: SganSettings, locals_: Sequence[str], tempo: Tempo, sharing: Sharing,
        deputies: Sequence[Deputy] = (),
    ) -> None:  # fmt: skip
        super().__init__(parts, settings, sharing)
        self.tempo = tempo
        self.locals: list[str] = []
        self.wanted = list(locals_)
        self.deputies = list(deputies)
        """Who has the rest of the opponents."""
        self.versions: dict[str, int] = {}
        """Of the copies that deputies hold."""
        self.coming: dict[str, list[int]] = {}
        """lockstep: the versions that deputies have read and not used yet."""
        self.progress: dict[str, int] = {}
        """async: the newest versions, as of the last look."""
        self.payoff: dict[str, dict[str, float]] = {"g": {}, "d": {}}
        self.meet()

    def set_members(self, members: Sequence[str]) -> None:
        """Whom to learn from, from the next iteration on; may be called from another thread."""
        self.wanted = list(members)

    def meet(self) -> None:
        """Each that came gets a messenger, here or with a deputy; where depends on its number
        alone.
        """
        if self.wanted == self.locals:
            return
        self.locals = list(self.wanted)
        crews = 1 + len(self.deputies)
        shares = [
            [n for n in self.locals if int(n.rpartition("-")[2]) % crews == i] for i in range(crews)
        ]
        self.have(shares[0])
        for deputy, share in zip(self.deputies, shares[1:], strict=True):
            deputy.have(share)
        self.versions = {n: v for n, v in self.versions.items() if n in self.locals}
        self.payoff = {
            side: {n: of.get(n, 0.0) for n in self.locals} for side, of in self.payoff.items()
        }

    def version(self, name: str) -> int:
        """Of the copy of a local; 0: there is none yet."""
        return (
            self.opponents[name].version if name in self.opponents else self.versions.get(name, 0)
        )

    @property
    def met(self) -> list[str]:
        """Locals of which there is a copy, in their order."""
        return [n for n in self.locals if self.version(n) > 0]

    # -------------------------------------------------------------------------------------------
    # Algorithm 1

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` iterations; needs the locals' versions up to there in lockstep."""
        meter = Meter()
        self.meet()
        end = self.step + steps
        for portion in self.portions(steps, board) if self.tempo == "lockstep" else [steps]:
            for _ in range(portion):
                if self.tempo == "async":
                    self.meet()
                with self.streams.for_layers(self.step):
                    meter.add(**self.iteration(board), **self.lag())
                if self.step == end:
                    meter.gradients(grad_g=self.g, grad_d=self.d)
        unmet = {"unmet": float(len(self.locals) - len(self.met))} if self.tempo == "async" else {}
        return {**meter.means(), "bad_steps": float(self.bad_steps.total), **unmet}

    def portions(self, steps: int, board: Board) -> Iterator[int]:
        """lockstep: iterations for which all publications are here; meanwhile those of the next are
        on their way.
        """
        size = max(1, int(PORTION_BYTES / (self.bytes_a_step * len(self.locals))))
        end = self.step + steps
        ends = [*range(self.step + size, end, size), end]

        def fetch(after: int, upto: int) -> Fetched:
            elsewhere = [d.read(after, upto, board) for d in self.deputies]
            mine = board.between(list(self.opponents), after, upto)
            return mine, {n: versions for found in elsewhere for n, versions in found().items()}

        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(fetch, self.step, ends[0])
            for this, following in zip(ends, [*ends[1:], end], strict=True):
                mine, self.coming = coming.result()
                self.keep(mine)
                if following > this:
                    coming = reader.submit(fetch, this, following)
                yield this - self.step

    def iteration(self, board: Board) -> dict[str, float]:
        """One iteration i."""
        self.set_rates()
        fresh, elsewhere = self.due(board)
        answers: list[Answer] = []
        if self.settings.variant == "early_global":  # App. A.2: after each update of a local
            loss_g = self.early(fresh)
            shares = self.shares()
            losses_d = self.judge_d(shares["d"])
        else:
            self.copy_messengers(fresh)  # line 14
            shares = self.shares()
            asked = self.ask(board, shares, elsewhere)
            self.train_messengers()  # lines 15-21
            fake = self.fake()
            total, losses_g = self.judge_g(fake, shares["g"])
            losses_d = self.judge_d(shares["d"])
            answers = [answer() for answer in asked]
            loss_g = self.step_g(fake, total, losses_g, answers, shares["g"])
        loss_d = self.step_d(losses_d, answers, shares["d"])
        for _ in range(1, self.settings.global_d_steps):
            shares = self.shares()
            asked = self.ask(board, shares, again=True)
            losses_d = self.judge_d(shares["d"], again=True)
            loss_d = self.step_d(losses_d, [answer() for answer in asked], shares["d"])
        self.update_average()
        self.step += 1
        self.bad_steps.note(self.step, loss_d=loss_d, loss_g=loss_g)
        return {"loss_d": loss_d, "loss_g": loss_g}

    def early(self, fresh: Mapping[str, Publication]) -> float:
        """G0 takes a step after each local; G0's last loss."""
        loss_g = math.nan
        for name in self.locals:
            self.copy_messengers({name: fresh[name]} if name in fresh else {})
            if name in self.met:  # else it has just joined
                self.train_messenger(self.opponents[name])
                fake, shares = self.fake(name), self.shares()["g"]
                loss_g = self.step_g(fake, *self.judge_g(fake, shares), [], shares)
        return loss_g

    def ask(
        self,
        board: Board,
        shares: dict[str, dict[str, float]],
        refresh: Sequence[str] = (),
        again: bool = False,
    ) -> list[Callable[[], Answer]]:
        """Every deputy begins its part; functions that wait for the answers."""
        if not self.deputies:
            return []
        task = Task(
            self.step, self.turn, flatten(self.g), flatten(self.d), shares, tuple(refresh), again
        )
        return [deputy.carry_out(task, board) for deputy in self.deputies]

    def step_g(
        self, fake: Tensor, total: Tensor, losses: dict[str, float], answers: Sequence[Answer], shares: Mapping[str, float]
    ) -> float:  # fmt: skip
        """Lines 22-26: one step of G0 on the gradient summed over the messengers; the weighted mean
        of its losses.
        """
        for answer in answers:
            losses |= answer.losses_g
            self.versions |= answer.versions
        value = self.note("g", losses, shares)
        if math.isfinite(value):
            S.zero_grad(self.opt_g)
            by_x = [torch.tensor(a.by_x, device=self.device) for a in answers if a.by_x is not None]
            if by_x:  # d loss / d samples of the others' messengers, as a term of the sum
                total = total + (fake * torch.stack(by_x).sum(0)).sum()
            total.backward()
            self.apply(self.opt_g, self.g, self.config.clip_grad_g)
        return value

    def step_d(
        self, losses: dict[str, float], answers: Sequence[Answer], shares: Mapping[str, float]
    ) -> float:
        """Lines 27-31: one step of D0 on the gradient summed over the locals' generators; the mean
        of its losses.
        """
        for answer in answers:
            losses |= answer.losses_d
            self.add_gradient(answer.by_d)
        self.note("d", losses, shares)
        value = sum(losses[n] for n in shares) / len(shares)
        if math.isfinite(value):
            self.apply(self.opt_d, self.d, self.config.clip_grad_d)
            self.loss.after_d_step(self.d)
        return value

    def add_gradient(self, flat: Vector) -> None:
        """To D0's."""
        parameters = list(self.d.parameters())
        pieces = torch.tensor(flat, device=self.device).split([p.numel() for p in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            more = piece.view_as(parameter)
            parameter.grad = more if parameter.grad is None else parameter.grad.add_(more)

    def apply(
        self, optimizer: torch.optim.Optimizer, network: nn.Module, clip: float | None
    ) -> None:
        """Clip the mean gradient, turn it into the sum if asked to, step."""
        if clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        if self.settings.combine == "sum":
            torch._foreach_mul_(
                [p.grad for p in network.parameters() if p.grad is not None], float(len(self.met))
            )
        optimizer.step()

    # ------------------------------------------------------------------------- choice of opponents
    # (section 6)

    def shares(self) -> dict[str, dict[str, float]]:
        """side -> what each opponent counts, summing to 1: the same, or a softmax over how much
        that network loses to it.
        """
        met = self.met
        if self.settings.opponents == "uniform":
            return {side: dict.fromkeys(met, 1.0 / len(met)) for side in self.payoff}
        temperature = self.settings.payoff_temperature
        weights = {
            side: payoff_weights({n: of[n] for n in met}, temperature)
            for side, of in self.payoff.items()
        }
        return {
            side: {n: w / len(met) for n, w in by_name.items()} for side, by_name in weights.items()
        }

    def note(
        self, side: Literal["g", "d"], losses: Mapping[str, float], shares: Mapping[str, float]
    ) -> float:
        """The weighted mean of the losses; follows the one against each opponent (moving average,
        0.9).
        """
        for name in shares if self.settings.opponents == "payoff" else ():
            if math.isfinite(losses[name]):
                self.payoff[side][name] += 0.1 * (losses[name] - self.payoff[side][name])
        return sum(share * losses[n] for n, share in shares.items())

    # ---------------------------------------------------------------------------------------- which
    # versions

    def due(self, board: Board) -> tuple[dict[str, Publication], list[str]]:
        """Whose copies are to be made anew: publications for those here, and (async) the names of
        those elsewhere.

        async: the newest of each local whose copy has lived its life, or lags more than `max_lag`.
        """
        if self.tempo == "lockstep":
            self.versions |= {
                n: self.step + 1 for n, versions in self.coming.items() if self.step + 1 in versions
            }
            return self.due_now(), []
        at = self.progress = board.progress(self.locals)
        old = [
            n for n in self.locals
            if at[n] > self.version(n)
            and (self.step % self.settings.messenger_lifetime == 0 or at[n] - self.version(n) > self.settings.max_lag)
        ]  # fmt: skip
        return self.newer(board, [n for n in old if n in self.opponents]), [
            n for n in old if n not in self.opponents
        ]

    def lag(self) -> dict[str, float]:
        """How far the copies in use are behind: in lockstep behind this iteration, in async behind
        where the publisher was when this iteration began.
        """
        if self.tempo == "lockstep":
            lags = [self.step - self.version(n) for n in self.met]
        else:
            lags = [max(0, self.progress.get(n, 0) - self.version(n)) for n in self.met]
        return {"lag": float(max(lags, default=0))}

    # --------------------------------------------------------------------------------------------------
    # state

    def state(self) -> State:
        """The pair's state, and its opponents' where they live longer than one iteration."""
        out = super().state()
        for side, payoffs in self.payoff.items():
            out |= {f"payoff.{side}.{n}": v for n, v in payoffs.items()}
        for part in (self.opponents_state(), *(d.opponents_state() for d in self.deputies)):
            out |= part
        return out

    def restore(self, state: State) -> None:
        """Take up a state."""
        super().restore(state)
        for side, payoffs in self.payoff.items():
            for n in payoffs:
                payoffs[n] = float(str(state.get(f"payoff.{side}.{n}", 0.0)))
        held = {k: v for k, v in state.items() if k.startswith("opponent.")}
        self.restore_opponents(held)
        for deputy in self.deputies:
            deputy.restore_opponents(held)
        self.versions = {
            n: int(str(held.get(f"opponent.{n}.version", 0)))
            for n in self.locals
            if n not in self.opponents
        }


def payoff_weights(payoff: Mapping[str, float], temperature: float) -> dict[str, float]:
    """N * softmax(payoff / temperature): mean 1, larger for the opponents that are lost against.

    >>> payoff_weights({"a": 1.0, "b": 1.0}, 1.0)
    {'a': 1.0, 'b': 1.0}
    """
    top = max(payoff.values())
    e = {n: math.exp((v - top) / temperature) for n, v in payoff.items()}
    return {n: len(e) * v / sum(e.values()) for n, v in e.items()}

"""The part of an iteration of SGAN's global pair that is done with the opponents.

One process can hold all of them, or each of several a share (`messenger_shards`): G0 and D0 go out,
gradients come back.

    global pair  --Task: G0, D0, weights-->  deputy: messengers' updates against G0 (lines 15-21)
                 <--Answer: d loss/d G0's batch, d loss/d D0--    summed by the global pair (lines 22-31)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from raygan.gan import steps as S
from raygan.gan.pair import Parts, Sharing, Trainer
from raygan.gan.types import At, Board, State, g_loss_of
from raygan.gan.weights import Publication, Vector, duplicate, unflatten
from raygan.losses.base import Held
from raygan.networks.base import has_batch_norm
from raygan.strategies.batching.stack import (
    d_steps,
    each,
    g_losses,
    held,
    may_join,
    one_at_a_time,
    pays,
    penalties,
    strange,
    usual_penalty,
)
from raygan.strategies.roles import GLOBAL
from raygan.strategies.sgan.opponents import Messengers, Opponent

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings


@dataclass(frozen=True)
class Task:
    """One iteration, for a deputy: where the global pair stands, and how much each opponent counts."""

    step: int
    turn: int
    g: Vector
    d: Vector
    shares: dict[str, dict[str, float]]
    """side -> opponent -> weight / number of opponents; one that is met just now (async) counts
    from the next iteration on.
    """
    refresh: tuple[str, ...] = ()
    """async: whose copies are due."""
    again: bool = False
    """The second, third, ... step of D0 in this iteration: D0 has changed, all else has been done.
    """


@dataclass(frozen=True)
class Answer:
    """What a deputy's opponents say: losses, and gradients of the weighted sums of them."""

    losses_g: dict[str, float]
    by_x: Vector | None
    """d loss / d G0's batch, (N, *shape): the global pair carries it on to G0's weights."""
    losses_d: dict[str, float]
    by_d: Vector
    """d loss / d D0's weights, flat."""
    versions: dict[str, int]
    """The version of each opponent's copy."""


class Crew(Trainer):
    """Some of the opponents, and what is done with them; a deputy's, or the global pair's own."""

    def __init__(self, parts: Parts, settings: SganSettings, sharing: Sharing) -> None:
        super().__init__(GLOBAL, parts)
        self.settings = settings
        self.keeps_g = not sharing.samples
        self.messenger_steps = settings.messenger_steps or self.loss.d_steps
        self.opponents: dict[str, Opponent] = {}
        self.bytes_a_step = sharing.nbytes(parts) / max(1, sharing.every)
        """What one local publishes, for each of its steps."""
        self.ahead: dict[str, dict[int, Publication]] = {}
        """lockstep: what was read and is not used yet."""
        self.messengers: Messengers | None = None
        self.d_streams: dict[str, tuple[torch.Generator, torch.Generator, torch.Generator]] = {}
        self.again = 0
        """Updates of D0 in this iteration before the present one."""
        self.together = may_join(self.d, self.loss)
        self.batches = (
            not has_batch_norm(self.g, self.d)
            and settings.variant != "early_global"
            and self.config.optimizer == "adam"
            and usual_penalty(self.loss)
            and not (strange(self.g) or strange(self.d))
            and pays(self.d)
            and one_at_a_time(self.loss) is None
        )

    def have(self, names: Sequence[str]) -> None:
        """A messenger for each that came, none for those that went."""
        for name in names:
            if name not in self.opponents:
                d = duplicate(self.d)
                g = duplicate(self.g) if self.keeps_g else None
                self.opponents[name] = Opponent(name, d, g, self.optimizer(d, self.config.lr_d))
        self.opponents = {n: self.opponents[n] for n in names}
        self.ahead = {n: held for n, held in self.ahead.items() if n in self.opponents}

    @property
    def known(self) -> list[Opponent]:
        """Opponents that hold a copy, in the order of the locals."""
        return [o for o in self.opponents.values() if o.version > 0]

    # ------------------------------------------------------------------------------------------
    # what was published

    def read(self, after: int, upto: int, board: Board) -> dict[str, list[int]]:
        """lockstep: get what is published for these iterations; its versions."""
        return self.keep(board.between(list(self.opponents), after=after, upto=upto))

    def keep(self, read: Mapping[str, Sequence[Publication]]) -> dict[str, list[int]]:
        """Beside what was read before and is not used yet; the versions of `read`."""
        for name, publications in read.items():
            unused = {v: p for v, p in self.ahead.get(name, {}).items() if v > self.step}
            self.ahead[name] = unused | {p.version: p for p in publications}
        return {name: [p.version for p in publications] for name, publications in read.items()}

    def due_now(self) -> dict[str, Publication]:
        """lockstep: of what was read, that of this iteration."""
        return {n: held[self.step + 1] for n, held in self.ahead.items() if self.step + 1 in held}

    def newer(self, board: Board, names: Sequence[str]) -> dict[str, Publication]:
        """async: the newest of each, where it is newer; of one that was revived it may be older."""
        newest = board.newest(names) if names else {}
        return {n: p for n, p in newest.items() if p.version > self.opponents[n].version}

    def copy_messengers(self, fresh: Mapping[str, Publication]) -> None:
        """D_msg = copy(D)."""
        for name, publication in fresh.items():
            self.opponents[name].refresh(publication, self.settings, self.device)

    # ------------------------------------------------------------------------------------------------
    # Algorithm 1

    def batch(self) -> Messengers | None:
        """The opponents that have met as one batched model, where that is faster."""
        known = self.known
        if not self.batches or len(known) < 2:
            return None
        if self.messengers is None or not self.messengers.are(known):
            self.messengers = Messengers(known)
        return self.messengers

    def train_messengers(self) -> None:
        """Lines 15-21, where the variant has them: one after the other, or all at once."""
        if self.settings.variant != "full":
            return
        if (batch := self.batch()) is not None:
            self.train_at_once(batch)
        else:
            for opponent in self.known:
                self.train_messenger(opponent)

    def train_at_once(self, batch: Messengers) -> None:
        """`train_messenger` of all of them."""
        rate = self.config.lr_d * self.settings.messenger_lr_scale * self.decay()
        streams = []
        for opponent in batch.opponents:
            opponent.optimizer.param_groups[0]["lr"] = rate
            self.set_betas(opponent.optimizer)
            streams.append(self.own_streams(f"messenger/{opponent.name}"))
        noise, extra, data = zip(*streams, strict=True)
        for i in range(self.messenger_steps):
            real = torch.stack([self.data.batch(self.batch_size, d, self.device) for d in data])
            with torch.no_grad():
                fake = joined(self.g, torch.stack([self.noise(n) for n in noise]))
            real, fake = (torch.stack(list(map(self.blur, x, extra))) for x in (real, fake))
            at = [self.update_of_d(i, self.messenger_steps)] * len(extra)
            d_steps(
                batch.d, self.loss, real, fake, extra, self.config.clip_grad_d, self.together, at
            )

    def train_messenger(self, opponent: Opponent) -> None:
        """`messenger_steps` updates of D_msg[n] against G0."""
        rate = self.config.lr_d * self.settings.messenger_lr_scale * self.decay()
        opponent.optimizer.param_groups[0]["lr"] = rate
        self.set_betas(opponent.optimizer)
        noise, extra, data = self.own_streams(f"messenger/{opponent.name}")
        for i in range(self.messenger_steps):
            real = self.data.batch(self.batch_size, data, self.device)
            with torch.no_grad():
                fake = self.g(self.noise(noise))
            real, fake = self.blur(real, extra), self.blur(fake, extra)
            at = self.update_of_d(i, self.messenger_steps)
            S.d_step(
                opponent.d,
                opponent.optimizer,
                self.loss,
                real,
                fake,
                extra,
                self.config.clip_grad_d,
                self.together,
                at,
            )

    def fake(self, after: str = "") -> Tensor:
        """G0's batch of this iteration, (N, *shape): one batch of z serves all messengers, wherever
        they are.
        """
        noise, extra, _ = self.own_streams(f"g/{after}")
        return self.blur(self.g(self.noise(noise)), extra)

    def judge_g(self, fake: Tensor, shares: Mapping[str, float]) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of G0's losses against these messengers (a graph), and each loss."""
        batch, known = self.batch(), self.known
        if not known:
            return torch.zeros(()), {}
        if batch is not None:
            reals = lambda: torch.stack([self.compared(o.name) for o in known])  # noqa: E731
            losses = g_losses(self.loss, batch.d, fake.expand(len(known), *fake.shape), reals)
        else:
            seen = []
            for opponent in known:
                with S.frozen(opponent.d):
                    real = partial(self.compared_by, opponent)
                    seen.append(g_loss_of(self.loss, opponent.d(fake), real))
            losses = torch.stack(seen)
        total = (losses * self.of_each(shares)).sum()
        return total, dict(zip((o.name for o in known), losses.tolist(), strict=True))

    def compared(self, name: str) -> Tensor:
        """Real samples (N, *shape) beside G0's, for losses that compare: a batch for each
        messenger, wherever it is.
        """
        _, extra, data = self.own_streams(f"compare/{name}")
        return self.blur(self.data.batch(self.batch_size, data, self.device), extra)

    def compared_by(self, opponent: Opponent) -> Tensor:
        """A messenger's logits on them."""
        return S.on_real(opponent.d, self.compared(opponent.name))

    def of_each(self, shares: Mapping[str, float]) -> Tensor:
        """The shares as a vector, in the order of `known`."""
        return torch.tensor([shares.get(o.name, 0.0) for o in self.known], device=self.device)

    def judge_d(self, shares: Mapping[str, float], again: bool = False) -> dict[str, float]:
        """Leave the gradient of the weighted sum of D0's losses against these generators in D0;
        each loss.

        again: the batches after those of the call before.
        """
        S.zero_grad(self.opt_d)
        batch, known = self.batch(), self.known
        self.again = self.again + 1 if again else 0
        if not again:
            self.d_streams = {o.name: self.own_streams(f"d/{o.name}") for o in known}
        if batch is not None:
            return self.judge_d_at_once(batch, shares)
        losses = {}
        for opponent in known:
            noise, extra, data = self.d_streams[opponent.name]
            real = self.blur(self.data.batch(self.batch_size, data, self.device), extra)
            fake = self.blur(opponent.fakes(partial(self.noise, noise)), extra)
            share = shares.get(opponent.name, 0.0)
            losses[opponent.name] = S.d_backward(
                self.d, self.loss, real, fake, extra, share, self.together, self.at
            )
        return losses

    def judge_d_at_once(self, batch: Messengers, shares: Mapping[str, float]) -> dict[str, float]:
        """The same, with all locals' batches in one."""
        names = [o.name for o in batch.opponents]
        reals, fakes, points = list[Tensor](), list[Tensor](), list[list[Held]]()
        drawn = batch.fakes([partial(self.noise, self.d_streams[n][0]) for n in names])
        for name, sample in zip(names, drawn, strict=True):
            _, extra, data = self.d_streams[name]
            reals.append(self.blur(self.data.batch(self.batch_size, data, self.device), extra))
            fakes.append(self.blur(sample, extra))
            points.append(held(self.loss, reals[-1], fakes[-1], extra, self.at))
        real, fake = torch.stack(reals), torch.stack(fakes)
        d = partial(joined, self.d)
        losses = each(self.loss.d_loss, *S.logits_of(d, real, fake, self.together))
        losses = losses + penalties(d, points)
        values: list[float] = losses.tolist()
        if all(map(math.isfinite, values)):
            (losses * self.of_each(shares)).sum().backward()
        return dict(zip(names, values, strict=True))

    @property
    def at(self) -> At:
        """Which update of D0 this is."""
        return self.update_of_d(self.again, self.settings.global_d_steps)

    def own_streams(self, use: str) -> tuple[torch.Generator, torch.Generator, torch.Generator]:
        """(noise, everything else, data) of one use in this iteration; no local has a part in them."""
        noise, extra = (self.streams.at(f"{use}/{p}", self.step) for p in ("noise", "extra"))
        return noise, extra, self.streams.at(f"{use}/data", self.step, "cpu")

    # ---------------------------------------------------------------------------------------------
    # as a deputy

    def carry_out(self, task: Task, board: Board) -> Answer:
        """A deputy's part of an iteration."""
        purpose = f"layers/{next(iter(self.opponents), '')}/{'again' if task.again else 'first'}"
        self.take_turn(task.turn)
        with self.streams.for_layers(task.step, purpose):
            return self._carried_out(task, board)

    def _carried_out(self, task: Task, board: Board) -> Answer:
        unflatten(self.d, task.d)
        if task.again:
            return Answer({}, None, self.judge_d(task.shares["d"], again=True), self.gradient(), {})
        self.step = task.step
        unflatten(self.g, task.g)
        old = [n for n in task.refresh if n in self.opponents]
        self.copy_messengers(self.newer(board, old) if old else self.due_now())
        self.train_messengers()
        fake = self.fake().detach().requires_grad_()
        total, losses_g = self.judge_g(fake, task.shares["g"])
        if total.requires_grad:
            total.backward()
        by_x = None if fake.grad is None else fake.grad.cpu().numpy()
        losses_d = self.judge_d(task.shares["d"])
        return Answer(
            losses_g, by_x, losses_d, self.gradient(), {o.name: o.version for o in self.known}
        )

    def gradient(self) -> Vector:
        """D0's, flat."""
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.d.parameters()]
        return torch.cat([p.reshape(-1) for p in parts]).cpu().numpy()

    def opponents_state(self) -> State:
        """Of those that hold a copy."""
        return {key: value for o in self.known for key, value in o.state().items()}

    def restore_opponents(self, state: State) -> None:
        """The inverse."""
        self.messengers = None  # their optimizers get tensors of their own
        for name, opponent in self.opponents.items():
            if f"opponent.{name}.version" in state:
                opponent.restore(state, self.device)
            else:
                opponent.version = 0


class Deputy(Protocol):
    """A crew somewhere else. What may take its time gives a function that waits for the result."""

    def have(self, names: Sequence[str]) -> None:
        """Crew.have."""

    def read(self, after: int, upto: int, board: Board) -> Callable[[], dict[str, list[int]]]:
        """Crew.read."""

    def carry_out(self, task: Task, board: Board) -> Callable[[], Answer]:
        """Crew.carry_out."""

    def opponents_state(self) -> State:
        """Crew.opponents_state."""

    def restore_opponents(self, state: State) -> None:
        """Crew.restore_opponents."""


class DeputyHere(Deputy):
    """A crew in this process: the inline executor's."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew

    def have(self, names: Sequence[str]) -> None:
        """At once."""
        self.crew.have(names)

    def read(self, after: int, upto: int, board: Board) -> Callable[[], dict[str, list[int]]]:
        """At once."""
        found = self.crew.read(after, upto, board)
        return lambda: found

    def carry_out(self, task: Task, board: Board) -> Callable[[], Answer]:
        """At once."""
        answer = self.crew.carry_out(task, board)
        return lambda: answer

    def opponents_state(self) -> State:
        """At once."""
        return self.crew.opponents_state()

    def restore_opponents(self, state: State) -> None:
        """At once."""
        self.crew.restore_opponents(state)


def joined(network: nn.Module, x: Tensor) -> Tensor:
    """One network on several batches at once, (batches, N, ...) -> (batches, N, ...); none of it
    may look at a whole batch.
    """
    out: Tensor = network(x.flatten(0, 1))
    return out.view(*x.shape[:2], *out.shape[1:])

"""SGAN's global pair, and what it knows of each local. When it trains is `sgan.py`'s to say."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config import Tempo
from raygan.gan import steps as S
from raygan.gan.pair import Meter, Parts, Sharing, Trainer
from raygan.gan.types import Board, Report, State
from raygan.gan.weights import Publication, unflatten
from raygan.strategies.pack import Stack, d_steps, pays, penalties, penalty_points, strange_layer, usual_penalty
from raygan.strategies.roles import GLOBAL

if TYPE_CHECKING:
    from raygan.strategies.sgan import Sgan


class Opponent:
    """What the global pair knows of one local: a messenger (copy of D_n) and G_n as samples or as a copy."""

    def __init__(self, name: str, d: nn.Module, g: nn.Module | None, optimizer: torch.optim.Optimizer) -> None:
        self.name = name
        self.d = d
        self.g = g
        self.optimizer = optimizer
        self.version = 0
        self.samples: Tensor | None = None
        self.used = 0  # batches of `samples` that D0 has seen

    def refresh(self, publication: Publication, settings: Sgan, device: torch.device) -> None:
        """D_msg[n] = copy(D_n); G_n likewise. (S4: starts equal to the published D_n.)"""
        self.version = publication.version
        unflatten(self.d, publication.arrays["D"])
        if settings.messenger_optimizer == "fresh":
            S.forget(self.optimizer)
        elif settings.messenger_optimizer == "clone":
            S.unflatten_optimizer(self.optimizer, publication.arrays["opt_d"])
        if self.g is not None:
            unflatten(self.g, publication.arrays["G"])
        else:
            self.samples = torch.from_numpy(np.array(publication.arrays["samples"])).to(device)
            self.used = 0

    def fakes(self, draw: Callable[[], Tensor]) -> Tensor:
        """A batch of G_n; from its copy with a z from `draw`, or the next published batch."""
        if self.g is not None:
            with torch.no_grad():
                out: Tensor = self.g(draw())
                return out
        assert self.samples is not None, f"{self.name} has published nothing yet"
        batch = self.samples[self.used % len(self.samples)]
        self.used += 1
        return batch

    def state(self) -> State:
        """For a checkpoint in the middle of a messenger's life."""
        p = f"opponent.{self.name}"
        return {
            f"{p}.version": self.version,
            f"{p}.used": self.used,
            **S.network_state(f"{p}.d", self.d),
            **S.optimizer_state(f"{p}.opt", self.optimizer),
            **(S.network_state(f"{p}.g", self.g) if self.g is not None else {}),
            **({f"{p}.samples": self.samples.cpu().clone()} if self.samples is not None else {}),
        }

    def restore(self, state: State, device: torch.device) -> None:
        """The inverse of `state`."""
        p = f"opponent.{self.name}"
        self.version = int(str(state[f"{p}.version"]))
        self.used = int(str(state[f"{p}.used"]))
        S.load_network(f"{p}.d", self.d, state)
        S.load_optimizer(f"{p}.opt", self.optimizer, state)
        if self.g is not None:
            S.load_network(f"{p}.g", self.g, state)
        samples = state.get(f"{p}.samples")
        self.samples = samples.to(device) if isinstance(samples, Tensor) else None


class Messengers:
    """All opponents at once, as one batched model; each keeps its own copies, optimizer and random streams."""

    def __init__(self, opponents: Sequence[Opponent]) -> None:
        self.opponents = list(opponents)
        self.d = Stack([o.d for o in opponents], [o.optimizer for o in opponents])
        self.g = Stack([o.g for o in opponents if o.g is not None]) if opponents[0].g is not None else None

    def are(self, opponents: Sequence[Opponent]) -> bool:
        """Is this the model of these, as they are now?"""
        same = len(opponents) == len(self.opponents) and all(
            a is b for a, b in zip(opponents, self.opponents, strict=True)
        )
        return same and self.d.bound and (self.g is None or self.g.bound)

    def fakes(self, draw: Callable[[], Tensor]) -> Tensor:
        """A batch of each G_n, (opponents, N, *shape)."""
        if self.g is None:
            return torch.stack([o.fakes(draw) for o in self.opponents])
        with torch.no_grad():
            return self.g(torch.stack([draw() for _ in self.opponents]))


class GlobalPair(Trainer):
    """The supervisor: trains G0 against messengers, and D0 against the locals' generators."""

    def __init__(self, parts: Parts, settings: Sgan, locals_: Sequence[str], tempo: Tempo, sharing: Sharing) -> None:
        super().__init__(GLOBAL, parts)
        self.settings = settings
        self.locals: list[str] = []
        self.wanted = list(locals_)
        self.keeps_g = not sharing.samples
        self.tempo = tempo
        self.messenger_steps = settings.messenger_steps or self.loss.d_steps
        self.opponents: dict[str, Opponent] = {}
        self.met: list[str] = []  # opponents that hold a copy, in the order of the locals
        self.payoff: dict[str, dict[str, float]] = {"g": {}, "d": {}}
        self.messengers: Messengers | None = None
        normed = any(isinstance(m, nn.BatchNorm2d) for n in (self.g, self.d) for m in n.modules())
        self.batches = (
            not normed and settings.variant != "early_global" and self.config.optimizer == "adam" and usual_penalty(self.loss)
            and not (strange_layer(self.g) or strange_layer(self.d)) and pays(self.d)
        )  # fmt: skip
        self.meet()

    def set_members(self, members: Sequence[str]) -> None:
        """Whom to learn from, from the next iteration on; may be called from another thread."""
        self.wanted = list(members)

    def meet(self) -> None:
        """A messenger for each that came, none for those that went."""
        if self.wanted == self.locals:
            return
        self.locals = list(self.wanted)
        for name in self.locals:
            if name not in self.opponents:
                d = copy.deepcopy(self.d)
                g = copy.deepcopy(self.g) if self.keeps_g else None
                self.opponents[name] = Opponent(name, d, g, self.optimizer(d, self.config.lr_d))
        self.opponents = {n: self.opponents[n] for n in self.locals}
        self.met = [n for n in self.met if n in self.opponents]
        self.payoff = {side: {n: of.get(n, 0.0) for n in self.locals} for side, of in self.payoff.items()}

    # ------------------------------------------------------------------------------------------- Algorithm 1

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` iterations; needs the locals' versions up to there in lockstep."""
        meter = Meter()
        self.meet()
        ahead: dict[str, dict[int, Publication]] = {}
        if self.tempo == "lockstep":
            read = board.between(self.locals, after=self.step, upto=self.step + steps)
            ahead = {name: {p.version: p for p in publications} for name, publications in read.items()}
        for i in range(steps):
            if self.tempo == "async":
                self.meet()
            fresh = self.due(board) if self.tempo == "async" else {
                name: ahead[name][self.step + 1] for name in self.locals if self.step + 1 in ahead[name]
            }  # fmt: skip
            meter.add(**self.iteration(fresh), **self.lag(board))
            if i == steps - 1:
                meter.gradients(grad_g=self.g, grad_d=self.d)
        return {**meter.means(), "bad_steps": float(self.bad_steps.total)}

    def iteration(self, fresh: Mapping[str, Publication]) -> dict[str, float]:
        """One iteration i; `fresh` holds the publications to copy messengers from."""
        self.set_rates()
        if self.settings.variant == "early_global":  # App. A.2: after each update of a local
            loss_g = math.nan
            for name in self.locals:
                self.copy_messengers({name: fresh[name]} if name in fresh else {})
                if name not in self.met:  # has just joined
                    continue
                self.train_messenger(self.opponents[name])
                loss_g = self.step_g(name)
        else:
            self.copy_messengers(fresh)  # line 14
            batch = self.batch()
            if self.settings.variant == "full":  # lines 15-21
                if batch is not None:
                    self.train_messengers(batch)
                for name in self.met if batch is None else ():
                    self.train_messenger(self.opponents[name])
            loss_g = self.step_g(batch=batch)
        loss_d = self.step_d(self.batch())
        self.update_average()
        self.step += 1
        self.bad_steps.note(self.step, loss_d=loss_d, loss_g=loss_g)
        return {"loss_d": loss_d, "loss_g": loss_g}

    def copy_messengers(self, fresh: Mapping[str, Publication]) -> None:
        """D_msg = copy(D)."""
        for name, publication in fresh.items():
            self.opponents[name].refresh(publication, self.settings, self.device)
        self.met = [n for n in self.locals if self.opponents[n].version > 0]

    def batch(self) -> Messengers | None:
        """The opponents that have met as one batched model, where that is faster."""
        if not self.batches or len(self.met) < 2:
            return None
        met = [self.opponents[n] for n in self.met]
        if self.messengers is None or not self.messengers.are(met):
            self.messengers = Messengers(met)
        return self.messengers

    def train_messengers(self, batch: Messengers) -> None:
        """`train_messenger` of all of them at once."""
        rate = self.config.lr_d * self.settings.messenger_lr_scale * self.decay()
        streams = []
        for opponent in batch.opponents:
            opponent.optimizer.param_groups[0]["lr"] = rate
            streams.append(self.own_streams(f"messenger/{opponent.name}"))
        noise, extra, data = zip(*streams, strict=True)
        for _ in range(self.messenger_steps):
            real = torch.stack([self.data.batch(self.batch_size, d, self.device) for d in data])
            with torch.no_grad():
                fake = joined(self.g, torch.stack([self.noise(n) for n in noise]))
            real, fake = (torch.stack(list(map(self.blur, x, extra))) for x in (real, fake))
            d_steps(batch.d, self.loss, real, fake, extra, self.config.clip_grad_d)

    def train_messenger(self, opponent: Opponent) -> None:
        """`messenger_steps` updates of D_msg[n] against G0."""
        rate = self.config.lr_d * self.settings.messenger_lr_scale * self.decay()
        opponent.optimizer.param_groups[0]["lr"] = rate
        noise, extra, data = self.own_streams(f"messenger/{opponent.name}")
        for _ in range(self.messenger_steps):
            real = self.data.batch(self.batch_size, data, self.device)
            with torch.no_grad():
                fake = self.g(self.noise(noise))
            real, fake = self.blur(real, extra), self.blur(fake, extra)
            S.d_step(opponent.d, opponent.optimizer, self.loss, real, fake, extra, self.config.clip_grad_d)

    def step_g(self, after: str = "", batch: Messengers | None = None) -> float:
        """One step of G0 on the gradient summed over the messengers; one batch of z serves all of them."""
        noise, extra, _ = self.own_streams(f"g/{after}")
        S.zero_grad(self.opt_g)
        fake = self.blur(self.g(self.noise(noise)), extra)
        weights = self.weights("g")
        total = torch.zeros((), device=self.device)
        seen = batch.d(fake.expand(len(self.met), *fake.shape), frozen=True) if batch is not None else None
        for i, name in enumerate(self.met):
            if seen is not None:
                loss = self.loss.g_loss(seen[i])
            else:
                with S.frozen(self.opponents[name].d):
                    loss = self.loss.g_loss(self.opponents[name].d(fake))
            total = total + loss * (weights[name] / len(self.met))
            self.note_payoff("g", name, loss)
        value = total.item()
        if math.isfinite(value):
            total.backward()
            self.apply(self.opt_g, self.g, self.config.clip_grad_g)
        return value

    def step_d(self, batch: Messengers | None = None) -> float:
        """`global_d_steps` steps of D0, each on the gradient summed over the locals' generators."""
        noise, extra, data = self.own_streams("d/")
        value = math.nan
        if batch is not None:
            return self.step_d_at_once(batch, noise, extra, data)
        for _ in range(self.settings.global_d_steps):
            S.zero_grad(self.opt_d)
            weights = self.weights("d")
            losses = []
            for name in self.met:
                real = self.blur(self.data.batch(self.batch_size, data, self.device), extra)
                fake = self.blur(self.opponents[name].fakes(lambda: self.noise(noise)), extra)
                share = weights[name] / len(self.met)
                losses.append(S.d_backward(self.d, self.loss, real, fake, extra, share))
                self.note_payoff("d", name, torch.tensor(losses[-1]))
            value = sum(losses) / len(losses)
            if math.isfinite(value):
                self.apply(self.opt_d, self.d, self.config.clip_grad_d)
                self.loss.after_d_step(self.d)
        return value

    def step_d_at_once(
        self, batch: Messengers, noise: torch.Generator, extra: torch.Generator, data: torch.Generator
    ) -> float:
        """The same, with all locals' batches in one."""
        value = math.nan
        for _ in range(self.settings.global_d_steps):
            S.zero_grad(self.opt_d)
            weights = self.weights("d")
            reals, fakes, points = list[Tensor](), list[Tensor](), list[Tensor | None]()
            for sample in batch.fakes(lambda: self.noise(noise)):  # `extra` goes on from opponent to opponent
                reals.append(self.blur(self.data.batch(self.batch_size, data, self.device), extra))
                fakes.append(self.blur(sample, extra))
                points.append(penalty_points(self.loss, reals[-1], fakes[-1], extra))
            real, fake = torch.stack(reals), torch.stack(fakes)
            d = partial(joined, self.d)
            losses = torch.stack([self.loss.d_loss(r, f) for r, f in zip(d(real), d(fake), strict=True)])
            losses = losses + penalties(d, self.loss, points)
            values: list[float] = losses.tolist()
            value = sum(values) / len(values)
            for name, one in zip(self.met, values, strict=True):
                self.note_payoff("d", name, torch.tensor(one))
            if math.isfinite(value):
                share = torch.tensor([weights[n] / len(self.met) for n in self.met], device=self.device)
                (losses * share).sum().backward()
                self.apply(self.opt_d, self.d, self.config.clip_grad_d)
                self.loss.after_d_step(self.d)
        return value

    def apply(self, optimizer: torch.optim.Optimizer, network: nn.Module, clip: float | None) -> None:
        """Clip the mean gradient, turn it into the sum if asked to, step."""
        if clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        if self.settings.combine == "sum":
            torch._foreach_mul_([p.grad for p in network.parameters() if p.grad is not None], float(len(self.met)))
        optimizer.step()

    def own_streams(self, use: str) -> tuple[torch.Generator, torch.Generator, torch.Generator]:
        """(noise, everything else, data) of one use in this iteration; no local has a part in them."""
        noise, extra = (self.streams.at(f"{use}/{p}", self.step) for p in ("noise", "extra"))
        return noise, extra, self.streams.at(f"{use}/data", self.step, "cpu")

    # ------------------------------------------------------------------------- choice of opponents (section 6)

    def weights(self, side: Literal["g", "d"]) -> dict[str, float]:
        """Each opponent's weight, mean 1: uniform, or a softmax over how much the global network loses to it."""
        if self.settings.opponents == "uniform":
            return dict.fromkeys(self.met, 1.0)
        payoff = {n: self.payoff[side][n] for n in self.met}
        return payoff_weights(payoff, self.settings.payoff_temperature)

    def note_payoff(self, side: Literal["g", "d"], name: str, loss: Tensor) -> None:
        """Follow the global network's loss against one opponent (moving average, 0.9)."""
        if self.settings.opponents == "payoff" and math.isfinite(value := loss.item()):
            self.payoff[side][name] += 0.1 * (value - self.payoff[side][name])

    # ------------------------------------------------------------------------------------------- tempo: async

    def due(self, board: Board) -> dict[str, Publication]:
        """The newest publication of each local whose copy has lived its life, or lags more than `max_lag`."""
        at = board.progress(self.locals)
        old = [
            n for n in self.locals
            if at[n] > self.opponents[n].version
            and (self.step % self.settings.messenger_lifetime == 0
                 or at[n] - self.opponents[n].version > self.settings.max_lag)
        ]  # fmt: skip
        newest = board.newest(old) if old else {}
        return {
            n: p for n, p in newest.items() if p.version > self.opponents[n].version
        }  # one that was revived may be behind

    def lag(self, board: Board) -> dict[str, float]:
        """How far the copies in use are behind: in lockstep behind this iteration, in async behind the publisher."""
        if self.tempo == "lockstep":
            lags = [self.step - self.opponents[n].version for n in self.met]
        else:
            at = board.progress(self.locals)
            lags = [max(0, at[n] - self.opponents[n].version) for n in self.met]
        return {"lag": float(max(lags, default=0))}

    # -------------------------------------------------------------------------------------------------- state

    def state(self) -> State:
        """The pair's state, and its opponents' where they live longer than one iteration."""
        out = super().state()
        for side, payoffs in self.payoff.items():
            out |= {f"payoff.{side}.{n}": v for n, v in payoffs.items()}
        for name in self.met:
            out |= self.opponents[name].state()
        return {**out, "met": ",".join(self.met)}

    def restore(self, state: State) -> None:
        """Take up a state."""
        super().restore(state)
        for side, payoffs in self.payoff.items():
            for n in payoffs:
                payoffs[n] = float(str(state.get(f"payoff.{side}.{n}", 0.0)))
        self.met = [n for n in str(state["met"]).split(",") if n in self.opponents]
        for name in self.met:
            self.opponents[name].restore(state, self.device)


def joined(network: nn.Module, x: Tensor) -> Tensor:
    """One network on several batches at once, (batches, N, ...) -> (batches, N, ...); none of it may look at a whole batch."""
    out: Tensor = network(x.flatten(0, 1))
    return out.view(*x.shape[:2], *out.shape[1:])


def payoff_weights(payoff: Mapping[str, float], temperature: float) -> dict[str, float]:
    """N * softmax(payoff / temperature): mean 1, larger for the opponents that are lost against.

    >>> payoff_weights({"a": 1.0, "b": 1.0}, 1.0)
    {'a': 1.0, 'b': 1.0}
    """
    top = max(payoff.values())
    e = {n: math.exp((v - top) / temperature) for n, v in payoff.items()}
    return {n: len(e) * v / sum(e.values()) for n, v in e.items()}

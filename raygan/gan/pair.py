"""One GAN pair: G, D, their optimizers, their random streams and data order; trains alone and knows
of nobody.

train(steps, board):  for each step    I_D x d_step(G, D, X)          Algorithm 1 of SGAN, lines 5-9
                                       g_step(G, D)                    lines 10-12
                      if a version is due: board.publish(copy)         for whoever wants to read it

X is a batch of `data.base.Samples.batch`, drawn by the pair's own stream; what is published lies on
its shelf (`controller.worker.Shelves`; between processes `actors.publications`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config import PairConfig
from raygan.errors import CheckpointError, NonFiniteError
from raygan.gan import steps as S
from raygan.gan.random_streams import Streams, sample_prior
from raygan.gan.transfer import state_on_host
from raygan.gan.types import At, Board, Dataset, Loss, Report, State
from raygan.gan.weights import (
    Parcel,
    Precision,
    Publication,
    Vector,
    duplicate,
    flatten,
    float_pieces,
    halve,
    narrow,
    num_words,
    signature_hash,
    unflatten,
    word_bytes,
)


@dataclass(frozen=True)
class Sharing:
    """What a pair publishes: at versions 1, 1 + every, 1 + 2 every, ... (every = 0: nothing)."""

    every: int = 0
    samples: int = 0
    """Batches of G's samples a publication; 0 = G's weights instead."""
    optimizer: bool = False
    """Also the state of D's optimizer."""
    precision: Precision = "float32"
    """Of the weights and samples."""

    def due(self, version: int) -> bool:
        """Is there a publication at this version?"""
        return self.every > 0 and (version - 1) % self.every == 0

    def nbytes(self, parts: Parts) -> float:
        """Of a publication of such a pair."""
        samples = self.samples * parts.batch_size * math.prod(parts.data.shape)
        d = num_words(parts.discriminator)
        state = 4 * parts.config.optimizer_words * d if self.optimizer else 0
        return word_bytes(self.precision) * (d + (samples or num_words(parts.generator))) + state


@dataclass(frozen=True)
class Parts:
    """What a player is made of; handed to its constructor."""

    generator: nn.Module
    discriminator: nn.Module
    z_dim: int
    loss: Loss
    data: Dataset
    batch_size: int
    config: PairConfig
    total_steps: int
    streams: Streams
    smooth_steps: int = 0
    """Steps for which rates stay changed after a swap (GAP's authors: 5 % of an epoch)."""


class Trainer:
    """What a local pair and the global pair have in common: two networks, optimizers, schedules, a
    state.
    """

    def __init__(self, name: str, parts: Parts) -> None:
        self.name = name
        self.parts = parts
        self.config = parts.config
        self.rates = parts.config.rates
        self.loss = parts.loss
        self.data = parts.data
        self.batch_size = parts.batch_size
        self.streams = parts.streams
        self.device = parts.streams.device
        self.g = parts.generator.to(self.device)
        self.d = parts.discriminator.to(self.device)
        self.opt_g = self.optimizer(self.g, self.config.lr_g)
        self.opt_d = self.optimizer(self.d, self.config.lr_d)
        self.average = duplicate(self.g) if self.config.ema else self.g
        self.averaged = tuple(
            list[Tensor](t) for n in (self.average, self.g) for t in (n.parameters(), n.buffers())
        )
        self.bad_steps = S.BadSteps(name, self.config.max_bad_steps)
        self.identity = {"D": name, "G": name}
        self.swapped_at = -1
        self.turn = 0
        """Rolled back so often: each time with random streams of its own."""
        self.step = 0

    def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        """A fresh optimizer of the configured kind, of all parameters that train."""
        trained = [p for p in network.parameters() if p.requires_grad]
        return S.make_optimizer(
            self.config.optimizer, trained, lr, self.config.beta1, self.config.beta2
        )

    @property
    def beats(self) -> int:
        """Moves while it works."""
        return self.step

    def open(self, board: Board) -> None:
        """Nobody needs anything of it before its first step."""

    # ------------------------------------------------------------------------------------------
    # within a step

    def decay(self) -> float:
        """The present learning rate, as a share of the configured one."""
        return self.rates.at("lr", 1.0, self.step, self.parts.total_steps)

    def scheduled(self, name: str, start: float) -> float:
        """A setting as `pair.schedule` has it at this step."""
        return self.config.schedule.at(name, start, self.step, self.parts.total_steps)

    def update_of_d(self, i: int, steps: int) -> At:
        """The i-th of `steps` updates of D in this step."""
        return At(self.step * steps + i, self.scheduled("gamma", 1.0))

    @property
    def ema(self) -> float:
        """Decay of G's moving average at this step."""
        return self.scheduled("ema", self.config.ema)

    def smoothing(self) -> tuple[float, float]:
        """(factor of G's rate, of D's), s steps after a swap: 1 + 0.3/(s + 0.3), 1 - 0.3/(s + 0.6)
        (code of GAP's authors).
        """
        s = self.step - self.swapped_at
        if self.swapped_at < 0 or s >= self.parts.smooth_steps:
            return 1.0, 1.0
        return 1 + 0.3 / (s + 0.3), 1 - 0.3 / (s + 0.6)

    def set_rates(self) -> None:
        """Follow the schedules of rates and betas."""
        for optimizer in (self.opt_g, self.opt_d):
            self.set_betas(optimizer)
        if self.rates.lr is not None or self.parts.smooth_steps:
            decay, factors = self.decay(), self.smoothing()
            for optimizer, lr, factor in zip(
                (self.opt_g, self.opt_d), (self.config.lr_g, self.config.lr_d), factors, strict=True
            ):
                optimizer.param_groups[0]["lr"] = lr * decay * factor

    def set_betas(self, optimizer: torch.optim.Optimizer) -> None:
        """Follow the schedule of Adam's betas."""
        schedule = self.config.schedule
        if schedule.beta1 is not None or schedule.beta2 is not None:
            betas = (
                self.scheduled("beta1", self.config.beta1),
                self.scheduled("beta2", self.config.beta2),
            )
            optimizer.param_groups[0]["betas"] = betas

    def noise(self, stream: torch.Generator) -> Tensor:
        """A batch of z, (batch_size, z_dim)."""
        return sample_prior(self.config.prior, (self.batch_size, self.parts.z_dim), stream)

    def blur(self, x: Tensor, stream: torch.Generator) -> Tensor:
        """x + N(0, s), s falling linearly to 0 over `input_noise_steps`."""
        s = self.config.input_noise * max(0.0, 1.0 - self.step / self.config.input_noise_steps)
        return x if s == 0.0 else x + s * torch.randn(x.shape, generator=stream, device=x.device)

    def update_average(self) -> None:
        """avg <- ema avg + (1 - ema) G; buffers are copied."""
        if self.average is self.g:
            return
        average, its_buffers, now, buffers = self.averaged
        S.update_average(average, its_buffers, now, buffers, self.ema)

    # ----------------------------------------------------------------------------------------------
    # state

    def generator_vector(self) -> Vector:
        """The generator to sample from, flat and frozen; raises NonFiniteError rather than publish
        a NaN.
        """
        return finite(self.name, self.step, flatten(self.average), self.average)

    def discriminator_vector(self) -> Vector:
        """D, flat and frozen; raises NonFiniteError rather than publish a NaN."""
        return finite(self.name, self.step, flatten(self.d), self.d)

    def offer(self, what: Literal["D", "G", "pair"], carry: Literal["all", "weights"]) -> Parcel:
        """The whole D (or G, or both): weights and buffers, with carry = "all" its optimizer, and
        whose it is (of both: whose G is). A copy.

        Raises NonFiniteError rather than pass a NaN on.
        """
        if what == "pair":
            return joined(self._offered("D", carry), self._offered("G", carry))
        return self._offered(what, carry)

    def _offered(self, what: Literal["D", "G"], carry: Literal["all", "weights"]) -> Parcel:
        network, optimizer = (self.d, self.opt_d) if what == "D" else (self.g, self.opt_g)
        arrays = {"weights": finite(self.name, self.step, flatten(network), network)}
        if carry == "all":
            arrays["optimizer"] = S.flatten_optimizer(optimizer)
        if what == "G" and self.average is not self.g:
            arrays["average"] = flatten(self.average)
        return Parcel(self.identity[what], self.step, arrays)

    def adopt(self, what: Literal["D", "G", "pair"], parcel: Parcel) -> None:
        """Take up a network, or both, that another pair offered. Data order, prior and noise stay
        this pair's own.
        """
        if what == "pair":
            d, g = apart(parcel)
            self.adopt("D", d)
            self.adopt("G", g)
            return
        network, optimizer = (self.d, self.opt_d) if what == "D" else (self.g, self.opt_g)
        unflatten(network, parcel.arrays["weights"])
        if "optimizer" in parcel.arrays:
            S.unflatten_optimizer(optimizer, parcel.arrays["optimizer"])
        if "average" in parcel.arrays:
            unflatten(self.average, parcel.arrays["average"])
        self.identity[what] = parcel.identity
        self.swapped_at = self.step

    def go_on_with(self, settings: Mapping[str, float]) -> None:
        """Settings of its own from now on (a member of a population)."""
        raise NotImplementedError(f"{self.name} trains with its config's settings")

    def state(self) -> State:
        """Everything: networks, optimizers, counters. Random streams are counted, so the step
        stands for them.
        """
        return state_on_host(self.held())

    def held(self) -> State:
        """The same where it lies, not copied."""
        average = {} if self.average is self.g else S.network_state("ema", self.average)
        return {
            "step": self.step,
            "signature": f"{signature_hash(self.g)}-{signature_hash(self.d)}",
            "bad_steps": self.bad_steps.total,
            "bad_steps_in_a_row": self.bad_steps.in_a_row,
            "identity.D": self.identity["D"],
            "identity.G": self.identity["G"],
            "swapped_at": self.swapped_at,
            "turn": self.turn,
            **S.network_state("g", self.g),
            **S.optimizer_state("opt_g", self.opt_g),
            **S.network_state("d", self.d),
            **S.optimizer_state("opt_d", self.opt_d),
            **average,
        }

    def restore(self, state: State) -> None:
        """Take up a state; raises CheckpointError when it is another architecture's."""
        own = f"{signature_hash(self.g)}-{signature_hash(self.d)}"
        if state["signature"] != own:
            raise CheckpointError(
                f"{self.name}: the checkpoint holds networks of signature {state['signature']},"
                f" this config builds {own}. Resume with the config of the run, or start a new run."
            )
        S.load_network("g", self.g, state)
        S.load_optimizer("opt_g", self.opt_g, state)
        S.load_network("d", self.d, state)
        S.load_optimizer("opt_d", self.opt_d, state)
        if self.average is not self.g:
            S.load_network("ema", self.average, state)
        self.bad_steps.total = int(str(state["bad_steps"]))
        self.bad_steps.in_a_row = int(str(state["bad_steps_in_a_row"]))
        for what in ("D", "G"):
            self.identity[what] = str(state.get(f"identity.{what}", self.name))
        self.swapped_at = int(str(state.get("swapped_at", -1)))
        self.step = int(str(state["step"]))
        self.take_turn(int(str(state.get("turn", 0))))

    def take_turn(self, turn: int) -> None:
        """Random streams of its own for each time that it was rolled back."""
        self.turn = turn
        self.streams.player = f"{self.name}~{turn}" if turn else self.name

    def check(self) -> None:
        """Raises NonFiniteError when a weight or an optimizer's number is NaN or infinite."""
        held = [
            t
            for optimizer in (self.opt_g, self.opt_d)
            for slots in optimizer.state.values()
            for t in slots.values()
            if isinstance(t, Tensor)
        ]
        numbers = [*self.g.parameters(), *self.d.parameters(), *held]
        # the largest of each, not the sum of squares, which may overflow; one question, one wait
        floats = [t.detach() for t in numbers if t.is_floating_point() and t.numel()]
        largest = torch._foreach_norm(floats, float("inf"))
        if not torch.stack([n.float() for n in largest]).isfinite().all():
            raise NonFiniteError(
                self.name,
                f"weights or an optimizer's state are NaN or infinite at step {self.step}.",
            )


class Pair(Trainer):
    """A local pair: plays its own fixed opponent."""

    def __init__(self, name: str, parts: Parts, sharing: Sharing | None = None) -> None:
        super().__init__(name, parts)
        self.sharing = sharing or Sharing()
        shared = self.config.data_order == "shared"
        self.data_streams = Streams(self.streams.seed, "shared") if shared else self.streams

    def open(self, board: Board) -> None:
        """One that goes on publishes what it is, since its shelf is empty; nobody needs anything
        before the first step.
        """
        if self.step and self.sharing.every:
            board.publish(self.publication())

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` steps, publishing each version that is due; the report holds their mean
        losses.
        """
        meter = Meter()
        for i in range(steps):
            with self.streams.for_layers(self.step):
                meter.add(**self.one_step(probe=meter if i == steps - 1 else None))
            if self.sharing.due(self.step):
                board.publish(self.publication())
        return {**meter.means(), "bad_steps": float(self.bad_steps.total), **self.own()}

    def own(self) -> Report:
        """What it says of itself at the end of a round, for its strategy: `own/NAME`."""
        return {}

    def one_step(self, probe: Meter | None = None) -> dict[str, float]:
        """I_D updates of D, then one of G."""
        self.set_rates()
        noise, extra = (self.streams.at(p, self.step) for p in ("noise", "penalty"))
        data_cpu = self.data_streams.at("data", self.step, "cpu")
        loss_d = 0.0
        for i in range(self.loss.d_steps):
            real = self.data.batch(self.batch_size, data_cpu, self.device)
            with torch.no_grad():
                fake = self.g(self.noise(noise))
            real, fake = self.blur(real, extra), self.blur(fake, extra)
            at = self.update_of_d(i, self.loss.d_steps)
            value = S.d_step(
                self.d, self.opt_d, self.loss, real, fake, extra, self.config.clip_grad_d, at=at
            )
            loss_d = value if np.isfinite(loss_d) else loss_d  # one bad update marks the whole step
        if probe is not None:
            held = self.data.held_out_batch(
                self.batch_size, self.data_streams.at("held-out", self.step, "cpu")
            )
            probe.compare(self.loss, *judged(self.d, real, held.to(self.device), fake))
        z = self.noise(noise)
        blur = None
        if self.config.input_noise:
            blur = self.blur(torch.zeros_like(fake), extra)
        matching = self.config.feature_matching
        loss_g = S.g_step(
            self.g, self.d, self.opt_g, self.loss, z, self.config.clip_grad_g, blur, real, matching
        )
        if probe is not None:
            probe.gradients(grad_g=self.g, grad_d=self.d)
        self.update_average()
        self.step += 1
        self.bad_steps.note(self.step, loss_d=loss_d, loss_g=loss_g)
        return {"loss_d": loss_d, "loss_g": loss_g}

    def publication(self, d: Vector | None = None, g: Vector | None = None) -> Publication:
        """D, and G as weights or as samples; made without touching a buffer or a stream of the
        training.

        d, g: flat weights of D, and samples or flat weights of G, where a pack has made those of
        all its pairs at once.
        """
        precision = self.sharing.precision
        d = finite(self.name, self.step, flatten(self.d) if d is None else d, self.d)
        arrays = {"D": narrow(self.d, d, precision)}
        if g is None:
            g = self.shared_samples() if self.sharing.samples else flatten(self.g)
        g = finite(self.name, self.step, g, None if self.sharing.samples else self.g)
        if self.sharing.samples:
            arrays["samples"] = halve(g, precision)
        else:
            arrays["G"] = narrow(self.g, g, precision)
        if self.sharing.optimizer:
            arrays["opt_d"] = S.flatten_optimizer(self.opt_d)
        return Publication(self.name, self.step, arrays)

    def shared_samples(self) -> Vector:
        """(samples, batch_size, *shape) from G in training mode, on copies of its buffers."""
        stream = self.streams.at("share", self.step)
        with torch.no_grad(), self.streams.for_layers(self.step, "layers/share"):
            batches = [S.unmoved(self.g, self.noise(stream)) for _ in range(self.sharing.samples)]
        out = torch.stack(batches).cpu().numpy()
        out.flags.writeable = False
        return out


class Meter:
    """Means of what was added, and one look at the networks."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.asked: dict[str, Tensor] = {}
        """Numbers of the one look, where they lie: the host waits for all of them at once."""

    def add(self, **values: float) -> None:
        """Count finite values in."""
        for key, value in values.items():
            if np.isfinite(value):
                self.sums[key] = self.sums.get(key, 0.0) + value
                self.counts[key] = self.counts.get(key, 0) + 1

    def look(self, real: Tensor, fake: Tensor) -> None:
        """How D judges one batch of each kind, by its logits."""
        self.asked |= {
            "d_real": real.mean(),
            "d_fake": fake.mean(),
            "d_accuracy": 0.5 * ((real > 0).float().mean() + (fake <= 0).float().mean()),
        }

    def compare(self, loss: Loss, real: Tensor, held_out: Tensor, fake: Tensor) -> None:
        """`look`, and D's cost on a training and on a held-out batch, against the same fakes, by
        its logits (GAP, Fig. 6).
        """
        self.look(real, fake)
        n = (
            min(len(held_out), len(fake)) if loss.needs_real else None
        )  # which pairs them: a held-out part may be smaller
        held = loss.d_loss(held_out[:n], fake[:n])
        self.asked |= {"cost_train": loss.d_loss(real, fake), "cost_held_out": held}
        if (
            held_out.ndim == 1
        ):  # where G has lost modes, held-out samples of these stand out from all fakes
            self.asked["d_missed"] = (held_out > fake.max()).float().mean()

    def gradients(self, **networks: nn.Module) -> None:
        """First-layer gradient sizes (training pitfalls: the first thing to look at)."""
        for key, network in networks.items():
            first = next(network.parameters())
            if first.grad is not None:
                self.asked[key] = first.grad.norm()

    def means(self) -> Report:
        """The report."""
        means = {k: s / self.counts[k] for k, s in self.sums.items()}
        if not self.asked:
            return means
        numbers = torch.stack([t.detach().float() for t in self.asked.values()]).tolist()
        return {**means, **dict(zip(self.asked, numbers, strict=True))}


def joined(d: Parcel, g: Parcel) -> Parcel:
    """Both networks of a pair as one parcel, which has the name of G."""
    arrays = {f"{w}.{k}": a for w, part in (("D", d), ("G", g)) for k, a in part.arrays.items()}
    return Parcel(g.identity, g.step, arrays)


def apart(parcel: Parcel) -> list[Parcel]:
    """[D, G] of a `joined` one."""
    return [
        Parcel(
            parcel.identity,
            parcel.step,
            {k.removeprefix(f"{w}."): a for k, a in parcel.arrays.items() if k.startswith(f"{w}.")},
        )
        for w in ("D", "G")
    ]


def judged(d: nn.Module, *batches: Tensor) -> list[Tensor]:
    """D's logits on each batch, without a gradient and without moving its buffers."""
    with torch.no_grad():
        return [S.unmoved(d, x) for x in batches]


def finite(player: str, step: int, vector: Vector, network: nn.Module | None = None) -> Vector:
    """The vector itself; raises NonFiniteError when a number in it is not finite.

    network: whose it is; its tensors of other types than float32 are bits there, no numbers.
    """
    numbers = [vector] if network is None else float_pieces(network, vector)
    if not np.isfinite(vector.sum()) and not all(
        np.isfinite(n).all() for n in numbers
    ):  # the sum is quick, and may overflow
        raise NonFiniteError(
            player,
            f"weights are NaN or infinite at step {step}. Lower pair.lr_g and pair.lr_d, or set "
            "pair.clip_grad_d, and resume from the last checkpoint.",
        )
    return vector

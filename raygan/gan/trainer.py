"""What every player that trains networks has: G and D, their optimizers, settings that move with
the step, a state to be saved and taken up again.

    Parts --> Trainer --> Pair                                   gan/pair.py
                          GlobalPair, Judge, Centre, Site        strategies/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from raygan.config import PairConfig
from raygan.errors import CheckpointError, NonFiniteError
from raygan.gan.averaging import Averaging
from raygan.gan.bad_steps import BadSteps
from raygan.gan.host_copies import state_on_host
from raygan.gan.later import read
from raygan.gan.meter import Meter
from raygan.gan.optimizers import make_optimizer
from raygan.gan.parcels import Carry, Parcel, apart, joined, packed, unpacked
from raygan.gan.random_streams import Streams, sample_prior
from raygan.gan.scheduled import Scheduled, smoothing
from raygan.gan.states import (
    load_network,
    load_optimizer,
    network_state,
    optimizer_state,
    refuse_foreign,
)
from raygan.gan.types import At, Board, Dataset, Loss, Report, State
from raygan.gan.weights import Vector, duplicate, finite, flatten, signature_hash


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
    graphs: bool = False
    """Replay steps on a GPU as CUDA graphs, where that gives the same bits?"""
    no_graphs: str = ""
    """Why that cannot be, as far as the config says."""


class Trainer:
    """Two networks, optimizers, schedules, a state; what is done with them is the subclass's."""

    def __init__(self, name: str, parts: Parts) -> None:
        self.name = name
        self.parts = parts
        self.config = parts.config
        self.scheduled = Scheduled(parts.config, parts.total_steps)
        self.loss = parts.loss
        self.data = parts.data
        self.batch_size = parts.batch_size
        self.streams = parts.streams
        # one name for all pairs: the same batches in each, at the same step
        shared = self.config.data_order == "shared"
        self.data_streams = Streams(self.streams.seed, "shared") if shared else self.streams
        self.device = parts.streams.device
        self.g = parts.generator.to(self.device)
        self.d = parts.discriminator.to(self.device)
        self.opt_g = self.optimizer(self.g, self.config.lr_g)
        self.opt_d = self.optimizer(self.d, self.config.lr_d)
        self.average = duplicate(self.g) if self.config.ema else self.g
        self.averaging = Averaging(self.average, self.g)
        self.bad_steps = BadSteps(name, self.config.max_bad_steps)
        self.identity = {"D": name, "G": name}
        self.swapped_at = -1
        self.step = 0
        self.looked: tuple[int, bool] | None = None
        """The step after which it was asked whether all is finite, and the answer."""

    def optimizer(self, network: nn.Module, lr: float) -> torch.optim.Optimizer:
        """A fresh optimizer of the configured kind, of all parameters that train."""
        trained = [p for p in network.parameters() if p.requires_grad]
        c = self.config
        return make_optimizer(c.optimizer, trained, lr, c.beta1, c.beta2)

    @property
    def beats(self) -> int:
        """Moves while it works."""
        return self.step

    def open(self, board: Board) -> None:
        """Nobody needs anything of it before its first step."""

    # ------------------------------------------------------------------------------------------
    # within a step

    def set_rates(self) -> None:
        """Follow the schedules of rates and betas."""
        for optimizer in (self.opt_g, self.opt_d):
            self.scheduled.set_betas(optimizer, self.step)
        if self.scheduled.rates.lr is not None or self.parts.smooth_steps:
            share, factors = self.scheduled.rate(self.step), (1.0, 1.0)
            if self.swapped_at >= 0:
                factors = smoothing(self.step - self.swapped_at, self.parts.smooth_steps)
            for optimizer, lr, factor in zip(
                (self.opt_g, self.opt_d), (self.config.lr_g, self.config.lr_d), factors, strict=True
            ):
                optimizer.param_groups[0]["lr"] = lr * share * factor

    def update_of_d(self, i: int, steps: int) -> At:
        """The i-th of `steps` updates of D in this step."""
        return At(self.step * steps + i, self.scheduled.gamma(self.step))

    def noise(self, stream: torch.Generator) -> Tensor:
        """A batch of z, (batch_size, z_dim)."""
        return sample_prior(self.config.prior, (self.batch_size, self.parts.z_dim), stream)

    def blur(self, x: Tensor, stream: torch.Generator) -> Tensor:
        """x + N(0, s), s falling linearly to 0 over `input_noise_steps`."""
        s = self.scheduled.input_noise(self.step)
        return x if s == 0.0 else x + s * torch.randn(x.shape, generator=stream, device=x.device)

    def update_average(self) -> None:
        """avg <- ema avg + (1 - ema) G; buffers are copied."""
        if self.average is not self.g:
            self.averaging.update(self.scheduled.ema(self.step))

    def report(self, meter: Meter) -> Report:
        """Of a round: its means, and the steps that were skipped so far."""
        # a device is asked once, for this and for `check`, which comes next
        sound = None if self.device.type == "cpu" else self.sound()
        asked = [] if sound is None else [sound]
        found = read([*meter.values(), *self.bad_steps.values(), *asked])
        self.looked = None if sound is None else (self.step, found[id(sound)] != 0)
        self.bad_steps.settle(found)
        return {**meter.means(found), "bad_steps": float(self.bad_steps.total)}

    # ----------------------------------------------------------------------------------------------
    # what others get of it

    def generator_vector(self) -> Vector:
        """The generator to sample from, flat and frozen; raises NonFiniteError rather than publish
        a NaN.
        """
        return finite(self.name, self.step, flatten(self.average), self.average)

    def discriminator_vector(self) -> Vector:
        """D, flat and frozen; raises NonFiniteError rather than publish a NaN."""
        return finite(self.name, self.step, flatten(self.d), self.d)

    def offer(self, what: Literal["D", "G", "pair"], carry: Carry) -> Parcel:
        """The whole D (or G, or both): weights and buffers, with carry = "all" its optimizer, and
        whose it is (of both: whose G is). A copy.

        Raises NonFiniteError rather than pass a NaN on.
        """
        if what == "pair":
            return joined(self.offer("D", carry), self.offer("G", carry))
        network, optimizer = (self.d, self.opt_d) if what == "D" else (self.g, self.opt_g)
        average = self.average if what == "G" and self.average is not self.g else None
        parcel = packed(
            self.name, self.step, self.identity[what], network,
            optimizer if carry == "all" else None, average,
        )  # fmt: skip
        if average is not None:
            parcel.arrays.update(self.averaging.words())
        return parcel

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
        # without one, `average` is G itself, which must not become another's average
        kept = self.average if what == "G" and self.average is not self.g else None
        unpacked(parcel, network, optimizer, kept)
        self.looked = None
        if what == "G":
            self.averaging.take_up(parcel.arrays.get("average_float32"))
        self.identity[what] = parcel.identity
        self.swapped_at = self.step

    def go_on_with(self, settings: Mapping[str, float]) -> None:
        """Settings of its own from now on (a member of a population)."""
        raise NotImplementedError(f"{self.name} trains with its config's settings")

    # ----------------------------------------------------------------------------------------------
    # state

    def state(self) -> State:
        """Everything: networks, optimizers, counters. Random streams are counted, so the step
        stands for them.
        """
        self.bad_steps.settle()
        return state_on_host(self.held())

    def held(self) -> State:
        """The same where it lies, not copied."""
        average: State = {}
        if self.average is not self.g:
            average = {**network_state("ema", self.average), **self.averaging.state()}
        return {
            "step": self.step,
            "signature": f"{signature_hash(self.g)}-{signature_hash(self.d)}",
            "bad_steps": self.bad_steps.total,
            "bad_steps_in_a_row": self.bad_steps.in_a_row,
            "identity.D": self.identity["D"],
            "identity.G": self.identity["G"],
            "swapped_at": self.swapped_at,
            "turn": self.streams.turn,
            **network_state("g", self.g),
            **optimizer_state("opt_g", self.opt_g),
            **network_state("d", self.d),
            **optimizer_state("opt_d", self.opt_d),
            **average,
        }

    @property
    def can_undo(self) -> bool:
        """Yes: nobody counts on the very round."""
        return True

    def undo(self, state: State, board: Board) -> None:
        """What others have read of the round stays with them: all of it is finite."""
        self.restore(state)

    def restore(self, state: State) -> None:
        """Take up a state; raises CheckpointError when it is another architecture's."""
        own = f"{signature_hash(self.g)}-{signature_hash(self.d)}"
        # first of all: what does not fit leaves this player as it was
        if state["signature"] != own:
            raise CheckpointError(
                f"{self.name}: the checkpoint holds networks of signature {state['signature']},"
                f" this config builds {own}. Resume with the config of the run, or start a new run."
            )
        refuse_foreign(self.name, self.opt_g, "opt_g", state)
        refuse_foreign(self.name, self.opt_d, "opt_d", state)
        if self.average is not self.g and not any(name.startswith("ema.") for name in state):
            raise CheckpointError(
                f"{self.name}: the checkpoint holds no moving average of G, and pair.ema ="
                f" {self.config.ema:g}. Resume with the run's own pair.ema, or start a new run from"
                " it (start_from)."
            )
        self.looked = None
        self.bad_steps.waiting.clear()
        load_network("g", self.g, state)
        load_optimizer("opt_g", self.opt_g, state)
        load_network("d", self.d, state)
        load_optimizer("opt_d", self.opt_d, state)
        if self.average is not self.g:
            load_network("ema", self.average, state)
            self.averaging.restore(state)
        self.bad_steps.total = int(str(state["bad_steps"]))
        self.bad_steps.in_a_row = int(str(state["bad_steps_in_a_row"]))
        # with defaults: states of the releases before swaps and rollbacks have none of these
        for what in ("D", "G"):
            self.identity[what] = str(state.get(f"identity.{what}", self.name))
        self.swapped_at = int(str(state.get("swapped_at", -1)))
        self.step = int(str(state["step"]))
        self.streams.take_turn(int(str(state.get("turn", 0))))

    def check(self) -> None:
        """Raises NonFiniteError when a weight or an optimizer's number is NaN or infinite."""
        (step, sound), self.looked = self.looked or (-1, False), None
        if not (sound if step == self.step else bool(self.sound())):
            raise NonFiniteError(
                self.name,
                f"weights or an optimizer's state are NaN or infinite at step {self.step}.",
            )

    def sound(self) -> Tensor:
        """Is each of these finite? (), where they lie."""
        held = [
            t
            for optimizer in (self.opt_g, self.opt_d)
            for slots in optimizer.state.values()
            for t in slots.values()
            # RMSprop counts its updates on the host, wherever its weights are
            if isinstance(t, Tensor) and t.device.type == self.device.type
        ]
        numbers = [*self.g.parameters(), *self.d.parameters(), *held]
        # the largest of each, not the sum of squares, which may overflow
        floats = [t.detach() for t in numbers if t.is_floating_point() and t.numel()]
        largest = torch._foreach_norm(floats, float("inf"))
        return torch.stack([n.float() for n in largest]).isfinite().all()

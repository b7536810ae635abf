"""One GAN pair: plays its own fixed opponent, trains alone and knows of nobody.

train(steps, board):  for each step    I_D x d_step(G, D, X)          Algorithm 1 of SGAN, lines 5-9
                                       g_step(G, D)                    lines 10-12
                      if a version is due: board.publish(copy)         for whoever wants to read it

X is a batch of `data.base.Samples.batch`, drawn by the pair's own stream; what is published lies on
its shelf (`controller.worker.Shelves`; between processes `actors.publications`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raygan.gan import steps as S
from raygan.gan.captured import Captured
from raygan.gan.host_copies import up
from raygan.gan.later import Value, bad_or_last
from raygan.gan.meter import Meter, judged
from raygan.gan.optimizers import flatten_optimizer
from raygan.gan.trainer import Parts, Trainer
from raygan.gan.types import Board, Report
from raygan.gan.weights import (
    Precision,
    Publication,
    Vector,
    finite,
    flatten,
    halve,
    narrow,
    num_words,
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


class Pair(Trainer):
    """A local pair: plays its own fixed opponent."""

    def __init__(self, name: str, parts: Parts, sharing: Sharing | None = None) -> None:
        super().__init__(name, parts)
        self.sharing = sharing or Sharing()
        self.drawn_from: list[torch.Generator] = []
        """The streams of a step: of noise, and of what a loss draws."""
        self.captured: Captured | None = None
        if parts.graphs and self.device.type == "cuda":
            self.captured = Captured(self, parts.no_graphs)

    def open(self, board: Board) -> None:
        """One that goes on publishes what it is, since its shelf is empty; nobody needs anything
        before the first step.
        """
        # before the first step there is nothing to learn from, and version 1 is published at its
        # end
        if self.step and self.sharing.every:
            board.publish(self.publication())

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` steps, publishing each version that is due; the report holds their mean
        losses.
        """
        meter = Meter()
        if self.captured is not None:
            self.captured.begin(steps)
        for i in range(steps):
            with self.streams.for_layers(self.step):
                # one look a round, at its last step: a look is three more forwards
                meter.add(**self.one_step(probe=meter if i == steps - 1 else None))
            # after the step: version v is the pair after v updates of G, in every tempo
            if self.sharing.due(self.step):
                board.publish(self.publication())
        replayed = {} if self.captured is None else self.captured.end(steps)
        return {**self.report(meter), **replayed, **self.own()}

    def own(self) -> Report:
        """What it says of itself at the end of a round, for its strategy: `own/NAME`."""
        return {}

    def one_step(self, probe: Meter | None = None) -> Mapping[str, Value]:
        """I_D updates of D, then one of G."""
        self.set_rates()
        data_cpu = self.data_streams.at("data", self.step, "cpu")
        reals = [
            self.data.batch(self.batch_size, data_cpu, self.device)
            for _ in range(self.loss.d_steps)
        ]
        self.seed()
        losses: Mapping[str, Value]
        if self.captured is not None and probe is None:
            losses = self.captured.step(reals)
        else:
            losses = self.updates(reals, probe)
        self.step += 1
        self.bad_steps.note(self.step, **losses)
        return losses

    def seed(self) -> None:
        """Set the streams of `updates` to the beginning of this step."""
        # two, so that a loss that draws points of its own leaves the z of all losses alike
        self.drawn_from = [self.streams.at(p, self.step) for p in ("noise", "penalty")]

    def updates(self, reals: Sequence[Tensor], probe: Meter | None = None) -> dict[str, Value]:
        """Those of one step, on real batches (N, *shape) for each of D's; nothing here asks the
        device for a number, nor does anything of a host's but what `kind` tells.
        """
        noise, extra = self.drawn_from
        losses_d: list[Value] = []
        for i, sample in enumerate(reals):
            with torch.no_grad():
                fake = self.g(self.noise(noise))
            # both kinds: else D would tell them by the noise
            real, fake = self.blur(sample, extra), self.blur(fake, extra)
            at, clip = self.update_of_d(i, self.loss.d_steps), self.config.clip_grad_d
            losses_d += [
                S.d_step(self.d, self.opt_d, self.loss, real, fake, extra, clip=clip, at=at)
            ]
        # once a round, between the two updates: the D that G is about to learn from
        if probe is not None:
            held = self.data.held_out_batch(
                self.batch_size, self.data_streams.at("held-out", self.step, "cpu")
            )
            probe.compare(self.loss, *judged(self.d, real, up(held, self.device), fake))
        z = self.noise(noise)
        blur = None
        if self.config.input_noise:
            # drawn before the samples that it is for: a pack draws in the same order
            blur = self.blur(torch.zeros_like(fake), extra)
        loss_g = S.g_step(
            self.g, self.d, self.opt_g, self.loss, z, clip=self.config.clip_grad_g,
            noise=blur, real=real, matching=self.config.feature_matching,
        )  # fmt: skip
        if probe is not None:
            losses = {"grad_g": loss_g, "grad_d": losses_d[-1]}
            probe.gradients(losses, grad_g=self.g, grad_d=self.d)
        self.update_average()
        return {"loss_d": bad_or_last(losses_d), "loss_g": loss_g}

    def kind(self) -> Hashable:
        """The numbers of the host that `updates` puts in: steps that have them alike are alike."""
        rates = [
            (group["lr"], group.get("betas"))
            for group in (self.opt_g.param_groups[0], self.opt_d.param_groups[0])
        ]
        every = getattr(self.loss, "penalty_every", 1)
        at = [self.update_of_d(i, self.loss.d_steps) for i in range(self.loss.d_steps)]
        now = self.scheduled
        moving = now.input_noise(self.step), now.ema(self.step)
        return (*rates, *((a.update % every, a.gamma) for a in at), *moving)

    def tensors(self) -> list[Tensor]:
        """All that a step changes, where it lies."""
        held = (t for t in self.held().values() if isinstance(t, Tensor))
        return [t.detach() for t in held if t.device.type == self.device.type]

    def publication(self, d: Vector | None = None, g: Vector | None = None) -> Publication:
        """D, and G as weights or as samples; made without touching a buffer or a stream of the
        training.

        d, g: flat weights of D, and samples or flat weights of G, where a pack has made those of
        all its pairs at once.
        """
        precision = self.sharing.precision
        # looked at before it leaves: a NaN that is published is a NaN in everybody who reads it
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
            arrays["opt_d"] = flatten_optimizer(self.opt_d)
        return Publication(self.name, self.step, arrays)

    def shared_samples(self) -> Vector:
        """(samples, batch_size, *shape) from G in training mode, on copies of its buffers."""
        stream = self.streams.at("share", self.step)
        # a purpose of its own: dropout must not draw here what the next step draws
        with torch.no_grad(), self.streams.for_layers(self.step, "layers/share"):
            # what layers draw goes on from batch to batch: with one mask these are no samples of G
            batches = [
                S.on_buffers(self.g, S.buffers_of(self.g), self.noise(stream))
                for _ in range(self.sharing.samples)
            ]
        out = torch.stack(batches).cpu().numpy()
        out.flags.writeable = False
        return out

"""A site: some data that stay where they are, and a D that lives beside them. When it trains is
`strategy.py`'s to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from raygan.gan import steps as S
from raygan.gan.host_copies import up
from raygan.gan.later import Value, bad_or_last
from raygan.gan.meter import Meter, judged
from raygan.gan.trainer import Parts, Trainer
from raygan.gan.types import Board, Report
from raygan.gan.weights import Publication, Vector, halve, whole
from raygan.strategies.roles import GLOBAL

if TYPE_CHECKING:
    from raygan.strategies.federated.settings import FederatedSettings

BATCHES = f"{GLOBAL}/batches"
"""The shelf of G0's samples."""


class Site(Trainer):
    """D_n with the data of shard n; its G is never trained, and read by nobody."""

    def __init__(
        self, name: str, parts: Parts, settings: FederatedSettings, probe_every: int
    ) -> None:
        super().__init__(name, parts)
        self.settings = settings
        self.probe_every = probe_every

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` steps, each on G0's batches of that step, and answer."""
        meter = Meter()
        for _ in range(steps):
            # G0's batches of version i, made after i updates
            (found,) = board.between([BATCHES], self.step - 1, self.step)[BATCHES]
            batches = torch.from_numpy(whole(found.arrays["samples"])).to(self.device)
            with self.streams.for_layers(self.step):
                meter.add(loss_d=self.learn(batches[:-1], meter))
                word = self.judge(batches[-1])
            self.step += 1
            board.publish(Publication(self.name, self.step, word))
        return self.report(meter)

    def learn(self, fakes: Tensor, meter: Meter) -> Value:
        """An update of D_n on each of these batches (I_D, B, *shape) of G0's, as a pair's own."""
        self.set_rates()
        extra = self.streams.at("penalty", self.step)
        data = self.data_streams.at("data", self.step, "cpu")
        losses: list[Value] = []
        for i, sample in enumerate(fakes):
            real = self.blur(self.data.batch(self.batch_size, data, self.device), extra)
            fake = self.blur(sample, extra)
            losses += [
                S.d_step(
                    self.d, self.opt_d, self.loss, real, fake, extra,
                    clip=self.config.clip_grad_d, at=self.update_of_d(i, len(fakes)),
                )
            ]  # fmt: skip
        if self.step % self.probe_every == 0:
            stream = self.data_streams.at("held-out", self.step, "cpu")
            held = up(self.data.held_out_batch(self.batch_size, stream), self.device)
            meter.compare(self.loss, *judged(self.d, real, held, fake))
            meter.gradients({"grad_d": losses[-1]}, grad_d=self.d)
        value = bad_or_last(losses)
        self.bad_steps.note(self.step + 1, loss_d=value)
        return value

    def judge(self, sample: Tensor) -> dict[str, Vector]:
        """D_n's logits (B,) on a batch of G0's, and the gradient of each by its sample: all that
        ever leaves here. Where D's inputs have noise, the centre has added it: the same for all.
        """
        x = sample.detach().requires_grad_()
        with S.frozen(self.d):
            logits = S.unmoved(self.d, x)
            (gradient,) = torch.autograd.grad(logits.sum(), x)
        out = {
            "logits": logits.detach().cpu().numpy().copy(),
            "gradient": halve(gradient.cpu().numpy().copy(), self.settings.publish),
        }
        for array in out.values():
            array.flags.writeable = False
        return out

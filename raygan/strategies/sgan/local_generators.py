"""SGAN's D0 learns from the locals' generators (lines 27-31): those whose copies or samples this
process holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from raygan.gan import steps as S
from raygan.gan.optimizers import zero_grad
from raygan.gan.random_streams import sample_prior
from raygan.gan.trainer import Trainer
from raygan.gan.types import At
from raygan.losses.base import Held
from raygan.strategies.batching.fits import may_join
from raygan.strategies.batching.losses import each, held, penalties
from raygan.strategies.sgan.draws import Draws, draws, real
from raygan.strategies.sgan.messengers import joined
from raygan.strategies.sgan.opponents import AtOnce, Opponent, Opponents


class LocalGenerators:
    """D0's losses against them; `pair` has D0 and says the step."""

    def __init__(self, pair: Trainer, opponents: Opponents, d_steps: int) -> None:
        self.pair = pair
        self.opponents = opponents
        self.d_steps = d_steps
        """Updates of D0 in an iteration."""
        self.update = 0
        """Which of them this is."""
        self.draws: dict[str, Draws] = {}
        self.together = may_join(pair.d, pair.loss)

    def judge(self, shares: Mapping[str, float], again: bool = False) -> dict[str, float]:
        """Leave the gradient of the weighted sum of D0's losses against these generators in D0;
        each loss.

        again: the second, third, ... update of D0 in this iteration, on the batches after those of
        the one before.
        """
        pair, known = self.pair, self.opponents.known
        # here and nowhere after: deputies' gradients are added to what this leaves
        zero_grad(pair.opt_d)
        self.update = self.update + 1 if again else 0
        # held from one update of an iteration to the next: asked for anew,
        # a stream would begin anew
        if not again:
            self.draws = {o.name: draws(pair, f"d/{o.name}") for o in known}
        if (batch := self.opponents.at_once()) is not None:
            return self._at_once(batch, shares)
        losses = {}
        for opponent in known:
            of = self.draws[opponent.name]
            x = real(pair, of)
            fake = pair.blur(opponent.fakes(partial(self._noise, opponent)), of.extra)
            share = shares.get(opponent.name, 0.0)
            # one graph at a time: the memory of a step does not grow with the number of locals
            losses[opponent.name] = S.d_backward(
                pair.d, pair.loss, x, fake, of.extra,
                weight=share, together=self.together, at=self._at,
            )  # fmt: skip
        return losses

    def _at_once(self, batch: AtOnce, shares: Mapping[str, float]) -> dict[str, float]:
        """The same, with all locals' batches in one."""
        pair, loss = self.pair, self.pair.loss
        names = [o.name for o in batch.opponents]
        reals, fakes, points = list[Tensor](), list[Tensor](), list[list[Held]]()
        drawn = batch.fakes([partial(self._noise, o) for o in batch.opponents])
        for name, sample in zip(names, drawn, strict=True):
            of = self.draws[name]
            reals.append(real(pair, of))
            fakes.append(pair.blur(sample, of.extra))
            points.append(held(loss, reals[-1], fakes[-1], of.extra, self._at))
        d = partial(joined, pair.d)
        logits = S.logits_of(d, torch.stack(reals), torch.stack(fakes), self.together)
        losses = each(loss.d_loss, *logits) + penalties(d, points)
        values: list[float] = losses.tolist()
        # one that is not finite spoils the sum: then D0 takes no step at all (GlobalPair.step_d)
        if all(map(math.isfinite, values)):
            (losses * self.opponents.weights(shares)).sum().backward()
        return dict(zip(names, values, strict=True))

    def _noise(self, opponent: Opponent) -> Tensor:
        """z (N, z_dim) for its generator, of which another prior's would make other samples."""
        shape = (self.pair.batch_size, self.pair.parts.z_dim)
        return sample_prior(opponent.prior, shape, self.draws[opponent.name].noise)

    @property
    def _at(self) -> At:
        return self.pair.update_of_d(self.update, self.d_steps)

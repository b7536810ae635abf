"""SGAN's messengers: they learn from G0 (lines 15-21), and G0 from them (lines 22-26).

One process can hold all of them, or each of several a share (`deputies.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from raygan.gan import steps as S
from raygan.gan.trainer import Trainer
from raygan.strategies.batching.fits import may_join
from raygan.strategies.batching.losses import d_steps, g_losses
from raygan.strategies.sgan.draws import draws, real
from raygan.strategies.sgan.opponents import AtOnce, Opponent, Opponents

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings


class Messengers:
    """What is done with the copies D_msg[n] of one process; `pair` has G0 and says the step."""

    def __init__(self, pair: Trainer, settings: SganSettings, opponents: Opponents) -> None:
        self.pair = pair
        self.settings = settings
        self.opponents = opponents
        self.steps = settings.messenger_steps or pair.loss.d_steps
        self.together = may_join(pair.d, pair.loss)

    # ------------------------------------------------------------------------------------------
    # lines 15-21

    def train(self) -> None:
        """Each messenger's updates against G0, where the variant has them: one after the other, or
        all at once.
        """
        if self.settings.variant != "full":
            return
        if (batch := self.opponents.at_once()) is not None:
            self.train_at_once(batch)
        else:
            for opponent in self.opponents.known:
                self.train_one(opponent)

    def train_one(self, opponent: Opponent) -> None:
        """`messenger_steps` updates of D_msg[n] against G0."""
        pair = self.pair
        self._set_rates(opponent)
        of = draws(pair, f"messenger/{opponent.name}")
        for i in range(self.steps):
            x = real(pair, of)
            with torch.no_grad():
                fake = pair.g(pair.noise(of.noise))
            fake = pair.blur(fake, of.extra)
            loss = S.d_step(
                opponent.d, opponent.optimizer, pair.loss, x, fake, of.extra,
                clip=pair.config.clip_grad_d, together=self.together,
                at=pair.update_of_d(i, self.steps),
            )  # fmt: skip
            pair.bad_steps.also(loss)

    def train_at_once(self, batch: AtOnce) -> None:
        """`train_one` of all of them: the same draws, another order of the sums' roundings."""
        pair = self.pair
        for opponent in batch.opponents:
            self._set_rates(opponent)
        of = [draws(pair, f"messenger/{o.name}") for o in batch.opponents]
        extra = [each.extra for each in of]
        for i in range(self.steps):
            x = torch.stack([real(pair, each) for each in of])
            with torch.no_grad():
                fake = joined(pair.g, torch.stack([pair.noise(each.noise) for each in of]))
            fake = torch.stack(list(map(pair.blur, fake, extra)))
            at = [pair.update_of_d(i, self.steps)] * len(of)
            clip = pair.config.clip_grad_d
            losses = d_steps(batch.d, pair.loss, x, fake, extra, clip, self.together, at)
            pair.bad_steps.also(*losses)

    def _set_rates(self, opponent: Opponent) -> None:
        scheduled, step = self.pair.scheduled, self.pair.step
        # its optimizer was made once; the schedule goes on for those that are copied anew as well
        rate = self.pair.config.lr_d * self.settings.messenger_lr_scale * scheduled.rate(step)
        opponent.optimizer.param_groups[0]["lr"] = rate
        scheduled.set_betas(opponent.optimizer, step)

    # ------------------------------------------------------------------------------------------
    # lines 22-26

    def fake(self, after: str = "") -> Tensor:
        """G0's batch of this iteration, (N, *shape), with its graph: one batch of z serves all
        messengers, wherever they are.
        """
        # `after`: of the local after whose update it is (early_global), so that each has a batch of
        # its own
        of = draws(self.pair, f"g/{after}")
        return self.pair.blur(self.pair.g(self.pair.noise(of.noise)), of.extra)

    def judge(
        self, fake: Tensor, shares: Mapping[str, float], after: str = ""
    ) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of G0's losses against these messengers (a graph), and each loss.

        after: as in `fake`, whose batch this is.
        """
        loss, batch, known = self.pair.loss, self.opponents.at_once(), self.opponents.known
        if not known:
            return torch.zeros(()), {}
        if batch is not None:

            def reals() -> Tensor:
                return torch.stack([self._compared(o.name, after) for o in known])

            # the same batch for each, not copied: the gradients add up in it
            losses = g_losses(loss, batch.d, fake.expand(len(known), *fake.shape), reals)
        else:
            seen = []
            for opponent in known:
                # the gradient goes to G0 alone: a messenger learns in lines 15-21
                with S.frozen(opponent.d):
                    beside = partial(self._compared, opponent.name, after)
                    matching = self.pair.config.feature_matching
                    seen.append(S.judged_by(opponent.d, loss, fake, beside, matching))
            losses = torch.stack(seen)
        total = (losses * self.opponents.weights(shares)).sum()
        return total, dict(zip((o.name for o in known), losses.tolist(), strict=True))

    def _compared(self, name: str, after: str) -> Tensor:
        """Real samples (N, *shape) beside G0's, for losses that compare and for feature matching: a
        batch for each messenger, wherever it is, and for each of G0's steps.
        """
        use = f"compare/{after}/{name}" if after else f"compare/{name}"
        return real(self.pair, draws(self.pair, use))


def joined(network: torch.nn.Module, x: Tensor) -> Tensor:
    """One network on several batches at once, (batches, N, ...) -> (batches, N, ...); none of it
    may look at a whole batch.
    """
    out: Tensor = network(x.flatten(0, 1))
    return out.view(*x.shape[:2], *out.shape[1:])

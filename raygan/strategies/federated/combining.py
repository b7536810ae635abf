"""What the sites' words become together: plain functions over their answers.

    site n, for G0's batch x (B, *shape)    l_n = D_n's logits (B,), J_n = d l_n / d x (B, *shape)
    d loss / d x = sum_n (d loss / d l_n) J_n        exact, since each sample has a logit of its own

odds   loss = g_loss(log sum_n pi_n exp l_n): with l_n = log p_n / q it is log sum_n pi_n p_n / q,
       the logit of a D that has seen all shards (UA-GAN, eq. 4)
sum    loss = sum_n pi_n g_loss(l_n): a sample on another shard's mode is right for one D and wrong
       for all others, so that over unlike data the sum has no minimum at the data (MD-GAN)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from raygan.gan.types import Loss

Combine = Literal["odds", "sum"]
FAR = 100.0
"""Times the median of all sites' gradient norms, above which a gradient is no honest one."""


@dataclass(frozen=True)
class Word:
    """A site's answer to a batch of G0's."""

    logits: Tensor
    """(B,)."""
    gradient: Tensor
    """Of each logit by its own sample, (B, *shape)."""

    @property
    def finite(self) -> bool:
        """No NaN in it, no infinity."""
        return bool(self.logits.isfinite().all() and self.gradient.isfinite().all())

    @property
    def norm(self) -> float:
        """Of the gradient, the median over samples."""
        return float(self.gradient.flatten(1).norm(dim=1).median())


def agreement(x: Tensor, word: Word) -> float:
    """How well a site's gradients tell the differences of its own logits between neighbours in x
    (B, *shape): a correlation, near 1 for the gradients of a function, near 0 for noise.

    l(b) - l(a) = (J(a) + J(b)) / 2 . (b - a) + what bends (the trapezoidal rule)
    """
    flat, slope = x.flatten(1), word.gradient.flatten(1)
    # not itself, which is nearest of all
    # exactly: the quick way loses small distances far from 0 to rounding
    far = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    near = far.fill_diagonal_(math.inf).argmin(1)
    told = ((slope + slope[near]) / 2 * (flat[near] - flat)).sum(1)
    seen = word.logits[near] - word.logits
    scale = float(told.norm() * seen.norm())
    return float(told @ seen) / scale if scale > 0 else 1.0


def outliers(words: Mapping[str, Word]) -> dict[str, str]:
    """Sites that cannot be right in this step, and why: numbers that are not finite; with three or
    more, a gradient far larger than the others'.
    """
    found = {n: "not finite" for n, w in words.items() if not w.finite}
    norms = {n: w.norm for n, w in words.items() if n not in found}
    for name, norm in norms.items() if len(norms) > 2 else ():
        # the median, without its own: one liar among three cannot hide behind itself
        others = torch.tensor([v for n, v in norms.items() if n != name]).median()
        if norm > FAR * float(others):
            found[name] = f"a gradient {norm / max(float(others), 1e-30):.3g} times the others'"
    return found


def share(counts: Mapping[str, float]) -> dict[str, float]:
    """pi_n, of those who are there.

    >>> share({"pair-00": 30, "pair-02": 10})
    {'pair-00': 0.75, 'pair-02': 0.25}
    """
    total = sum(counts.values())
    return {n: c / total for n, c in counts.items()}


def together(loss: Loss, combine: Combine, logits: Tensor, shares: Tensor) -> Tensor:
    """G0's loss, a scalar, from the sites' logits (sites, B) and shares (sites,)."""
    if combine == "odds":
        return loss.g_loss(torch.logsumexp(logits + shares.log()[:, None], 0))
    return (torch.stack([loss.g_loss(of_one) for of_one in logits]) * shares).sum()


def by_sample(
    loss: Loss, combine: Combine, words: Mapping[str, Word], shares: Mapping[str, float]
) -> tuple[float, Tensor]:
    """(G0's loss, its gradient by G0's batch (B, *shape))."""
    names = list(words)
    logits = torch.stack([words[n].logits for n in names]).requires_grad_()
    total = together(loss, combine, logits, torch.tensor([shares[n] for n in names]).to(logits))
    # the chain rule by hand: the sites have sent d l_n / d x, and a sample has one logit a site
    (weights,) = torch.autograd.grad(total, logits)
    slopes = torch.stack([words[n].gradient for n in names])
    return total.item(), torch.einsum("nb,nb...->b...", weights, slopes)

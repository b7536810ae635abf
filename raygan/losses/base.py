"""What losses share: their settings, and penalties on the gradient of D."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor, nn

from raygan.config import Component


class LossComponent(Component):
    """A loss with its own number of D steps; the default has no penalty and does nothing after a step."""

    d_steps: int = Field(1, gt=0, description="Updates of D for each update of G (I_D).")

    @property
    def num_judges(self) -> int | None:
        """Discriminators that it is made for (logits (N, judges)); None: any number from 2. Most take one, with logits (N,)."""
        return 1

    @property
    def linear(self) -> bool:
        """Does every sample weigh the same in D's loss, near logit 0? Then a bias's gradient is a difference of equal sums, exactly
        0 where a unit is on for all samples; over both batches at once it is what rounding leaves, of which Adam makes steps.
        """
        return False

    def penalty(self, d: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor | None:
        """weight E (|grad D(x)| - 1)^2 at `penalty_points`; None where there are none."""
        points = self.penalty_points(real, fake, generator)
        return None if points is None else self.penalty_of(gradient_norms(d, points))

    def penalty_points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor | None:
        """Where D's gradient is held near norm 1, like `real`; None: nowhere."""
        return None

    def penalty_of(self, norms: Tensor) -> Tensor:
        """The penalty, from the gradient's norms (..., N) at the points."""
        weight: float = getattr(self, "weight", 0.0)
        return weight * (norms - 1).square().mean(-1)

    def after_d_step(self, d: nn.Module) -> None:
        """Nothing to do."""


def gradient_norms(d: Callable[[Tensor], Tensor], points: Tensor, dims: int = 1) -> Tensor:
    """|| grad_x D(x) || at each of the points, (N,); keeps the graph, so that it can be minimised.

    dims: leading dimensions that number the points, where they are of several discriminators at once, (pairs, N).
    """
    points = points.detach().requires_grad_(True)
    (grad,) = torch.autograd.grad(d(points).sum(), points, create_graph=True)
    return torch.sqrt(grad.flatten(dims).square().sum(dims) + 1e-12)  # +: the root's own gradient at 0 is infinite


def per_sample(like: Tensor, generator: torch.Generator) -> Tensor:
    """U(0, 1), one number a sample, shaped to multiply `like`: (N, 1, ...)."""
    shape = (like.shape[0],) + (1,) * (like.dim() - 1)
    return torch.rand(shape, generator=generator, device=like.device)

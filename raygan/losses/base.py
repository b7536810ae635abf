"""What losses share: their settings, and penalties on the gradient of D."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from raygan.config import Component
from raygan.errors import ConfigError
from raygan.gan.types import NOW, At, g_loss_of
from raygan.own.calling import calling
from raygan.own.names import label


class Held(NamedTuple):
    """Points at which D's gradient is held, and what it costs."""

    points: Tensor
    """(N, *shape)."""
    cost: Callable[[Tensor], Tensor]
    """From the squares of the gradient's norms there, (..., N) to (...)."""
    weight: float
    """Of the cost; 0: not in this update."""


class LossComponent(Component):
    """What D and G minimise, with penalties on D's gradient and a number of D steps of its own.

    A loss is `d_loss` and `g_loss`; everything else has a default. What others have to know of it
    are its properties, never its name: `critic`, `threshold`, `needs_real`, `linear`,
    `density_ratio`, `num_judges`.
    """

    needs_real: ClassVar[bool] = False
    """Does G's loss compare its samples with real ones, one with one?"""
    critic: ClassVar[bool] = False
    """Are D's logits scores without a threshold between real and generated?"""
    density_ratio: ClassVar[bool] = False
    """Is the logit of the best D the logarithm of p_data / p_G?"""
    linear: ClassVar[bool] = False
    """Does every sample weigh the same in D's loss, near logit 0? Then a bias's gradient is a
    difference of equal sums, exactly 0 where a unit is on for all samples; over both batches at
    once it is what rounding leaves, of which Adam makes steps.
    """
    d_steps: int = Field(1, gt=0, description="Updates of D for each update of G (I_D).")
    r1: float = Field(
        0.0,
        ge=0,
        description=(
            "gamma of R1, gamma/2 E |grad D(x)|^2 on real samples (Mescheder et al., 2018, eq. 9)."
        ),
    )
    r2: float = Field(
        0.0, ge=0, description="The same on generated samples: R2 (Mescheder et al., 2018, eq. 10)."
    )
    penalty_every: int = Field(
        1,
        gt=0,
        description=(
            "Updates of D between two of R1 and R2, then as many times as strong (StyleGAN2,"
            " App. B)."
        ),
    )

    @abstractmethod
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What D minimises, a scalar, from its logits (N,) on real and on generated samples."""

    @abstractmethod
    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """What G minimises, a scalar, from D's logits (N,) on its samples; real: those on as many
        real ones, where `needs_real`.
        """

    @property
    def threshold(self) -> float | None:
        """The logit above which D takes a sample for real, each of several by itself; None: a
        critic's have none.
        """
        return None if self.critic else 0.0

    @property
    def num_judges(self) -> int | None:
        """Discriminators that it is made for (logits (N, judges)); None: any number from 2. Most
        take one, with logits (N,).
        """
        return 1

    def penalty(
        self, d: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator, at: At = NOW
    ) -> Tensor | None:
        """What is added to D's loss: the sum of the costs at the points of `held`; None where there
        are none.
        """
        total: Tensor | None = None
        for points, cost, weight in self.held(real, fake, generator, at):
            if weight:
                value = cost(gradient_squares(d, points)) * weight
                total = value if total is None else total + value
        return total

    def held(
        self, real: Tensor, fake: Tensor, generator: torch.Generator, at: At = NOW
    ) -> list[Held]:
        """Of one batch (N, *shape); as many at each update, so that those of several discriminators
        can be stacked.
        """
        out = []
        if (points := self.penalty_points(real, fake, generator)) is not None:
            out.append(Held(points, lambda squares: self.penalty_of(norms_of(squares)), at.gamma))
        # lazily, and as many times as strong: the same pull on the mean over the updates. The half
        # is R1's own
        due = at.gamma * self.penalty_every / 2 if at.update % self.penalty_every == 0 else 0.0
        out += [
            Held(x, _mean, due * gamma) for x, gamma in ((real, self.r1), (fake, self.r2)) if gamma
        ]
        return out

    def penalty_points(
        self, real: Tensor, fake: Tensor, generator: torch.Generator
    ) -> Tensor | None:
        """Where D's gradient is held near a norm of the loss's own, like `real`; None: nowhere."""
        return None

    def penalty_of(self, norms: Tensor) -> Tensor:
        """What that costs, from the gradient's norms (..., N) there: weight E (norm - 1)^2."""
        weight: float = getattr(self, "weight", 0.0)
        return weight * (norms - 1).square().mean(-1)

    @property
    def alters_d(self) -> bool:
        """Does `after_d_step` do anything? Then each of D's losses is looked at before it."""
        return type(self).after_d_step is not LossComponent.after_d_step

    def after_d_step(self, d: nn.Module) -> None:
        """Called after each update of D; most losses have nothing to do."""


def penalises(loss: LossComponent) -> bool:
    """Has it a penalty, or code of its own where others have theirs?"""
    ways = ("penalty", "held", "penalty_points")
    return bool(loss.r1 or loss.r2) or any(
        getattr(type(loss), way) is not getattr(LossComponent, way) for way in ways
    )


def one_with_one(loss: LossComponent) -> bool:
    """Does D's loss, or its penalty, take a real sample for each generated one? It is tried on
    drawn numbers of either kind, one more of the second.
    """
    stream = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(n, 2, generator=stream) for n in (8, 9))
    logits = [x[:, 0] if loss.num_judges == 1 else x for x in (real, fake)]
    try:
        loss.d_loss(*logits)
        loss.penalty(_Squares(), real, fake, stream)
    except Exception:  # whatever code it is: 8 and 9 do not fit there
        return True
    return False


class _Squares(nn.Module):
    """A network to try a penalty on."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(1)


def norms_of(squares: Tensor) -> Tensor:
    """Their roots; a little above 0, where the root's own gradient is infinite."""
    return torch.sqrt(squares + 1e-12)


def _mean(squares: Tensor) -> Tensor:
    return squares.mean(-1)


def gradient_squares(d: Callable[[Tensor], Tensor], points: Tensor, dims: int = 1) -> Tensor:
    """|| grad_x D(x) ||^2 at each of the points, (N,); keeps the graph, so that it can be
    minimised.

    dims: leading dimensions that number the points, where they are of several discriminators at
    once, (pairs, N).
    """
    # a penalty pulls at D, not at the G that has made the points
    points = points.detach().requires_grad_(True)
    # the sum: each sample's logit hangs on its own point alone, so that one pass gives all
    # gradients
    (grad,) = torch.autograd.grad(d(points).sum(), points, create_graph=True)
    return grad.flatten(dims).square().sum(dims)


def examine(loss: LossComponent, judges: int) -> None:
    """Raises ConfigError for a loss that cannot be minimised: no scalar, not finite, or without a
    gradient for its player.
    """
    shape = (8,) if judges == 1 else (8, judges)
    stream = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(shape, generator=stream) for _ in range(2))
    for name in ("d_loss", "g_loss"):
        logits = fake.clone().requires_grad_()
        with calling("loss", loss.name, f"{name} on logits {shape}"):
            value = (
                loss.d_loss(real, logits)
                if name == "d_loss"
                else g_loss_of(loss, logits, lambda: real)
            )
        if not isinstance(value, Tensor) or value.shape != ():
            what = (
                f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            )
            raise ConfigError(
                f"loss {label(loss.name)}: {name} returns {what}, not a scalar tensor. Take its"
                " mean."
            )
        # on N(0, 1): a loss that is not finite here would skip its first step already
        if not value.isfinite():
            raise ConfigError(
                f"loss {label(loss.name)}: {name} is {value.item()} on logits drawn from N(0, 1)."
                " Mend it."
            )
        # it would train nobody, without a word
        if not value.requires_grad:
            raise ConfigError(
                f"loss {label(loss.name)}: {name} has no gradient by its logits. Keep it in torch's"
                " operations."
            )


def per_sample(like: Tensor, generator: torch.Generator) -> Tensor:
    """U(0, 1), one number a sample, shaped to multiply `like`: (N, 1, ...)."""
    # one number a sample: its whole picture moves along one line
    shape = (like.shape[0],) + (1,) * (like.dim() - 1)
    return torch.rand(shape, generator=generator, device=like.device)

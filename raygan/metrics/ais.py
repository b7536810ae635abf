"""Log-likelihood of a generator by annealed importance sampling, with its BDMC gap (Wu et al.,
2016; GAP, Table 4).

p(x given z) = N(G(z), s2 I)    z ~ N(0, I)
AIS    chains go from the prior to the posterior over `distributions` steps of HMC: a lower bound
       of log p(x) in expectation
BDMC   for x drawn from the model itself, chains also run backwards from the z that made x: an upper
       bound; the gap between the two bounds says how far AIS can be off
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from raygan.watching import counted

Decoder = Callable[[Tensor], Tensor]
TARGET = 0.65
"""Acceptance that step sizes adapt to."""


@dataclass(frozen=True)
class Ais:
    """How annealed importance sampling is run."""

    variance: float = 0.025
    chains: int = 16
    distributions: int = 1000
    leapfrog_steps: int = 10
    step_size: float = 0.05

    def schedule(self) -> Tensor:
        """Inverse temperatures from 0 to 1, sigmoid in t, (distributions,).

        >>> Ais(distributions=3).schedule().tolist()
        [0.0, 0.5, 1.0]
        """
        # close steps at both ends, where the distributions change most
        t = torch.linspace(-4, 4, self.distributions, dtype=torch.float64).sigmoid()
        return (t - t[0]) / (t[-1] - t[0])

    def log_likelihood(
        self, decode: Decoder, x: Tensor, z_dim: int, stream: torch.Generator, what: str = ""
    ) -> Tensor:
        """Estimates of log p(x) in nats, (N,), of x (N, D); decode: (M, z_dim) -> (M, D)."""
        # all chains of all points side by side: one forward a leapfrog step
        z = torch.randn((self.chains * len(x), z_dim), generator=stream)
        weights = self._anneal(decode, x, z, self.schedule(), stream, what)
        return torch.logsumexp(weights.view(self.chains, len(x)), 0) - math.log(self.chains)

    def upper_bound(
        self, decode: Decoder, x: Tensor, z: Tensor, stream: torch.Generator, what: str = ""
    ) -> Tensor:
        """Of log p(x) in expectation, (N,), where z (N, z_dim) has generated x."""
        weights = self._anneal(
            decode, x, z.repeat(self.chains, 1), self.schedule().flip(0), stream, what
        )
        return math.log(self.chains) - torch.logsumexp(weights.view(self.chains, len(x)), 0)

    def bdmc_gap(
        self, decode: Decoder, count: int, z_dim: int, stream: torch.Generator, what: str = ""
    ) -> float:
        """Mean upper minus mean lower bound over `count` samples of the model, in nats."""
        z = torch.randn((count, z_dim), generator=stream)
        with torch.no_grad():
            mean = decode(z)
        # drawn from the model itself: only then is the z known that has made x, and the bound from
        # above one
        x = mean + math.sqrt(self.variance) * torch.randn(mean.shape, generator=stream)
        lower = self.log_likelihood(decode, x, z_dim, stream, f"{what}, its gap from below")
        upper = self.upper_bound(decode, x, z, stream, f"{what}, its gap from above")
        return float((upper - lower).mean())

    def _anneal(
        self,
        decode: Decoder,
        x: Tensor,
        z: Tensor,
        betas: Tensor,
        stream: torch.Generator,
        what: str,
    ) -> Tensor:
        """Log importance weights of all chains, (chains * N,)."""
        target = x.repeat(self.chains, 1)
        weights = torch.zeros(len(z), dtype=torch.float64)
        size = torch.full((len(z), 1), self.step_size)
        fit, gradient = self._fit(decode, target, z)
        steps = list(zip(betas[:-1].tolist(), betas[1:].tolist(), strict=True))
        for before, after in counted(what or "annealing", steps):
            # float64: a thousand small terms, of which differences are taken
            weights += (after - before) * fit.double()
            z, fit, gradient, size = self._hmc(
                decode, target, z, fit, gradient, after, size, stream
            )
        return weights

    def _fit(self, decode: Decoder, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x given z), (M,), and its gradient by z."""
        z = z.detach().requires_grad_(True)
        constant = 0.5 * x.shape[1] * math.log(2 * math.pi * self.variance)
        fit = -(x - decode(z)).square().sum(1) / (2 * self.variance) - constant
        (gradient,) = torch.autograd.grad(fit.sum(), z)
        return fit.detach(), gradient

    def _hmc(
        self, decode: Decoder, x: Tensor, z: Tensor, fit: Tensor, gradient: Tensor, beta: float,
        size: Tensor, stream: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """One Hamiltonian step that leaves p(z) p(x given z)^beta unchanged; each chain has its own
        step size.
        """
        momentum = torch.randn(z.shape, generator=stream)
        start = 0.5 * momentum.square().sum(1) + 0.5 * z.square().sum(1) - beta * fit
        new, p, f, g = z, momentum, fit, gradient
        # leapfrog: half a step of the momentum, whole steps in turn, half a step at the end
        p = p + 0.5 * size * (beta * g - new)
        for i in range(self.leapfrog_steps):
            new = new + size * p
            f, g = self._fit(decode, x, new)
            p = p + (1.0 if i < self.leapfrog_steps - 1 else 0.5) * size * (beta * g - new)
        end = 0.5 * p.square().sum(1) + 0.5 * new.square().sum(1) - beta * f
        accept = (torch.rand(len(z), generator=stream) < torch.exp((start - end).clamp(max=0)))[
            :, None
        ]
        # up by 2 % at each acceptance, down by as much as keeps their share at TARGET
        size = (size * torch.where(accept, 1.02, 1.02 ** (-TARGET / (1 - TARGET)))).clamp(1e-4, 1.0)
        keep = accept[:, 0]
        return (
            torch.where(accept, new, z),
            torch.where(keep, f, fit),
            torch.where(accept, g, gradient),
            size,
        )

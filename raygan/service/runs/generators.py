"""A finished run's networks: to sample from, and to judge with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.lines import NOTES
from raygan.data.record import Scaling
from raygan.errors import CheckpointError
from raygan.gan.bundle import unpack
from raygan.gan.steps import load_network
from raygan.gan.streams import Streams, sample_prior
from raygan.metrics.mixture import shares
from raygan.networks.base import NetworkComponent
from raygan.service.runs.run import Run
from raygan.strategies.base import strategy_of


@dataclass(frozen=True)
class Generators:
    """One generator, or several of which each gives its share of the samples."""

    networks: dict[str, torch.nn.Module]
    priors: dict[str, tuple[str, int]]
    """Prior and length of z of each."""
    weights: dict[str, float] | None = None
    """Shares of a mixture, fitted or by the sizes of the pairs' parts; None = equal ones."""

    scaling: Scaling | None = None
    """From what the networks make to the data's own units."""

    def sample(self, n: int, seed: int = 0) -> npt.NDArray[Any]:
        """(n, *shape) in the data's own units: images float32 in [-1, 1], scaled data float64. The
        same seed gives the same.
        """
        drawn = self.draw(n, seed)
        return drawn if self.scaling is None else self.scaling.back(drawn)

    def draw(self, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
        """(n, *shape) float32 as the networks make them: in the units that they were trained, and
        are scored, in.
        """
        streams = Streams(seed, "sample")
        share = shares(
            n, [1.0 if self.weights is None else self.weights[name] for name in self.networks]
        )
        out = []
        with torch.no_grad():
            for (name, network), count in zip(self.networks.items(), share, strict=True):
                stream = streams.at(name)
                prior, z_dim = self.priors[name]
                sizes = [min(500, count - i) for i in range(0, count, 500)]
                out += [network(sample_prior(prior, (size, z_dim), stream)) for size in sizes]
        pool = torch.cat(out)
        if len(self.networks) > 1:
            pool = pool[torch.randperm(n, generator=streams.at("order"))]
        return np.asarray(pool.numpy())


def newest(run: Run, what: str) -> Checkpoint:
    """The checkpoint to load from. Raises CheckpointError: the run cannot be sampled, or judged."""
    checkpoint, problems = newest_valid(run.path)
    if checkpoint is None:
        why = problems[0] if problems else "it has no checkpoint yet."
        raise CheckpointError(f"run {str(run.path)!r} cannot be {what}: {why}")
    for problem in problems:
        NOTES.warning("%s: %s", run.path, problem)
    return checkpoint


def load_generators(run: Run, which: str) -> Generators:
    """`Run.generator`."""
    checkpoint, config, shape = newest(run, "sampled"), run.config, tuple(run.info["shape"])
    networks: dict[str, torch.nn.Module] = {}
    priors: dict[str, tuple[str, int]] = {}
    for name in run.names(which):
        own = config.of(name)
        component = cast(NetworkComponent, own.component("network"))
        state = unpack(checkpoint.parts[name])
        network = component.generator(shape, Streams(0, "unused").at("init"))
        load_network("ema" if own.pair.ema else "g", network, state)
        networks[name] = network.eval()
        priors[name] = own.pair.prior, component.z_dim
    return Generators(
        networks,
        priors,
        run.weights(which),
        Scaling.of(run.info.get("scaling")),
    )


def load_discriminators(run: Run, players: Iterable[str]) -> dict[str, torch.nn.Module]:
    """`Run.discriminators`."""
    checkpoint = newest(run, "judged")
    out: dict[str, torch.nn.Module] = {}
    for player in players:
        d = strategy_of(run.config).discriminator(run.config, player, tuple(run.info["shape"]))
        load_network("d", d, unpack(checkpoint.parts[player]))
        out[player] = d.eval()
    return out

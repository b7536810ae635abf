"""A finished run's networks: to sample from, and to judge with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raygan.config import Config
from raygan.controller.bucket_copies import shown
from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.jsonl import NOTES
from raygan.data.record import Scaling
from raygan.errors import CheckpointError, ConfigError
from raygan.gan.bundle import unpack
from raygan.gan.random_streams import Streams, draw_watch, sample_prior
from raygan.gan.states import load_network
from raygan.gan.types import State
from raygan.metrics.mixture import drawn_shares
from raygan.networks.base import NetworkComponent, odds
from raygan.strategies.base import strategy_of

CHUNK = 500
"""Samples that a network makes at once."""
HARDLY = 0.001
"""Share of samples below which rejection is given up."""


@dataclass(frozen=True)
class Judge:
    """A discriminator whose logit is log p_data / p_G, and the logit from which on all is kept."""

    d: torch.nn.Module
    threshold: float
    owner: str = ""
    """The player whose D it was."""

    def keeps(self, x: Tensor, stream: torch.Generator) -> Tensor:
        """Which of samples (N, *shape) stay, (N,): each with min(1, exp(l(x) - threshold))."""
        chance = (odds(self.d(x)) - self.threshold).clamp(max=0).exp()
        return torch.rand(len(x), generator=stream) < chance


@dataclass(frozen=True)
class Drawn:
    """Samples (N, *shape) as networks have made them, with the way to the data's own units."""

    made: npt.NDArray[np.float32]
    """In the units that the networks were trained, and are scored, in."""
    scaling: Scaling | None = None
    alphabet: str = ""
    """Of text; "" for all else."""

    @property
    def in_units(self) -> npt.NDArray[Any]:
        """In the data's own units: images float32 in [-1, 1], scaled data float64."""
        return self.made if self.scaling is None else self.scaling.back(self.made)

    @property
    def shown(self) -> npt.NDArray[Any]:
        """As they are drawn: pictures in [-1, 1], whatever their units; points in theirs."""
        return self.made if self.made.ndim == 4 else self.in_units


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
    alphabet: str = ""
    """Of text, (N, characters, length) one-hot: the character of each row; "" for all else."""
    judges: Mapping[str, Judge] = field(default_factory=dict)
    """Who says which samples of a network are kept; all are of one without."""
    counts: dict[str, list[int]] = field(default_factory=dict, compare=False)
    """[kept, made] of each that was judged, of all draws so far."""
    columns: tuple[str, ...] = ()
    """Names of the features, where the data have them."""

    @property
    def share_kept(self) -> float:
        """Of all samples that were judged so far; 1 where none was."""
        made = sum(m for _, m in self.counts.values())
        return sum(k for k, _ in self.counts.values()) / made if made else 1.0

    def of(self, names: Sequence[str]) -> Generators:
        """Those of these names alone, as a mixture with the same shares."""
        weights = None if self.weights is None else {n: self.weights[n] for n in names}
        return replace(
            self,
            networks={n: self.networks[n] for n in names},
            priors={n: self.priors[n] for n in names},
            weights=weights,
            judges={n: j for n, j in self.judges.items() if n in names},
            counts={},
        )

    def sample(self, n: int, seed: int = 0) -> npt.NDArray[Any]:
        """(n, *shape) in the data's own units: images float32 in [-1, 1], scaled data float64. The
        same seed gives the same.
        """
        return self.drawn(self.draw(n, seed)).in_units

    def drawn(self, made: npt.NDArray[np.float32]) -> Drawn:
        """What these networks have made (N, *shape), to be written, shown or sent."""
        return Drawn(made, self.scaling, self.alphabet)

    def draw(self, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
        """(n, *shape) float32 as the networks make them: in the units that they were trained, and
        are scored, in.
        """
        return self.draw_many([(n, seed)])[0]

    def draw_many(self, asked: Sequence[tuple[int, int]]) -> list[npt.NDArray[np.float32]]:
        """What `draw` gives for each (n, seed), up to rounding: each network runs once over what
        all of them ask of it.
        """
        for number in chain.from_iterable(asked):
            check_number(number)
        weights = [1.0 if self.weights is None else self.weights[name] for name in self.networks]
        streams = [Streams(seed, "sample") for _, seed in asked]
        split = [
            drawn_shares(n, weights, stream.at("shares"))
            for (n, _), stream in zip(asked, streams, strict=True)
        ]
        made = list[list[Tensor]]([] for _ in asked)
        with torch.no_grad():
            for name, *counts in zip(self.networks, *split, strict=True):
                for out, x in zip(made, self._made(name, counts, streams), strict=True):
                    out.append(x)
        pools = [torch.cat(out) for out in made]
        if len(self.networks) > 1:
            pools = [
                pool[torch.randperm(len(pool), generator=stream.at("order"))]
                for pool, stream in zip(pools, streams, strict=True)
            ]
        return [np.asarray(pool.numpy()) for pool in pools]

    def _made(
        self, name: str, counts: Sequence[int], streams: Sequence[Streams]
    ) -> Sequence[Tensor]:
        """So many samples of one network for each that asks."""
        if name in self.judges:
            return [self._kept(name, n, s) for n, s in zip(counts, streams, strict=True)]
        prior, z_dim = self.priors[name]
        zs = [
            torch.cat(
                [
                    sample_prior(prior, (min(CHUNK, n - i), z_dim), stream)
                    for i in range(0, n, CHUNK)
                ]
                or [torch.zeros(0, z_dim)]
            )
            for n, stream in zip(counts, [s.at(name) for s in streams], strict=True)
        ]
        made, drew = self._through(name, torch.cat(zs), streams[0])
        if drew and len(counts) > 1:
            # layers that draw (StyleGAN's noise): each that asks gets what it would get alone
            return [self._through(name, z, s)[0] for z, s in zip(zs, streams, strict=True)]
        return list(made.split(list(counts)))

    def _through(self, name: str, z: Tensor, streams: Streams) -> tuple[Tensor, bool]:
        """(samples of one network, did its layers draw random numbers?)"""
        with streams.for_layers(0, f"layers/{name}"):
            drew = draw_watch()
            return torch.cat([self.networks[name](part) for part in z.split(CHUNK)]), drew()

    def _kept(self, name: str, count: int, streams: Streams) -> Tensor:
        """`count` samples of one network that its judge keeps.
        Raises CheckpointError where it keeps hardly any.
        """
        network, judge, (prior, z_dim) = self.networks[name], self.judges[name], self.priors[name]
        # coins of their own: the candidates are those that are drawn without rejection
        stream, coins = streams.at(name), streams.at(f"{name} kept")
        found: list[Tensor] = []
        kept = made = 0
        with streams.for_layers(0, f"layers/{name}"):
            while kept < count:
                x = network(sample_prior(prior, (CHUNK, z_dim), stream))
                found.append(x[judge.keeps(x, coins)])
                kept, made = kept + len(found[-1]), made + CHUNK
                # not from the first chunk on, which may be unlucky
                if made > 20 * CHUNK and kept < HARDLY * made:
                    raise CheckpointError(
                        f"--reject: {name}'s discriminator keeps {kept} of {made} samples. Sample"
                        " without."
                    )
        # what was kept of how many is told beside the samples
        tally = self.counts.setdefault(name, [0, 0])
        tally[0], tally[1] = tally[0] + kept, tally[1] + made
        return torch.cat(found)[:count] if found else network(torch.zeros(0, z_dim))


def check_number(number: int) -> None:
    """Raises ConfigError for what is no count of samples, and no seed."""
    # bool is an int, and no count
    whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
    if not whole or not 0 <= number < 2**63:
        raise ConfigError(
            f"{number!r} samples, or seed: whole numbers from 0 to 2^63 - 1 are needed."
        )


def newest(path: Path, what: str) -> Checkpoint:
    """A run's checkpoint to load from.

    Raises CheckpointError: the run cannot be sampled, or judged.
    """
    checkpoint, problems = newest_valid(path)
    if checkpoint is None:
        why = problems[0] if problems else "it has no checkpoint yet."
        raise CheckpointError(f"run {shown(path)!r} cannot be {what}: {why}")
    for problem in problems:
        NOTES.warning("%s: %s", shown(path), problem)
    return checkpoint


def load_generators(
    checkpoint: Checkpoint, config: Config, info: Mapping[str, Any], names: Sequence[str],
    shares: Mapping[str, float] | None,
) -> Generators:  # fmt: skip
    """The generators of these players of a run; `shares`: what each counts in their mixture. Raises
    CheckpointError for a player that is not in that checkpoint.
    """
    shape = tuple(info["shape"])
    networks: dict[str, torch.nn.Module] = {}
    priors: dict[str, tuple[str, int]] = {}
    for name in names:
        own = config.of(name)
        component = cast(NetworkComponent, own.component("network"))
        # Any stream will do: all that it draws is written over by the state.
        network = component.generator(shape, Streams(0, "unused").at("init"))
        load_network("ema" if own.pair.ema else "g", network, state_of(checkpoint, name))
        networks[name] = network.eval()
        priors[name] = own.pair.prior, component.z_dim
    weights = None if shares is None else dict(shares)
    scaling, alphabet = Scaling.of(info.get("scaling")), str(info.get("alphabet", ""))
    columns = tuple((info.get("reading") or {}).get("columns", ()))
    return Generators(networks, priors, weights, scaling, alphabet, columns=columns)


def state_of(checkpoint: Checkpoint, player: str) -> State:
    """A player's state. Raises CheckpointError for one that is not in it: it has joined since, or
    has left.
    """
    if player not in checkpoint.parts:
        raise CheckpointError(
            f"the checkpoint of step {checkpoint.step} has no {player}, but"
            f" {', '.join(checkpoint.parts)}. Members change with the next one."
        )
    return unpack(checkpoint.parts[player])


def load_discriminators(
    checkpoint: Checkpoint, config: Config, info: Mapping[str, Any], players: Iterable[str]
) -> dict[str, torch.nn.Module]:
    """The discriminators of these players, by name; see `Run.discriminators`."""
    out: dict[str, torch.nn.Module] = {}
    for player in players:
        d = strategy_of(config).discriminator(config, player, tuple(info["shape"]))
        load_network("d", d, state_of(checkpoint, player))
        out[player] = d.eval()
    return out

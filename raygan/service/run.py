"""A run on disk, for Python and for every verb that reads: no Ray, and no data set needed to sample.

run = Run.load("runs/latest")
run.metrics.query("player == 'pair-03'").plot(x="step", y="loss_d")
x = run.generator("mixture").sample(1024, seed=0)
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch

from raygan.config import Config, validate
from raygan.controller.checkpoint import newest_valid
from raygan.controller.evaluator import MIXTURE
from raygan.controller.run_folder import find_run, read_jsonl
from raygan.errors import CheckpointError, ConfigError, did_you_mean
from raygan.gan.bundle import unpack
from raygan.gan.steps import load_network
from raygan.gan.streams import Streams, sample_prior
from raygan.metrics.ranking import better, headline
from raygan.networks.base import NetworkComponent
from raygan.strategies.strategy import GLOBAL, JUDGE, strategy_of

if TYPE_CHECKING:
    import pandas as pd


FITTED = "fitted"
"""The mixture with the shares of mixture.json."""


@dataclass(frozen=True)
class Generators:
    """One generator, or several of which each gives an equal share of the samples."""

    networks: dict[str, torch.nn.Module]
    priors: dict[str, tuple[str, int]]
    """Prior and length of z of each."""
    weights: dict[str, float] | None = None
    """Shares of a mixture that was fitted; None = equal ones."""

    def sample(self, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
        """(n, *shape) float32; images in [-1, 1]. The same seed gives the same samples."""
        streams = Streams(seed, "sample")
        share = shares(n, [1.0 if self.weights is None else self.weights[name] for name in self.networks])
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


def shares(n: int, weights: list[float]) -> list[int]:
    """n split in proportion to the weights, by largest remainder.

    >>> shares(10, [1, 1, 1])
    [4, 3, 3]
    """
    exact = [n * w / sum(weights) for w in weights]
    out = [int(e) for e in exact]
    for i in sorted(range(len(out)), key=lambda i: (out[i] - exact[i], i))[: n - sum(out)]:
        out[i] += 1
    return out


class Run:
    """Reads a run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """The run in this folder; raises ConfigError when there is none."""
        return cls(find_run(path).resolve())

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def info(self) -> dict[str, Any]:
        """run.json."""
        out: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        return out

    @property
    def config(self) -> Config:
        """The resolved config."""
        return validate(Config, json.loads((self.path / "config.json").read_text()))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """metrics.jsonl."""
        return read_jsonl(self.path / "metrics.jsonl")

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.jsonl as a DataFrame: training reports (kind "train") and scores (kind "score")."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    @property
    def events(self) -> list[dict[str, Any]]:
        """events.jsonl."""
        return read_jsonl(self.path / "events.jsonl")

    @property
    def pulls(self) -> pd.DataFrame:
        """Every round's pull of the supervisor, with its lag."""
        import pandas as pd

        return pd.DataFrame([e for e in self.events if e["kind"] == "pull"])

    @property
    def swaps(self) -> pd.DataFrame:
        """Every swap, a row a network that moved: step, player, from, identity, sha256, bytes."""
        import pandas as pd

        return pd.DataFrame([
            {"step": e["step"], "time": e["time"], **m} for e in self.events if e["kind"] == "swap" for m in e["moves"]
        ])  # fmt: skip

    @property
    def slots(self) -> pd.DataFrame:
        """PMGAN: beta of each generator and how far apart the slots' versions were, a row a round of the judge."""
        import pandas as pd

        return pd.DataFrame([
            {"step": e["step"], "time": e["time"], "spread": e["spread"], **e["beta"]}
            for e in self.events if e["kind"] == "slot"
        ])  # fmt: skip

    def scores(self) -> dict[str, dict[str, Any]]:
        """Each player's (and the mixture's) last scores."""
        return {row["player"]: row for row in self.rows if row["kind"] == "score"}

    @property
    def pairs(self) -> list[str]:
        """The local pairs' names."""
        return strategy_of(self.config).locals(self.config)

    @property
    def main_player(self) -> str:
        """What the run is for: the global generator, PMGAN's mixture (each of its generators has a share), or the best local."""
        players = strategy_of(self.config).players(self.config)
        if GLOBAL in players:
            return GLOBAL
        return MIXTURE if JUDGE in players and len(self.pairs) > 1 else self.best

    @property
    def best(self) -> str:
        """The single generator that `gam2` marked; else the best headline score (high quality, score, or what there is)."""
        if (self.path / "best.json").exists():
            return str(json.loads((self.path / "best.json").read_text())["player"])
        scores = {p: s for p, s in self.scores().items() if p != MIXTURE}
        if not scores:
            return self.pairs[0]
        metric = headline(next(iter(scores.values())))
        if metric is None:
            return self.pairs[0]
        top = next(iter(scores))
        for player, row in scores.items():
            if better(metric, float(row[metric]), float(scores[top][metric])):
                top = player
        return top

    def generator(self, which: str = "best") -> Generators:
        """The newest checkpoint's generator: "global", "best", "mixture", "fitted", or "pair:3". Raises ConfigError."""
        checkpoint, problems = newest_valid(self.path)
        if checkpoint is None:
            why = problems[0] if problems else "it has no checkpoint yet."
            raise CheckpointError(f"run {str(self.path)!r} cannot be sampled: {why}")
        names = self._names(which)
        config = self.config
        shape = tuple(self.info["shape"])
        networks: dict[str, torch.nn.Module] = {}
        priors: dict[str, tuple[str, int]] = {}
        for name in names:
            own = config.of(name)
            component = cast(NetworkComponent, own.component("network"))
            state = unpack(checkpoint.parts[name])
            network = component.generator(shape, Streams(0, "unused").at("init"))
            load_network("ema" if own.pair.ema else "g", network, state)
            networks[name] = network.eval()
            priors[name] = own.pair.prior, component.z_dim
        return Generators(networks, priors, self.fitted_shares() if which == FITTED else None)

    def discriminators(self, players: Iterable[str]) -> dict[str, torch.nn.Module]:
        """These players' discriminators in the newest checkpoint, in eval mode. Raises CheckpointError."""
        checkpoint, problems = newest_valid(self.path)
        if checkpoint is None:
            why = problems[0] if problems else "it has no checkpoint yet."
            raise CheckpointError(f"run {str(self.path)!r} cannot be judged: {why}")
        out: dict[str, torch.nn.Module] = {}
        for player in players:
            d = strategy_of(self.config).discriminator(self.config, player, tuple(self.info["shape"]))
            load_network("d", d, unpack(checkpoint.parts[player]))
            out[player] = d.eval()
        return out

    def fitted_shares(self) -> dict[str, float]:
        """Shares of the mixture that was fitted. Raises ConfigError when none was."""
        file = self.path / "mixture.json"
        if not file.exists():
            raise ConfigError(
                f"--from fitted: no shares were fitted yet. First `raygan evaluate {self.path} --metrics mixture`."
            )
        weights: dict[str, float] = json.loads(file.read_text())["weights"]
        return weights

    def _names(self, which: str) -> list[str]:
        players = strategy_of(self.config).players(self.config)
        if which in (MIXTURE, FITTED):
            return self.pairs
        if which == "best":
            return [self.best]
        kind, _, index = which.partition(":")
        numbered = kind == "pair" and index.isdigit() and int(index) < len(self.pairs)
        name = self.pairs[int(index)] if numbered else which
        if name not in players or name == JUDGE:
            raise ConfigError(f"--from {which!r}: {did_you_mean(which, [GLOBAL, 'best', MIXTURE, FITTED, *players])}")
        return [name]

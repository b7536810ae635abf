"""`raygan evaluate RUN --metrics ais`: log-likelihood of held-out data under each generator, with
the BDMC gap beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raygan.controller.bucket_copies import shown
from raygan.data.reading import refuse_parts
from raygan.errors import ConfigError
from raygan.gan.random_streams import Streams
from raygan.metrics.ais import Ais, Decoder
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import Run
from raygan.service.views.tables import text_table
from raygan.strategies.base import strategy_of

SIMULATED = 8
"""Samples of the model that the gap is measured on."""


def decoder(network: nn.Module, images: bool) -> Decoder:
    """z -> flat means; images in [0, 1], the scale of the published figures."""

    def decode(z: Tensor) -> Tensor:
        # [0, 1]: the variance of the observation model, and so every published figure, is in that
        # scale.
        out: Tensor = network(z).flatten(1)
        return (out + 1) / 2 if images else out

    return decode


def ais_runs(
    paths: Sequence[str], points: int, chains: int, distributions: int, seed: int
) -> list[dict[str, Any]]:
    """One entry a run: {run, settings, generators: {player: {mean, std_error, gap}}}; stored in the
    run. Raises ConfigError.
    """
    out = []
    for path in paths:
        run = Run.load(path).pinned()
        data = run_data(run)
        refuse_parts(data, "ais")
        settings = Ais(chains=chains, distributions=distributions)
        held = data.held_out_batch(points, torch.Generator().manual_seed(seed)).flatten(1)
        x = (held + 1) / 2 if data.is_images else held
        entry: dict[str, Any] = {
            "run": shown(run.path), "name": run.name,
            "settings": {**vars(settings), "points": len(x), "seed": seed, "data": data.name,
                         "split": data.split},
            "generators": {},
        }  # fmt: skip
        players = strategy_of(run.config).scored(run.config)
        for number, player in enumerate(players, 1):
            what = f"{run.name}: AIS of {player} ({number} of {len(players)})"
            generators = run.generator(player)
            prior, z_dim = generators.priors[player]
            # HMC walks over all of z's space; a uniform prior ends at a wall.
            if prior != "gaussian":
                raise ConfigError(
                    f"ais: {player} of {run.name} has a {prior} prior; HMC needs N(0, 1). Leave it"
                    " out of `pairs`."
                )
            decode = decoder(generators.networks[player], data.is_images)
            streams = Streams(seed, f"ais/{player}")
            found = settings.log_likelihood(decode, x, z_dim, streams.at("chains"), what)
            entry["generators"][player] = {
                "mean": float(found.mean()),
                "std_error": float(found.std() / max(1, len(found)) ** 0.5),
                "gap": settings.bdmc_gap(decode, SIMULATED, z_dim, streams.at("bdmc"), what),
            }
        run.store(f"ais-seed{seed}.json", entry)
        out.append(entry)
    return out


def table(entries: Sequence[dict[str, Any]]) -> str:
    """The results as text, a block a run."""
    blocks = []
    for entry in entries:
        rows = [
            [p, f"{g['mean']:.1f}", f"{g['std_error']:.1f}", f"{g['gap']:.1f}"]
            for p, g in entry["generators"].items()
        ]
        s = entry["settings"]
        blocks.append(
            f"{entry['run']}\n"
            f"{text_table(['generator', 'log p(x)', 'std error', 'BDMC gap'], rows)}\nnats,"
            f" {s['points']} points of {s['data']} ({s['split']}), variance {s['variance']},"
            f" {s['chains']} chains, {s['distributions']} distributions, {s['leapfrog_steps']}"
            " leapfrog steps"
        )
    return "\n\n".join(blocks)

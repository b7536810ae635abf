"""Pictures about who helped whom, and how far a generator can be trusted: swaps, balance, judges,
latent walks.

The same conventions as in `pictures`; each function gives a PNG, or None where the run has nothing
of the kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from raygan.controller.checkpoint import newest_valid
from raygan.data.base import Samples, to_uint8
from raygan.errors import DataError
from raygan.gan.random_streams import REACH, sample_prior
from raygan.metrics.classifier import load_classifier, probabilities
from raygan.networks.base import odds
from raygan.service.runs.identity import data_seen
from raygan.service.runs.run import Run
from raygan.service.runs.verdicts import newest_verdicts
from raygan.service.views.chart import Chart, Panel, line_of, number
from raygan.service.views.colours import MAIN, REAL, colour
from raygan.service.views.curves import OVER_STEPS
from raygan.service.views.paper import STYLE, legend, png
from raygan.service.views.pictures import panels
from raygan.service.views.sheet import tile
from raygan.service.views.standing import Standing
from raygan.service.views.stored import Show
from raygan.strategies.base import strategy_of, threshold_of
from raygan.strategies.roles import MIXTURE, Roles, ordered, role_of, with_verdicts
from raygan.strategies.sources import sources_of

import matplotlib.pyplot as plt  # isort: skip  (pictures chooses the backend)
from raygan.service.views.meetings import gam2_matrix

WALKED = 9
"""Pictures a dimension."""
DIMENSIONS = 4
COSTS = (("cost_train", "-", "#5b4fc7"), ("cost_held_out", "--", MAIN))
"""Field, dashes, colour."""


def generalisation(run: Run) -> Chart | None:
    """D's cost on training and on held-out batches, mean over the pairs (GAP, Fig. 6)."""
    at: dict[int, list[Mapping[str, Any]]] = {}
    pairs = set(run.pairs)
    for row in (r for p, some in run.digest.trained.items() if p in pairs for r in some):
        if "cost_held_out" in row:
            at.setdefault(row["step"], []).append(row)
    if not at:
        return None
    means = [
        {"step": s, **{key: np.mean([number(r.get(key)) for r in at[s]]) for key, _, _ in COSTS}}
        for s in sorted(at)
    ]
    lines = [
        line_of(means, OVER_STEPS, key, label=key.replace("_", " "), colour=tint, dashes=dashes,
                width=1.2)
        for key, dashes, tint in COSTS
    ]  # fmt: skip
    return Chart([Panel("cost of D", OVER_STEPS, lines)], 2.2, across=1)


def verdict_histograms(run: Run, data: Samples, found: Standing) -> bytes | None:
    """D(real) and D(fake) of every discriminator in the newest checkpoint (training pitfalls: D
    should be undecided).
    """
    checkpoint, _ = newest_valid(run.path)
    if checkpoint is None:
        return None
    run, strategy = Run(run.path, pin=checkpoint), strategy_of(run.config)
    roles = strategy.roles(run.config)  # of an older release run.json does not say who learns
    judges = found.of(ordered(with_verdicts(checkpoint.parts, roles), roles), roles)
    if not judges:
        return None
    networks = run.discriminators(judges)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            -(-len(judges) // 4),
            min(4, len(judges)),
            figsize=(9.6, 1.9 * -(-len(judges) // 4)),
            squeeze=False,
            layout="constrained",
        )
        for axis in axes.flat[len(judges) :]:
            axis.axis("off")
        for axis, player in zip(axes.flat, judges, strict=False):
            own = run.config.of(player)
            d = networks[player]
            fake = torch.from_numpy(
                run.generator(MIXTURE if role_of(player, roles).judges else player).draw(500, 0)
            )
            # Logits that are not undecided at 0 are no log-odds: a sigmoid would say nothing.
            critic = threshold_of(own) != 0
            real = _shown_to(run, player, data)
            shown = [] if real is None else [("real", real, REAL, 0.7)]
            shown.append(("generated", fake, colour(player, roles), 0.6))
            with torch.no_grad():
                logits = [d(x) for _, x, _, _ in shown]
            values = [x.flatten() if critic else odds(x).sigmoid() for x in logits]
            ends = (torch.cat(values).min(), torch.cat(values).max()) if critic else (0.0, 1.0)
            bins = np.linspace(float(ends[0]), float(ends[1]), 31)
            for (label, _, tint, alpha), value in zip(shown, values, strict=True):
                axis.hist(value.numpy(), bins, color=tint, alpha=alpha, label=label)
            there = " (its data are not here)" if real is None else ""
            axis.set_title(f"D of {player}{there}", fontsize=8)
            axis.set_yticks([])
        legend(figure, axes.flat[0])
    return png(figure)


def _shown_to(run: Run, player: str, data: Samples) -> torch.Tensor | None:
    """Real samples of what this player's D has seen, (N, *shape); None where they are on another
    machine, or its pair's own: a report is written unasked, and those leave their process for none.
    """
    # where all was trained in one process, they have been in it
    if sources_of(run.config) and not (data.whole and run.info.get("executor") == "inline"):
        return None
    try:
        # others than the run's are told above the report, once
        seen = data_seen(run, [player], data, other=True)[player]
    except DataError:
        return None
    return seen.batch(500, torch.Generator().manual_seed(0), torch.device("cpu"))


def latent_walk(run: Run, data: Samples) -> bytes | None:
    """The best single generator along single dimensions of z, from end to end of its prior, the
    others at one draw (training pitfalls).
    """
    checkpoint, _ = newest_valid(run.path)
    if checkpoint is None or data.text:
        return None
    generators = run.generator(run.best)
    ((name, network),) = generators.networks.items()
    prior, z_dim = generators.priors[name]
    # One draw for all panels: what differs between rows is the dimension alone. By its own prior:
    # what a uniform one never draws, G was never trained on.
    base = sample_prior(prior, (1, z_dim), torch.Generator().manual_seed(0))
    dims = sorted({round(d) for d in np.linspace(0, z_dim - 1, min(DIMENSIONS, z_dim))})
    walk = np.linspace(-REACH[prior], REACH[prior], WALKED if data.is_images else 60)
    grid = base.repeat(len(dims), len(walk), 1)
    for i, d in enumerate(dims):
        grid[i, :, d] = torch.from_numpy(walk).float()
    with torch.no_grad():
        out = network(grid.reshape(-1, z_dim))
    with plt.rc_context({**STYLE, "axes.grid": False}):
        if data.is_images:
            figure, axis = plt.subplots(figsize=(9.6, 1.05 * len(dims)), layout="constrained")
            axis.imshow(
                tile(to_uint8(out), len(walk)),
                cmap="gray",
                vmin=0,
                vmax=255,
                interpolation="nearest",
            )
            side = data.shape[-1]
            axis.set_yticks([side * (i + 0.5) for i in range(len(dims))], [f"z[{d}]" for d in dims])
            axis.set_xticks(
                [side * (i + 0.5) for i in range(len(walk))], [f"{w:.1f}" for w in walk]
            )
        else:
            figure, axis = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
            if data.modes is not None:
                axis.scatter(
                    data.modes.means[:, 0],
                    data.modes.means[:, 1],
                    s=40,
                    facecolors="none",
                    edgecolors="#b5b5b5",
                    linewidths=0.8,
                )
            for d, path in zip(dims, out.reshape(len(dims), len(walk), -1).numpy(), strict=True):
                x, y = (walk, path[:, 0]) if path.shape[1] == 1 else (path[:, 0], path[:, 1])
                axis.plot(x, y, linewidth=1.2, marker=".", markersize=2, label=f"z[{d}]")
            axis.set_aspect("auto" if data.shape == (1,) else "equal")
            legend(figure, axis)
    return png(figure)


def class_histograms(show: Show, data: Samples, roles: Roles) -> bytes | None:
    """Most likely classes of each generator's kept samples, by the data's classifier (GAP, Fig.
    14).
    """
    if data.classifier is None or data.stack > 1:
        return None
    network = load_classifier(data.classifier)[0]
    players = ordered(show, roles)
    with plt.rc_context(STYLE):
        figure, axes = panels(len(players))
        for axis, player in zip(axes.flat, players, strict=False):
            images = (
                torch.from_numpy(np.asarray(show[player][max(show[player])]))
                .float()
                .div(127.5)
                .sub(1)
            )
            p = probabilities(network, images)
            axis.bar(
                range(p.shape[1]),
                np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p),
                color=colour(player, roles),
            )
            axis.axhline(1 / p.shape[1], color="#333333", linewidth=0.8, linestyle="--")
            axis.set_xticks(range(p.shape[1]))
            axis.set_title(player, fontsize=9)
    return png(figure)


def overlay(show: Show, data: Samples, roles: Roles) -> bytes | None:
    """Real and generated samples in one plane: the first two principal components of the
    classifier's features (GAP, A.2).
    """
    if not (data.is_images and data.whole):
        return None
    real = data.held_out_batch(500, torch.Generator().manual_seed(0))
    players = ordered(show, roles)
    pieces: Mapping[str, torch.Tensor] = {"real data": real} | {
        p: torch.from_numpy(np.asarray(show[p][max(show[p])])).float().div(127.5).sub(1)
        for p in players
    }
    # a stacked sample is three digits, and the classifier knows one at a time
    if data.classifier and data.stack == 1:
        network = load_classifier(data.classifier)[0]
        with torch.no_grad():
            features = {k: network.features(v).numpy() for k, v in pieces.items()}
        over = "the classifier's features"
    else:
        features = {k: v.flatten(1).numpy() for k, v in pieces.items()}
        over = "pixels"
    # axes of the real data alone: a generator that has collapsed would turn them to itself
    centre = features["real data"].mean(0)
    axes_ = np.linalg.svd(features["real data"] - centre, full_matrices=False)[2][:2]
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(figsize=(5.4, 4.2), layout="constrained")
        for name, values in features.items():
            plane: npt.NDArray[np.floating] = (values - centre) @ axes_.T
            tint = REAL if name == "real data" else colour(name, roles)
            axis.scatter(
                plane[:, 0],
                plane[:, 1],
                s=4 if name == "real data" else 9,
                color=tint,
                alpha=0.6,
                linewidths=0,
                label=name,
            )
        axis.set_title(f"principal components of {over}", fontsize=9)
        legend(figure, axis, 6)
    return png(figure)


def collect(
    run: Run, show: Show, data: Samples, found: Standing
) -> Sequence[tuple[str, str, bytes | Chart | None]]:
    """(title, sentence, picture) for the report, in its order."""
    judged = newest_verdicts(run)
    return [
        ("GAM-II",
         "Share of a generator's samples that a discriminator takes for real; hatched: they have"
         f" trained together. {judged.note if judged else ''}".rstrip(),
         gam2_matrix(judged.found) if judged else None),
        ("Does D generalise?", "Cost on training and on held-out batches, mean over the players.",
         generalisation(run)),
        ("What D says",
         "Of real and of generated samples, at the newest checkpoint; a good pair's two histograms"
         " overlap.",
         verdict_histograms(run, data, found)),
        ("Latent walk", "The best single generator along single dimensions of its noise.",
         latent_walk(run, data)),
        ("Classes", "Of the samples kept at the last step; dashed: a fair share.",
         class_histograms(show, data, run.roles) if show else None),
        ("Generated over real", "",
         overlay(show, data, run.roles) if show and not data.text else None),
    ]  # fmt: skip

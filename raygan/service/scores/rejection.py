"""Sampling with rejection: a generator's samples that its discriminator can tell from real ones are
kept less often (DRS; Azadi, Olsson, Darrell, Goodfellow, Odena, ICLR 2019).

D goes on for `updates` against the frozen G, by plain cross-entropy, so that its logit l(x) is
log p_data / p_G whatever loss it was trained by; then x is kept with probability
min(1, exp(l(x) - q)), q = the QUANTILE of l over G's samples. That takes away what lies between
modes, which no G that is continuous in z can avoid, and leaves the modes' widths as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from raygan.config import Config
from raygan.data.base import Samples
from raygan.errors import CheckpointError, ConfigError, DataError
from raygan.gan.bundle import unpack
from raygan.gan.modes import train_like
from raygan.gan.optimizers import make_optimizer
from raygan.gan.random_streams import Streams, derive_seed
from raygan.gan.types import State
from raygan.networks.base import odds
from raygan.service.runs.generators import Generators, Judge
from raygan.service.runs.identity import data_seen, run_data
from raygan.service.runs.run import Run
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import Roles, role_of

STEPS, BATCH = 1000, 512
"""Most updates that D goes on for, and samples of each kind in them."""
ROOM = 2**26
"""Numbers that are drawn at once: 256 MiB."""
QUANTILE = 0.5
"""Of the logits of G's samples: that much or more of what G makes is kept with certainty."""


def updates(config: Config) -> int:
    """That D goes on for: not longer than half of what it was trained for, since a first try of a
    few steps is worth no thousand after it.
    """
    return min(STEPS, max(1, config.steps // 2))


def rejection_protocol(config: Config) -> str:
    """Stands in the protocol of scores."""
    return f"rejected by its own D ({updates(config)} steps on, quantile {QUANTILE:g})"


@dataclass(frozen=True)
class Court:
    """A discriminator and the generators whose samples it judges together."""

    owner: str
    generators: tuple[str, ...]


def rejecting(run: Run, which: str, others: bool = False) -> Generators:
    """`run.generator(which)`, whose samples are kept as its discriminators say.

    The same for the same checkpoint and data. Raises ConfigError where there is no D to go by,
    DataError where the run's data are not there, or are others and `others` is not said.
    """
    # G and D of one checkpoint, also while the run goes on.
    run = run.pinned("judged")
    generators, config = run.generator(which), run.config
    # As its strategy says, and not run.json: one of an older release does not say whose D has
    # learned.
    roles = strategy_of(config).roles(config)
    states = {player: unpack(raw) for player, raw in run.checkpoint().parts.items()}
    courts = courts_of(list(generators.networks), roles, states)
    data = _data(run, [court.owner for court in courts], others)
    judges: dict[str, Judge] = {}
    for court in courts:
        d = run.discriminators([court.owner])[court.owner]
        # It goes on as in the run: frozen layers stay so.
        shape = data[court.owner].shape
        train_like(d, strategy_of(config).discriminator(config, court.owner, shape))
        mine = generators.of(court.generators)
        judge = calibrated(d, mine, data[court.owner], config, court.owner)
        judges |= dict.fromkeys(court.generators, judge)
    return replace(generators, judges=judges)


def generators_of(run: Run, which: str, reject: bool, others: bool = False) -> Generators:
    """`run.generator(which)`; reject: `rejecting`, with what that raises."""
    return rejecting(run, which, others) if reject else run.generator(which)


def courts_of(names: Sequence[str], roles: Roles, states: Mapping[str, State]) -> list[Court]:
    """Who judges whose samples: each its own, PMGAN's judge all of its generators' at once. Raises
    ConfigError for a generator without a D, or with one that has learned nothing.
    """
    shared = next((p for p, role in roles.items() if role.judges), None)
    found: dict[str, list[str]] = {}
    for name in names:
        owner = shared if shared and role_of(name, roles).pair else name
        there = any(key.startswith("d.") for key in states.get(owner, {}))
        if not (there and role_of(owner, roles).verdicts):
            raise ConfigError(
                f"--reject: {name} has no discriminator of its own in this run that has learned."
                " Sample it without."
            )
        found.setdefault(owner, []).append(name)
    return [Court(owner, tuple(mine)) for owner, mine in found.items()]


def _data(run: Run, owners: Sequence[str], others: bool) -> dict[str, Samples]:
    """What each of these has trained on. Raises DataError, as `data_seen` does."""
    try:
        return data_seen(run, owners, run_data(run, others), others)
    except DataError as error:
        raise DataError(
            f"--reject needs the run's training data, for its D to go on: {error}"
        ) from None


def calibrated(
    d: nn.Module, generators: Generators, data: Samples, config: Config, owner: str
) -> Judge:
    """D, in training mode, gone on with against these generators, and the logit that is kept with
    certainty. Raises CheckpointError where that comes to no finite number.
    """
    pair = config.of(owner).pair
    streams = Streams(config.seed, f"{owner} rejecting")
    order = streams.at("data")
    trained = [p for p in d.parameters() if p.requires_grad]
    optimizer = make_optimizer("adam", trained, pair.lr_d, 0.5, 0.9)
    # Fresh samples for each update: a D that goes on over one pool learns it by heart, and then
    # rejects by memory.
    steps = updates(config)
    at_once = max(1, ROOM // (BATCH * math.prod(data.shape)))
    first = pool = torch.empty(0)
    with streams.for_layers(0):
        for step in range(steps):
            if step % at_once == 0:
                # By seeds that nobody else draws by: a D that has been trained on the samples
                # that it is to judge rejects by memory.
                seed = derive_seed(config.seed, owner, "rejecting", step)
                pool = torch.from_numpy(generators.draw(min(at_once, steps - step) * BATCH, seed))
                first = first if step else pool[: 10 * BATCH]
            # From the run's own rate to 0: a quarter of it kept .977 good
            # ones where this keeps .985.
            optimizer.param_groups[0]["lr"] = pair.lr_d * (1 - step / steps)
            real = data.batch(BATCH, order, torch.device("cpu"))
            fake = pool[step % at_once * BATCH :][:BATCH]
            # Cross-entropy whatever the run's loss was: its minimum alone is log p_data / p_G.
            loss = F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    d.eval()
    with torch.no_grad():
        logits = odds(d(first))
    threshold = float(logits.quantile(QUANTILE))
    if not logits.isfinite().all():
        raise CheckpointError(
            f"--reject: {owner}'s discriminator gives logits that are not finite. Sample without."
        )
    return Judge(d, threshold, owner)

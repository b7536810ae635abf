"""GAM-II: generators judged by discriminators that have never trained against them (Im et al.,
2016, appendix A.1).

    C(S_j | D_i)      share of generator j's samples that D_i takes for real      error_rates
    average, worst    mean and min over the D_i that j never met    (eq. 3, 4)    scores

Higher is better. A discriminator that errs on everything would flatter everybody: its error on real
data stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from raygan.errors import ConfigError
from raygan.gan.random_streams import Streams
from raygan.networks.base import odds

Rates = npt.NDArray[np.float64]
RESAMPLES = 1000
FEWEST = 3
"""Unseen discriminators: one drawn anew is always the same, two give three means."""


def share_taken_for_real(
    d: nn.Module, samples: Tensor, threshold: float, batch: int = 500
) -> float:
    """Share of samples (N, *shape) on which D's logit is above its loss's threshold; of several
    discriminators the logit of their mean odds. D is put into eval mode, and what its layers draw
    is the same each time.
    """
    d.eval()
    with torch.no_grad(), Streams(0, "taken for real").for_layers(0):
        hits = sum(int((odds(d(part)) > threshold).sum()) for part in samples.split(batch))
    return hits / len(samples)


@dataclass(frozen=True)
class Score:
    """The GAM-II of one generator."""

    average: float
    interval: tuple[float, float] | None
    """95 %, from drawing the unseen discriminators anew; None of fewer than `FEWEST`."""
    worst: float
    unseen: int
    elo: float


def scores(rates: Rates, generators: Sequence[str], seed: int = 0) -> dict[str, Score]:
    """rates: (discriminators, generators), nan where the two have met. Raises ConfigError for a
    generator without judge.

    Elo: of the model logit P(j fools i) = (g_j - d_i), fitted by least squares over the seen rates;
    400 points = odds of 10.
    """
    for j, name in enumerate(generators):
        if np.isnan(rates[:, j]).all():
            raise ConfigError(
                f"gam2: no discriminator is left that {name} has not trained against. Score it"
                " together with another run (`raygan evaluate A B --metrics gam2`), or add"
                " --control 4, or --judges 4 where pairs do not go into each other."
            )
    rng = np.random.default_rng(seed)
    rating = elo(rates)
    out = {}
    for j, name in enumerate(generators):
        mine = rates[~np.isnan(rates[:, j]), j]
        # over discriminators: they are few, and differ more than samples do
        means = rng.choice(mine, (RESAMPLES, len(mine))).mean(1)
        low, high = np.quantile(means, (0.025, 0.975))
        out[name] = Score(
            float(mine.mean()),
            (float(low), float(high)) if len(mine) >= FEWEST else None,
            float(mine.min()),
            len(mine),
            float(rating[j]),
        )
    return out


def elo(rates: Rates) -> Rates:
    """Ratings of the generators, (generators,), mean 1500."""
    # NaN is where the two have trained against each other: such a verdict says nothing
    met = ~np.isnan(rates)
    # clipped: one that fools everybody would have a rating of infinity
    logit = np.log(np.clip(np.nan_to_num(rates, nan=0.5), 1e-3, 1 - 1e-3))
    logit = logit - np.log1p(-np.clip(np.nan_to_num(rates, nan=0.5), 1e-3, 1 - 1e-3))
    rows, columns = np.nonzero(met)
    design = np.zeros((len(rows) + 1, sum(rates.shape)))
    design[np.arange(len(rows)), columns] = 1
    design[np.arange(len(rows)), rates.shape[1] + rows] = -1
    # one more row: generators' ratings add up to 0, since only differences are told by the rates
    design[-1, : rates.shape[1]] = 1
    solved = np.linalg.lstsq(design, np.append(logit[met], 0.0), rcond=None)[0]
    return np.asarray(1500 + 400 / math.log(10) * solved[: rates.shape[1]])


def verdict(group: Mapping[str, Score], control: Mapping[str, Score]) -> str:
    """The paper's definition, on the average: "helps" if one of the group beats every single model,
    "strongly helps" if all do.
    """
    # against the best single model, not their mean: the paper's bar
    best = max(s.average for s in control.values())
    wins = sum(s.average > best for s in group.values())
    if wins == len(group):
        return "strongly helps"
    return "helps" if wins else "does not help"

import math

import numpy as np
import pytest
import torch
from torch import nn

from raygan.errors import ConfigError
from raygan.metrics.ais import Ais
from raygan.metrics.gam import elo, scores, share_taken_for_real, verdict
from raygan.service.scores.gam2 import table

NAN = float("nan")


def test_a_generator_is_judged_only_by_those_it_has_not_met() -> None:
    rates = np.array([[NAN, 0.2], [0.5, NAN], [0.7, 0.4]])
    found = scores(rates, ["a", "b"])
    assert (found["a"].average, found["a"].worst, found["a"].unseen) == (pytest.approx(0.6), 0.5, 2)
    assert (found["b"].average, found["b"].worst) == (pytest.approx(0.3), 0.2)
    assert found["a"].interval is None, "of two judges nothing is known of others"
    assert found["a"].elo > 1500 > found["b"].elo


@pytest.mark.parametrize("judges", [1, 2, 3, 4])
def test_the_interval_is_of_three_judges_and_more(judges: int) -> None:
    rates = np.linspace(0.5, 0.7, judges)[:, None]
    found = scores(rates, ["a"])["a"]
    plain = {"average": found.average, "worst": found.worst, "unseen": judges, "elo": found.elo}
    told = table({
        "protocol": {"samples": 9, "data": "x", "quotable": True},
        "generators": ["a"], "rates": rates.tolist(), "groups": {}, "verdicts": {},
        "discriminators": {f"d{i}": {"error_on_real": 0.1} for i in range(judges)},
        "scores": {"a": {**plain, "interval": found.interval}},
    })  # fmt: skip
    row = next(line for line in told.splitlines() if line.startswith("G0 = a"))
    if judges < 3:
        assert found.interval is None
        assert row.split()[4] == "-"
        return
    assert found.interval is not None
    low, high = found.interval
    assert 0.5 <= low < found.average < high <= 0.7
    assert f"{low:.3f} .. {high:.3f}" in row


def test_an_empty_set_of_judges_is_refused_with_the_next_move() -> None:
    with pytest.raises(
        ConfigError, match=r"no discriminator is left that b has not trained against.*--control 4"
    ):
        scores(np.array([[0.2, NAN], [0.1, NAN]]), ["a", "b"])


def test_elo_recovers_a_planted_model() -> None:
    """logit rate = g_j - d_i with a hole in the matrix: differences of 400 ln 10 a logit."""
    g, d = np.array([0.0, 1.0, -0.5]), np.array([0.3, -0.7])
    rates = 1 / (1 + np.exp(-(g[None] - d[:, None])))
    rates[0, 1] = NAN
    rating = elo(rates)
    assert rating.mean() == pytest.approx(1500)
    assert np.diff(rating) == pytest.approx(np.diff(g) * 400 / math.log(10), rel=1e-4)


def test_helps_and_strongly_helps_are_the_papers_words() -> None:
    rates = np.array([[0.5, 0.4, 0.3, 0.45]])
    found = scores(rates, ["g0", "g1", "c0", "c1"])
    one = {n: found[n] for n in ("g0", "g1")}
    control = {n: found[n] for n in ("c0", "c1")}
    assert verdict(one, control) == "helps"
    assert verdict({"g0": found["g0"]}, control) == "strongly helps"
    assert verdict({"g1": found["g1"]}, control) == "does not help"


def test_the_rate_is_counted_in_eval_mode() -> None:
    d = nn.Sequential(nn.BatchNorm1d(1, affine=False), nn.Flatten(0))
    x = torch.linspace(-1, 3, 1001)[:, None]
    before = d.state_dict()["0.running_mean"].clone()
    assert share_taken_for_real(d, x, 0.0) == pytest.approx(0.75, abs=2e-3)
    assert torch.equal(d.state_dict()["0.running_mean"], before)


@pytest.mark.exhaustive
def test_ais_is_right_on_a_linear_gaussian_decoder() -> None:
    """Closed form: x ~ N(b, W W' + s2 I); within 0.1 nat, and the BDMC gap brackets it."""
    generator = torch.Generator().manual_seed(0)
    w, b = torch.randn((3, 5), generator=generator), torch.randn(5, generator=generator)
    settings = Ais(variance=0.1, chains=64, distributions=3000)
    x = (
        torch.randn((4, 3), generator=generator) @ w
        + b
        + math.sqrt(0.1) * torch.randn((4, 5), generator=generator)
    )
    exact = torch.distributions.MultivariateNormal(b, w.T @ w + 0.1 * torch.eye(5)).log_prob(x)
    found = settings.log_likelihood(lambda z: z @ w + b, x, 3, generator)
    assert (found - exact).abs().max() < 0.1
    gap = settings.bdmc_gap(lambda z: z @ w + b, 8, 3, generator)
    assert -0.05 < gap < 0.2


def test_too_few_distributions_show_in_the_gap() -> None:
    generator = torch.Generator().manual_seed(0)
    w = 3 * torch.randn((3, 5), generator=generator)
    rough = Ais(variance=0.01, chains=2, distributions=5).bdmc_gap(lambda z: z @ w, 8, 3, generator)
    assert rough > 1

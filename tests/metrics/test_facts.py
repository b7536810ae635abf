"""The facts that a right implementation meets (exact definitions: docstrings of raygan.metrics)."""

import math

import numpy as np
import pytest
import torch

from raygan.config import load_component, shorthand
from raygan.data.base import DataComponent, Samples
from raygan.metrics import fidelity
from raygan.metrics.classifier import class_scores, load_classifier, probabilities, stacked_scores
from raygan.metrics.density import density_scores, kde_log_density
from raygan.metrics.fidelity import fid, kid, prdc
from raygan.metrics.modes import assigned, kl_to_uniform, mode_scores, uncovered_by_union
from raygan.metrics.ranking import better, cannot_tell
from raygan.metrics.suite import Suite


def load(spec: str) -> Samples:
    component = load_component("data", shorthand(spec))  # type: ignore[arg-type]
    assert isinstance(component, DataComponent)
    return component.load(0)


@pytest.mark.parametrize(("spec", "count"), [("ring8", 8), ("grid25", 25)])
def test_data_scored_against_itself(spec: str, count: int) -> None:
    data = load(spec)
    for draw in range(5):
        drawn = data.train[draw * 2500 : (draw + 1) * 2500]
        scores = mode_scores(drawn, data.modes)  # type: ignore[arg-type]
        assert scores["modes"] == scores["modes@10%"] == count
        assert scores["high_quality"] == pytest.approx(0.989, abs=0.006)
        assert scores["width"] == pytest.approx(1, abs=0.05)
        floor = (count - 1) / (2 * 2500 * 0.989)
        assert scores["reverse_kl"] == pytest.approx(
            floor, abs=5 * floor / math.sqrt((count - 1) / 2)
        )


def test_a_uniform_box_has_many_modes_by_the_usual_rule_and_none_by_ten_percent() -> None:
    data = load("grid25")
    draws = [
        mode_scores(
            np.random.default_rng(seed).uniform(-4.25, 4.25, (2500, 2)),
            data.modes,  # type: ignore[arg-type]
        )
        for seed in range(10)
    ]
    assert np.mean([d["modes"] for d in draws]) >= 20
    assert all(d["modes@10%"] == 0 for d in draws)
    assert all(d["high_quality"] < 0.04 for d in draws)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8, 1.0])
def test_width_sees_what_high_quality_rewards(share: float) -> None:
    data = load("ring8")
    assert data.modes is not None
    points = data.train[:5000]
    nearest = data.modes.means[assigned(points, data.modes)[0]]
    narrow = mode_scores(nearest + share * (points - nearest), data.modes)
    assert narrow["high_quality"] >= mode_scores(points, data.modes)["high_quality"]
    # what lay beyond 3 std counts once it has come nearer
    assert narrow["width"] == pytest.approx(share, rel=0.06, abs=1e-6)
    far = mode_scores(points + 0.015, data.modes)  # off the centre, and no wider for it
    assert far["width"] < 1.05


def test_width_of_noise_and_of_too_little() -> None:
    data = load("ring8")
    assert data.modes is not None
    disc = np.random.default_rng(0).uniform(-0.03, 0.03, (20_000, 2)) + data.modes.means[0]
    assert mode_scores(disc, data.modes)["width"] == pytest.approx(1.54, abs=0.03)
    assert math.isnan(mode_scores(data.modes.means, data.modes)["width"])  # one point a mode
    assert better("width", 0.9, 0.5)
    assert better("width", 0.9, 1.5)
    assert not cannot_tell({"width": 1.5}, {"width": 1.0})


def test_coverage_c_of_the_data_itself_and_of_half_its_modes() -> None:
    data = load("ring8")
    for draw in range(3):
        own = density_scores(data.train[draw * 1500 : (draw + 1) * 1500], data.held_out[:2500])
        assert 0.92 <= own["coverage_c"] <= 0.98
    half = data.train[data.train[:, 1] > data.train[:, 0] * math.tan(math.pi / 8)][
        :1500
    ]  # 4 neighbouring modes
    assert 0.42 <= density_scores(half, data.held_out[:2500])["coverage_c"] <= 0.53


def test_kde_is_a_density_and_the_likelihood_of_a_gaussian_is_right() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(-5, 5, 101)] * 2), -1).reshape(-1, 2)
    density = np.exp(kde_log_density(grid, rng.standard_normal((50, 2)), 0.5))
    assert density.sum() * 0.01 == pytest.approx(1, abs=1e-3)
    found = density_scores(rng.standard_normal((1500, 2)), rng.standard_normal((2500, 2)))[
        "log_likelihood"
    ]
    assert found == pytest.approx(-(1 + math.log(2 * math.pi)), abs=0.1)


def test_uniform_triples_meet_the_floor_of_stacked_mnist() -> None:
    rng = np.random.default_rng(0)
    p = np.eye(10)[rng.integers(10, size=(26_000, 3))]
    scores = stacked_scores(p)
    assert scores["modes"] == scores["modes@0.9"] == 1000
    assert scores["reverse_kl"] == pytest.approx(0.0192, abs=0.003)
    assert scores["confidence"] == 1


def test_modes_at_low_confidence_do_not_count_at_09() -> None:
    p = np.full((4, 3, 10), 0.05)
    p[..., 0] = 0.55
    assert stacked_scores(p)["modes"] == 1
    assert stacked_scores(p)["modes@0.9"] == 0


def test_class_scores_of_perfect_uniform_and_collapsed_predictions() -> None:
    perfect = class_scores(np.eye(10)[np.arange(1000) % 10])
    assert perfect["score"] == pytest.approx(10, rel=1e-6)
    assert perfect["entropy"] == pytest.approx(2.302585, abs=1e-5)
    assert perfect["tv"] == pytest.approx(0)
    collapsed = class_scores(np.eye(10)[np.zeros(1000, int)])
    assert collapsed["score"] == pytest.approx(1)
    assert collapsed["score_uniform"] == pytest.approx(
        10
    )  # the two differ exactly when collapse happens
    assert collapsed["entropy"] == pytest.approx(0, abs=1e-9)
    assert collapsed["tv"] == pytest.approx(0.9)
    unsure = class_scores(np.full((100, 10), 0.1))
    assert unsure["score"] == pytest.approx(1)


def test_the_classifier_is_as_good_and_as_small_as_promised() -> None:
    from raygan.data.mnist import HELP, load_labels
    from raygan.metrics.classifier import artefact

    network, _, accuracy = load_classifier("mnist")
    data = load("mnist")
    labels = load_labels("mnist", ["mnist"], None, HELP)[1]
    everything = data.held_out_batch(10_000, torch.Generator().manual_seed(0))
    order = torch.randperm(10_000, generator=torch.Generator().manual_seed(0)).numpy()
    found = (probabilities(network, everything).argmax(1) == labels[order]).mean()
    assert found >= 0.99
    assert found == pytest.approx(accuracy, abs=2e-4)
    assert artefact("mnist").stat().st_size < 200_000


def test_real_mnist_reaches_the_ceiling_and_noise_the_floor() -> None:
    suite = Suite(load("mnist"), ["classes", "fid"], n_fake=1000, n_real=1000)
    ceiling, floor = suite.ceiling(), suite.floor()
    assert ceiling["score"] > 9.5
    assert ceiling["entropy"] > 2.28
    assert floor["score"] < 2
    (name,) = (k for k in ceiling if k.startswith("fid@"))
    assert name.startswith("fid@cnn-mnist-")
    assert len(name.rpartition("-")[2]) == 8, "the extractor's hash is part of the name"
    assert ceiling[name] < 0.05 * floor[name]


def test_kl_to_uniform_by_hand() -> None:
    assert kl_to_uniform(np.array([3, 1, 0, 0])) == pytest.approx(
        0.75 * math.log(3) + 0.25 * math.log(1)
    )


def test_uncovered_share_is_the_average_over_all_subsets() -> None:
    from itertools import combinations

    counts = np.random.default_rng(0).integers(0, 30, (5, 8))
    found = uncovered_by_union(counts, fair=100.0)
    for n in range(1, 6):
        shares = [((counts[list(s)] >= 10).sum(0) == 0).mean() for s in combinations(range(5), n)]
        assert found[n - 1] == pytest.approx(np.mean(shares))


def test_fid_of_two_gaussians_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40_000, 3)), 2 * rng.standard_normal((40_000, 3)) + [1, 0, 0]
    assert fid(a, b) == pytest.approx(1 + 3 * (2 - 1) ** 2, rel=0.05)
    assert fid(a, a) == pytest.approx(0, abs=1e-6)


def test_fid_equals_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    rng = np.random.default_rng(0)
    mix = rng.standard_normal((6, 6))
    a, b = rng.standard_normal((500, 6)) @ mix, rng.standard_normal((500, 6)) + 0.3
    moments = [torch.from_numpy(m) for x in (a, b) for m in (x.mean(0), np.cov(x, rowvar=False))]
    assert fid(a, b) == pytest.approx(float(_compute_fid(*moments)), rel=1e-6)


def test_kid_equals_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((200, 6)), rng.standard_normal((200, 6)) + 0.3
    assert kid(a, b) == pytest.approx(
        float(poly_mmd(torch.from_numpy(a), torch.from_numpy(b))), rel=1e-9
    )


def test_scores_of_pairs_do_not_depend_on_how_many_are_held_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(60, 3)), rng.normal(size=(50, 3)) * 0.9
    whole = {"kid": kid(a, b), **prdc(a, b)}
    monkeypatch.setattr(fidelity, "BLOCK", 7 * 50)
    assert {"kid": kid(a, b), **prdc(a, b)} == pytest.approx(whole, rel=1e-9, abs=1e-12)


def test_prdc_equals_its_authors_code() -> None:
    from prdc import compute_prdc

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((300, 4)), rng.standard_normal((300, 4)) * 0.7 + 0.5
    assert prdc(a, b) == pytest.approx(compute_prdc(a, b, nearest_k=5))

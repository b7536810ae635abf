"""Samples of a run's generators: by their seed alone, whatever the networks do."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raygan.config import resolve
from raygan.controller.evaluator import Sampler
from raygan.errors import CheckpointError, ConfigError
from raygan.gan.weights import flatten
from raygan.service.runs.generators import Generators, Judge
from raygan.service.scores.export import _refuse_unsaved
from raygan.service.scores.onnx import compare, write_onnx
from tests.conftest import setup_of


class Noise(nn.Module):
    """As in StyleGAN: drawn anew at each call."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * torch.randn_like(x)


class Noisy:
    def generator(self, shape: tuple[int, ...], z_dim: int) -> nn.Module:
        return nn.Sequential(nn.Linear(z_dim, 16), Noise(), nn.ReLU(), nn.Linear(16, *shape))

    def discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        return nn.Sequential(nn.Linear(*shape, 16), Noise(), nn.Linear(16, 1), nn.Flatten(0))


def generators(judged: bool = False) -> Generators:
    torch.manual_seed(0)
    networks = {f"pair-0{i}": Noisy().generator((2,), 4).eval() for i in (0, 1)}
    judges = (
        {n: Judge(Noisy().discriminator((2,)).eval(), 0.0, n) for n in networks} if judged else {}
    )
    return Generators(networks, dict.fromkeys(networks, ("gaussian", 4)), judges=judges)


@pytest.mark.parametrize("judged", [False, True])
def test_a_seed_is_all_that_samples_hang_on_where_layers_draw(judged: bool) -> None:
    made = generators(judged)
    first = made.draw(700, seed=7)
    torch.manual_seed(99)
    assert np.array_equal(made.draw(700, seed=7), first)
    assert not np.array_equal(made.draw(700, seed=8), first)
    state = torch.get_rng_state()
    made.draw(3)
    assert torch.equal(torch.get_rng_state(), state), "nobody else's numbers are used up"


def test_who_is_answered_with_others_gets_what_he_would_get_alone() -> None:
    made, asked = generators(), [(5, 1), (600, 2), (0, 3)]
    for (n, seed), together in zip(asked, made.draw_many(asked), strict=True):
        assert np.array_equal(together, made.draw(n, seed))


class Constant(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, z: Tensor) -> Tensor:
        return torch.full((len(z), 1), float(self.number))


def numbered(weights: list[float] | None, count: int = 8) -> Generators:
    """Each network's samples are its number."""
    networks: dict[str, nn.Module] = {f"gen-0{i}": Constant(i) for i in range(count)}
    told = None if weights is None else dict(zip(networks, weights, strict=True))
    return Generators(networks, dict.fromkeys(networks, ("gaussian", 2)), told)


@pytest.mark.parametrize("n", [1, 3, 4])
@pytest.mark.parametrize("weights", [None, [40.0, 1, 1, 0, 30, 20, 5, 3]])
def test_many_small_draws_are_one_large_one(n: int, weights: list[float] | None) -> None:
    made, calls = numbered(weights), 2000
    found = np.zeros(8)
    for (x,) in (made.draw_many([(n, seed)]) for seed in range(calls)):
        found += np.bincount(x[:, 0].astype(int), minlength=8)
    each = np.array(weights or [1.0] * 8)
    expected = calls * n * each / each.sum()
    # five deviations of a binomial count, which a systematic draw stays within
    assert (np.abs(found - expected) <= 5 * np.sqrt(expected)).all()


def test_a_large_draw_has_each_share_rounded_down_or_up() -> None:
    weights = [0.1, 0.7, 0.2]
    for n in (0, 7, 400, 1003):
        for seed in range(20):
            drawn = numbered(weights, 3).draw(n, seed)[:, 0]
            counts = np.bincount(drawn.astype(int), minlength=3)
            assert counts.sum() == n
            assert (np.abs(counts - n * np.array(weights)) < 1).all()
    together = numbered(weights, 3).draw_many([(3, 1), (3, 2)])
    assert all(
        np.array_equal(x, numbered(weights, 3).draw(3, seed))
        for x, seed in zip(together, (1, 2), strict=True)
    )


@pytest.mark.parametrize("n", [-1, 3.5, True, "4", None, 2**63])
@pytest.mark.parametrize("which", ["count", "seed"])
def test_what_is_no_count_is_refused(which: str, n: Any) -> None:
    with pytest.raises(ConfigError, match="whole numbers from 0 to"):
        generators().draw(*((n, 0) if which == "count" else (4, n)))


def test_no_samples_have_the_shape_of_samples() -> None:
    assert generators().sample(0).shape == (0, 2)
    assert generators().sample(np.int64(3)).shape == (3, 2)


def test_the_evaluator_draws_the_same_of_the_same_weights() -> None:
    config = resolve("ring8-gap", flags={"network.hidden": 8}).config
    sampler, network = Sampler(setup_of(config)), Noisy().generator((2,), 2)
    sampler.network = lambda player: network  # type: ignore[method-assign]

    def drawn(step: int) -> Tensor:
        return sampler.draw("pair-00", flatten(network), 900, step)

    first = drawn(10)
    torch.manual_seed(99)
    assert torch.equal(drawn(10), first)
    assert not torch.equal(drawn(20), first)


def test_onnx_of_a_network_that_draws_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network = Noisy().generator((2,), 4).eval()
    with pytest.raises(ConfigError, match="draw random numbers"):
        write_onnx(network, torch.randn(5, 4), tmp_path / "g.onnx", ("z", "x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "size", [np.array([1.0]), np.array([1e3]), np.array([1e6]), np.array([1e-3, 1.0, 1e5])]
)
def test_rounding_of_numbers_of_any_size_is_no_difference(size: Any) -> None:
    expected = np.random.default_rng(0).normal(size=(5, 3)) * size
    expected[0] = 0  # a sum that comes to nothing
    compare(expected + 5e-5 * np.maximum(1, size), expected)
    with pytest.raises(CheckpointError, match="differs from PyTorch by"):
        compare(expected + 1e-3 * np.maximum(1, size), expected)
    wrong = expected.copy()
    wrong[:, 0] += 0.1 * np.maximum(1, size[0])
    with pytest.raises(CheckpointError, match="differs from PyTorch by"):
        compare(wrong, expected)


def test_no_number_is_equal_to_none() -> None:
    good = np.ones((5, 2), np.float32)
    for bad in (np.nan, np.inf):
        broken = good.copy()
        broken[1, 1] = bad
        with pytest.raises(CheckpointError, match="differs from PyTorch by"):
            compare(broken, good)
        with pytest.raises(CheckpointError, match="numbers that are not finite"):
            compare(broken, broken)


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
@pytest.mark.exhaustive
def test_a_network_of_large_numbers_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 512), nn.ReLU(), nn.Linear(512, 2)).eval()
    with torch.no_grad():
        network[2].weight *= 1e6
    write_onnx(network, torch.randn(5, 4), tmp_path / "g.onnx", ("z", "x"))
    assert (tmp_path / "g.onnx").exists()


class Counting(nn.Module):
    def __init__(self, moves: bool) -> None:
        super().__init__()
        self.moves = moves
        self.register_buffer("seen", torch.ones(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.moves:
            self.seen += 1
        return x / self.seen


@pytest.mark.parametrize("moves", [True, False])
def test_a_buffer_that_moves_and_would_not_go_along_is_refused(moves: bool, tmp_path: Path) -> None:
    class Net(Noisy):
        def generator(self, shape: tuple[int, ...], z_dim: int) -> nn.Module:
            return nn.Sequential(nn.Linear(z_dim, *shape), Counting(moves))

    made = Net().generator((2,), 4)
    made.train()(torch.zeros(3, 4))
    run: Any = SimpleNamespace(
        config=SimpleNamespace(of=lambda name: SimpleNamespace(component=lambda kind: Stub())),
        info={"shape": [2]},
    )

    class Stub:
        def generator(self, shape: tuple[int, ...], stream: object) -> nn.Module:
            return Net().generator(shape, 4)

    if not moves:
        _refuse_unsaved(run, "pair-00", made)
        return
    with pytest.raises(ConfigError, match=r"buffer '1.seen' has changed"):
        _refuse_unsaved(run, "pair-00", made)

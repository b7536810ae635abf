"""Steps replayed as CUDA graphs are the steps: on a device that is not there, by its rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from raygan.controller.worker import Shelves
from raygan.gan.pair import Pair
from raygan.gan.weights import digest
from raygan.strategies.base import Setup, load_data, strategy_of
from raygan.strategies.population.member import Member
from tests.conftest import tiny_config
from tests.devices import test_skipped as skipped
from tests.devices.fake_cuda import FakeCuda
from tests.devices.test_same_bits import PICTURES

STEPS = 9
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dragan, two critic steps": {"loss": {"name": "dragan", "d_steps": 2}},
    "r1 at each third update": {"loss": {"name": "hinge", "r1": 0.1, "penalty_every": 3}},
    "moving average, clip": {"pair": {"ema": 0.9, "clip_grad_d": 0.5, "clip_grad_g": 0.5}},
    "noise that ends": {"pair": {"input_noise": 0.3, "input_noise_steps": 5}},
    "dcgan, batch norm": {**PICTURES, "num_pairs": 1},
    "bfloat16": {"network": {"precision": "bfloat16"}},
}


def pair_on(device: str, graphs: str, **changes: Any) -> Pair:
    """A pair there."""
    return skipped.pair_on(device, resources={"cuda_graphs": graphs}, **changes)


def rounds(pair: Pair) -> tuple[list[dict[str, float]], str]:
    """The reports of three, and the state at the end."""
    reports = [pair.train(STEPS, Shelves()) for _ in range(3)]
    return reports, digest(pair.state())


def without(report: dict[str, float]) -> dict[str, float]:
    """Without what only a replay tells."""
    return {k: v for k, v in report.items() if k != "replayed"}


@pytest.mark.parametrize("name", KINDS)
def test_replayed_steps_have_the_bits_of_the_cpu(name: str) -> None:
    changes = KINDS[name]
    reports, state = rounds(pair_on("cpu", "auto", **changes))
    with FakeCuda():
        pair = pair_on("cuda", "auto", **changes)
        found, there = rounds(pair)
        assert pair.captured is not None
        assert pair.captured.why == ""
    assert there == state
    assert [without(r) for r in found] == reports
    # the first steps make an optimizer's tensors, so that the second round makes its graphs anew;
    # the last of a round is looked at
    assert found[2]["replayed"] == (STEPS - 1) / STEPS
    assert found[0]["replayed"] < found[2]["replayed"]


def test_a_replayed_step_waits_for_nothing_and_makes_no_tensor_of_its_own() -> None:
    with FakeCuda() as seen:
        pair = pair_on("cuda", "auto")
        pair.train(STEPS, Shelves())
        assert pair.captured is not None
        (graph,) = pair.captured.graphs.values()
        places = [t.data_ptr() for t in (*pair.tensors(), *graph.losses.values())]
        seen.clear()
        with pair.streams.for_layers(pair.step):
            pair.one_step()
        assert not seen.syncs
        # the losses are copied out of it, the batch into it
        assert seen.launches <= 4
        assert [t.data_ptr() for t in (*pair.tensors(), *graph.losses.values())] == places


def test_nobody_replays_unless_asked_to() -> None:
    with FakeCuda():
        assert pair_on("cuda", "off").captured is None
    assert pair_on("cpu", "auto").captured is None


@pytest.mark.parametrize("what", ["real", "z"])
def test_a_step_that_is_not_finite_is_left_out_of_a_graph_too(what: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        with FakeCuda():
            pair = pair_on(device, "auto")
            pair.train(STEPS, Shelves())
            if what == "real":
                # where the batch comes from: what a graph reads is the batch
                pair.data = _Data(pair, pair.step + 3)  # type: ignore[assignment]
            else:
                skipped.spoil(pair, "z", {pair.step + 8})  # the last, which is no replay
            report = without(pair.train(STEPS, Shelves()))
            found.append((digest(pair.state()), {k: str(v) for k, v in report.items()}))
            assert report["bad_steps"] == 1
    assert found[0] == found[1]


class _Data:
    """A pair's data, whose batch of one step is NaN."""

    def __init__(self, pair: Pair, step: int) -> None:
        self.pair, self.data, self.step = pair, pair.data, step

    def batch(self, *asked: Any) -> torch.Tensor:
        return self.data.batch(*asked) * (torch.nan if self.pair.step == self.step else 1.0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pair": {"optimizer": "rmsprop"}}, "rmsprop asks the host at each update"),
        ({"loss": "wgan"}, "asks the host after each update of D"),
        ({"loss": "r3gan"}, "compares with real samples"),
        ({"pair": {"feature_matching": 0.5}}, "compares with real samples"),
        ({"pair": {"lr_decay": "linear"}, "steps": 400}, ""),
    ],
)
def test_what_cannot_be_a_graph_is_trained_as_ever_and_says_why(
    changes: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = rounds(pair_on("cpu", "auto", **changes))
    with FakeCuda():
        pair = pair_on("cuda", "auto", **changes)
        reports, state = rounds(pair)
        assert pair.captured is not None
        assert why in pair.captured.why
        assert (why in caplog.text) if why else not caplog.text
        assert len(pair.captured.seen) <= 16
    assert ([without(r) for r in reports], state) == expected
    assert [r["replayed"] for r in reports] == [0, 0, 0]


def test_an_own_part_is_no_graph(tmp_path: Path) -> None:
    (tmp_path / "warm.py").write_text(
        "from raygan.losses.hinge import Hinge\n"
        "class Warm(Hinge):\n"
        "    def penalty(self, d, real, fake, generator, at):\n"
        "        return d(real).square().mean() * min(1.0, at.update / 50)\n"
    )
    loss = f"{tmp_path}/warm.py:Warm"
    expected = rounds(pair_on("cpu", "auto", loss=loss))
    with FakeCuda():
        pair = pair_on("cuda", "auto", loss=loss)
        reports, state = rounds(pair)
        assert pair.captured is not None
        assert "is your own" in pair.captured.why
    assert ([without(r) for r in reports], state) == expected


def test_settings_that_stop_moving_are_replayed_from_then_on() -> None:
    changes = {"pair": {"input_noise": 0.3, "input_noise_steps": 20}}
    with FakeCuda():
        pair = pair_on("cuda", "auto", **changes)
        found = [pair.train(STEPS, Shelves())["replayed"] for _ in range(5)]
    assert found[:2] == [0, 0]
    assert found[4] == (STEPS - 1) / STEPS


def test_a_member_of_a_population_is_trained_with_the_penalty_that_it_has_now() -> None:
    found = []
    strategy = {"name": "population", "exploit_every": 400, "exploit_warmup": 400}
    for device in ("cpu", "cuda"):
        with FakeCuda():
            config = tiny_config(
                strategy=strategy, loss={"name": "dragan"}, num_pairs=2,
                resources={"cuda_graphs": "auto"},
            )  # fmt: skip
            setup = Setup(config, load_data(config), torch.device(device))
            member = strategy_of(config).build("pair-00", setup)
            assert isinstance(member, Member)
            member.train(STEPS, Shelves())
            member.train(STEPS, Shelves())
            member.go_on_with({**member.settings, "gamma": 5 * member.settings.get("gamma", 1.0)})
            member.train(STEPS, Shelves())
            found.append(digest(member.state()))
            if device == "cuda":
                assert member.captured is not None
                assert member.captured.graphs
    assert found[0] == found[1]


class Counting(nn.Module):
    """A layer whose output hangs on a number of the host."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._calls += 1
        return x * (1 + self._calls / 100)


class Tossing(nn.Module):
    """A layer that draws from the host's generator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rand(()).item()


class Replacing(nn.Module):
    """A layer that puts a new tensor in a buffer's place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = self.seen + x.detach().mean()
        return x


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Counting, "other bits"),
        (Tossing, "other bits"),
        (Replacing, "puts new tensors in the place of old ones"),
    ],
)
def test_a_step_that_hangs_on_more_than_a_graph_knows_is_found(
    layer: type[nn.Module], why: str
) -> None:
    """Own networks are not asked for; a layer that was put into a built-in one is."""
    found = []
    for device, graphs in (("cuda", "off"), ("cuda", "auto")):
        with FakeCuda():
            pair = pair_on(device, graphs)
            pair.d.insert(0, layer().to(device))  # type: ignore[operator]
            for _ in range(3):
                report = pair.train(STEPS, Shelves())
            found.append(digest(pair.state()))
            assert report.get("replayed", 0.0) == 0
            if pair.captured is not None:
                assert why in pair.captured.why
    # one that counts its calls is asked once more for the comparison
    if layer is not Counting:
        assert found[0] == found[1]


def test_a_network_that_was_swapped_in_is_the_one_that_is_trained() -> None:
    found = []
    for device in ("cpu", "cuda"):
        with FakeCuda():
            a, b = pair_on(device, "auto"), pair_on(device, "auto", seed=7)
            for pair in (a, b):
                pair.train(STEPS, Shelves())
            for_a, for_b = b.offer("D", "all"), a.offer("D", "all")
            a.adopt("D", for_a)
            b.adopt("D", for_b)
            a.train(STEPS, Shelves())
            # a restore puts other tensors in their places
            a.restore(b.state())
            a.train(STEPS, Shelves())
            found.append(digest(a.state()))
            if device == "cuda":
                assert a.captured is not None
                assert a.captured.graphs
    assert found[0] == found[1]

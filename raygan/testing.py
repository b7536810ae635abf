"""Checks for users' own parts: what a pytest of a loss, network, data set, strategy or metric
calls, and what raygan's own pass.

    def test_focal():
        raygan.testing.check_loss(Focal())

Each raises an AssertionError of one line: the thing, what it gives, the next move. Neither Ray nor
files are needed.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from raygan.components import Component, load_component
from raygan.config import Config, resolve
from raygan.controller.inline import InlineExecutor
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Save
from raygan.controller.turns import turns
from raygan.data.base import DataComponent, Samples
from raygan.errors import ConfigError, RayganError
from raygan.gan.bundle import unpack
from raygan.gan.random_streams import Streams
from raygan.gan.types import g_loss_of
from raygan.gan.weights import digest
from raygan.losses.base import LossComponent, examine
from raygan.metrics.own import measured
from raygan.networks.base import NetworkComponent
from raygan.own.calling import calling
from raygan.own.objects import named
from raygan.strategies.base import Plan, Setup, StrategyComponent, strategy_of
from raygan.strategies.orders import Train

COUNT = 6


def _need(truth: bool, thing: object, value: str, move: str) -> None:
    if not truth:
        name = thing.name if isinstance(thing, Component) else type(thing).__name__
        raise AssertionError(f"{name}: {value}. {move}")


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _part(kind: str, thing: Any) -> Any:
    """A plain class's object (a pair of factories, a torch Dataset) as the component that a run
    makes of it.
    """
    if isinstance(thing, Component):
        return thing
    if kind == "metric":  # a config has a list of them
        return load_component(kind, named({"metrics": [thing]})["metrics"][0])
    return load_component(kind, named({kind: thing})[kind])


def check_network(network: Any, shape: tuple[int, ...] = (2,)) -> None:
    """Shapes, weights from the stream alone, a state dict's round trip, a copy, finite gradients;
    samples are (N, *shape).
    """
    network = _part("network", network)
    g, d = _built(network, shape, 0)
    z = torch.randn(COUNT, network.z_dim, generator=torch.Generator().manual_seed(1))
    fake = g(z)
    _need(isinstance(fake, Tensor) and fake.shape == (COUNT, *shape), network,
          f"G gives {_shape(fake)} for {COUNT} samples of shape {shape}", f"Let it end in {(COUNT, *shape)}.")  # fmt: skip
    logits, wanted = d(fake), (COUNT,) if network.judges == 1 else (COUNT, network.judges)
    _need(isinstance(logits, Tensor) and logits.shape == wanted, network,
          f"D gives {_shape(logits)} for {COUNT} samples; logits {wanted} are needed",
          "End it with raygan.networks.base.Logits.")  # fmt: skip
    logits.mean().backward()
    for what, net, other, again in zip(
        "GD", (g, d), _built(network, shape, 1), _built(network, shape, 0), strict=True
    ):
        _check_weights(network, what, net, other, again)
        bad = [
            n
            for n, p in net.named_parameters()
            if p.grad is not None and not torch.isfinite(p.grad).all()
        ]
        _need(
            not bad,
            network,
            f"{what}: the gradient of {bad[:1]} is NaN or infinite",
            "Mend its forward.",
        )
        _need(any(p.grad is not None for p in net.parameters()), network, f"{what}: no gradient reaches it",
              "Do not detach within forward.")  # fmt: skip
    _need(network.classifier(shape, 3, _stream("c"))(fake.detach()).shape == (COUNT, 3), network,
          "classifier of 3 classes does not give (N, 3)", "Let _discriminator use `outputs`.")  # fmt: skip


def _stream(purpose: str, seed: int = 0) -> torch.Generator:
    return Streams(seed, "testing").at(purpose, device="cpu")


def _built(
    network: NetworkComponent, shape: tuple[int, ...], seed: int
) -> tuple[nn.Module, nn.Module]:
    """G and D; the process's global random state is another one each time."""
    torch.rand(1)
    return network.generator(shape, _stream("g", seed)), network.discriminator(
        shape, _stream("d", seed)
    )


def _check_weights(
    network: NetworkComponent, what: str, net: nn.Module, other: nn.Module, again: nn.Module
) -> None:
    fresh, first = again.state_dict(), net.state_dict()
    for name, p in net.named_parameters():
        _need(torch.equal(p, again.get_parameter(name)), network,
              f"{what}: {name} differs for the same stream", "Draw it from nothing but `stream`.")  # fmt: skip
        random = p.numel() > 1 and p.unique().numel() > 1
        _need(not random or not torch.equal(p, other.get_parameter(name)), network,
              f"{what}: {name} is the same for another stream, so independent pairs begin alike",
              "Draw it from `stream`.")  # fmt: skip
    other.load_state_dict(first)
    twin = copy.deepcopy(net)
    for how, found in (("load_state_dict", other), ("a copy", twin)):
        same = all(torch.equal(v, found.state_dict()[k]) for k, v in first.items())
        _need(
            same,
            network,
            f"{what}: {how} does not give the same weights",
            "Keep weights as parameters or buffers.",
        )
    _need(
        first.keys() == fresh.keys(),
        network,
        f"{what}: built twice it has other weights",
        "Build it alike each time.",
    )


def check_loss(loss: LossComponent) -> None:
    """Finite scalars; gradients that raise D(x), lower D(G(z)), and have G raise D(G(z)); batched
    form = one after the other.
    """
    for name in ("d_loss", "g_loss"):
        _need(callable(getattr(loss, name, None)), loss, f"has no {name}", f"Write {name}.")
    judges = {1: (), 2: (2,), None: (3,)}[loss.num_judges]
    try:
        examine(loss, *judges or (1,))
    except ConfigError as error:
        raise AssertionError(str(error)) from None
    random = torch.Generator().manual_seed(0)
    # a D that is mistaken a little: every loss, least squares too, wants D(x) higher and D(G(z))
    # lower here
    real, fake = (m + 0.1 * torch.randn(4, COUNT, *judges, generator=random) for m in (-0.4, 0.4))
    for name in ("d_loss", "g_loss"):
        one = torch.stack([_value(loss, name, r, f) for r, f in zip(real, fake, strict=True)])
        many = torch.vmap(lambda r, f, name=name: _called(loss, name, r, f))(real, fake)
        _need(torch.allclose(one, many, atol=1e-6), loss, f"{name} over several pairs at once differs from one after the other",
              "Use torch operations over the batch only, no Python branch on values.")  # fmt: skip
    _check_signs(loss, real[0], fake[0])


def _called(loss: Any, name: str, real: Tensor, fake: Tensor) -> Any:
    return loss.d_loss(real, fake) if name == "d_loss" else g_loss_of(loss, fake, lambda: real)


def _value(loss: LossComponent, name: str, real: Tensor, fake: Tensor) -> Tensor:
    value = _called(loss, name, real, fake)
    assert isinstance(value, Tensor), "examined"
    return value


def _check_signs(loss: LossComponent, real: Tensor, fake: Tensor) -> None:
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    on_real, on_fake = torch.autograd.grad(
        _value(loss, "d_loss", real, fake), (real, fake), allow_unused=True
    )
    value = _value(loss, "g_loss", real, fake)
    (g_fake,) = torch.autograd.grad(value, (fake,), allow_unused=True)
    for what, grad in (
        ("d_loss by D(x)", on_real),
        ("d_loss by D(G(z))", on_fake),
        ("g_loss by D(G(z))", g_fake),
    ):
        _need(grad is not None and bool(torch.isfinite(grad).all()) and bool(grad.abs().sum() > 0), loss,
              f"the gradient of {what} is missing, 0 or not finite", "Let it use both kinds of logits.")  # fmt: skip
    if loss.num_judges != 2:  # D2GAN's second judge wants the opposite
        for what, grad, sign in (
            ("d_loss", on_real, -1),
            ("d_loss", on_fake, 1),
            ("g_loss", g_fake, -1),
        ):
            _need(
                float(grad.sum()) * sign > 0,
                loss,
                f"{what} pushes logits the wrong way",
                "Turn its sign.",
            )


def check_data(data: Any) -> Samples:
    """The same seed, the same samples; shapes, dtype, range; training and held-out part apart.
    Returns the samples.
    """
    data = _part("data", data)
    a, b = data.load(0), data.load(0)
    _need(
        isinstance(a, Samples),
        data,
        f"load gives a {type(a).__name__}",
        "Return raygan.data.base.Samples.",
    )
    for what in ("train", "held_out"):
        x, y = getattr(a, what), getattr(b, what)
        _need(
            isinstance(x, np.ndarray) and len(x) > 0,
            data,
            f"{what} is no array with samples",
            "Give a numpy array.",
        )
        _need(
            np.array_equal(x, y),
            data,
            f"{what} differs for the same seed",
            "Draw from default_rng(seed) only.",
        )
        _need(
            x.dtype in (np.uint8, np.float32),
            data,
            f"{what} is {x.dtype}",
            "Give float32 points or uint8 images.",
        )
        _need(
            x.dtype != np.float32 or bool(np.isfinite(x).all()),
            data,
            f"{what} has NaN",
            "Drop those samples.",
        )
    _need(a.train.shape[1:] == a.held_out.shape[1:] and a.train.dtype == a.held_out.dtype, data,
          f"train is {a.train.shape}, held_out {a.held_out.shape}", "Give both one shape and dtype.")  # fmt: skip
    _need(
        not np.shares_memory(a.train, a.held_out),
        data,
        "train and held_out share samples",
        "Split them.",
    )
    batch = a.batch(COUNT, torch.Generator().manual_seed(0), torch.device("cpu"))
    _need(batch.dtype == torch.float32 and batch.shape == (COUNT, *a.shape), data, f"a batch is {batch.dtype} {_shape(batch)}",
          f"Let it be float32 {(COUNT, *a.shape)}.")  # fmt: skip
    _need(
        not a.is_images or float(batch.abs().max()) <= 1,
        data,
        "images leave [-1, 1]",
        "Give uint8 images.",
    )
    assert isinstance(a, Samples)
    return a


def check_strategy(
    strategy: StrategyComponent, num_pairs: int = 3, steps: int = 6, **settings: Any
) -> None:
    """Trained to the end in both tempos; orders name players that exist; decide is pure; stopped
    and resumed gives the same bits.

    settings: of the config, as for raygan.train, for a strategy that needs other ones.
    """
    given = {
        "data": {"name": "ring", "modes": 8, "train": 256, "held_out": 64},
        "network": {"name": "mlp", "hidden": 8, "layers": 2},
        "num_pairs": num_pairs, "steps": steps, "round_steps": 2, "batch_size": 8, "pairs": [], "start_from": [],
        "evaluation": {"samples": 1500}, "resources": {"num_threads": 1}, "strategy": strategy,
    }  # fmt: skip
    config = resolve(None, (), named(given | settings)).config
    setup = Setup(config, _samples(config), torch.device("cpu"))
    whole = _Drive(strategy, setup).run({}, steps)
    memory: dict[str, Any] = {}
    half = _Drive(strategy, setup, memory).run({}, steps // 2)
    resumed = _Drive(strategy, setup, memory).run(half, steps)
    for player, raw in whole.items():
        _need(digest(unpack(raw)) == digest(unpack(resumed[player])), strategy,
              f"{player} stopped at step {steps // 2} and resumed ends with other weights",
              "Keep all state in state().")  # fmt: skip
    loose = config.model_copy(update={"tempo": "async"})
    try:
        strategy.check(loose)
    except ConfigError:  # it says that it is for lockstep only
        return
    _Drive(strategy, replace(setup, config=loose)).run({}, steps)


def _samples(config: Config) -> Samples:
    component = config.component("data")
    assert isinstance(component, DataComponent)
    with calling("data", component.name, "load"):
        return component.load(config.seed)


class _Asked:
    """A strategy that is asked twice each time: it has to say the same."""

    def __init__(self, strategy: StrategyComponent, shown: StrategyComponent) -> None:
        self._strategy, self._shown = strategy, shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def decide(self, ready: Sequence[str], progress: Any, plan: Plan) -> list[Any]:
        """The strategy's orders."""
        orders, again = (list(self._strategy.decide(ready, progress, plan)) for _ in range(2))
        _need(orders == again, self._shown, "decide gives other orders when asked again",
              "Draw by plan.seed and the step only.")  # fmt: skip
        for order in orders:
            fine = not isinstance(order, Train) or order.steps > 0
            _need(fine, self._shown, f"orders {order}", "Order at least one step.")
        return orders


class _Drive:
    """A run in small: the turns that all drivers step, in this process; saved at the end."""

    def __init__(
        self, strategy: StrategyComponent, setup: Setup, memory: dict[str, Any] | None = None
    ) -> None:
        self.setup, self.memory = setup, {} if memory is None else memory
        asked = _Asked(strategy_of(setup.config), strategy)
        self.strategy = cast(StrategyComponent, asked)

    def run(self, states: Mapping[str, bytes], steps: int) -> dict[str, bytes]:
        """Each player's packed state at `steps`."""
        config, executor = self.setup.config, InlineExecutor(self.setup)
        plan = replace(Plan.of(config, self.setup.num_samples), steps=steps)
        players = self.strategy.players(config)
        out: dict[str, bytes] = {}
        try:
            executor.start(players, states)
            begun = {p: int(str(unpack(raw)["step"])) for p, raw in states.items()}
            ledger = Ledger.begin(players, begun, self.memory)
            for _ in turns(self.strategy, plan, ledger, executor, players):
                pass
            while executor.wait(0):
                pass  # a swap's second half
            for player in players:
                executor.submit(Save(player, steps, steps))
                out[player] = executor.wait(0)[0].result
        except RayganError as error:
            raise AssertionError(str(error)) from None
        finally:
            executor.close()
        self.memory.update(ledger.extra())
        return out


def check_metric(metric: Any, shape: tuple[int, ...] = (2,)) -> None:
    """Numbers, finite, the same for the same samples; samples (N, *shape) are left as they are."""
    part = _part("metric", metric)
    random = torch.Generator().manual_seed(0)
    samples, held_out = (torch.randn(64, *shape, generator=random) for _ in range(2))
    before = samples.clone(), held_out.clone()
    with contextlib.suppress(Exception):  # what it raises is told below
        part.measure(samples, held_out)
    _need(torch.equal(samples, before[0]) and torch.equal(held_out, before[1]), part,
          "changes the samples that it is given", "Work on a copy.")  # fmt: skip
    (first, failed), (again, _) = (measured([part], samples, held_out) for _ in range(2))
    _need(not failed, part, "; ".join(failed.values()), "Return a number, or {name: number}.")
    for name, value in first.items():
        _need(math.isfinite(value), part, f"{name} is {value} on samples from N(0, 1)",
              "Give a finite number.")  # fmt: skip
        _need(value == again[name], part, f"{name} is {value}, then {again[name]} for the same",
              "Draw from nothing but a seed of its own.")  # fmt: skip

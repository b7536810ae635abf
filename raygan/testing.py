"""Checks of own parts, for pytest: `check_loss(Focal())`, `check_network(MyNet)`, `check_data(...)`, `check_strategy(...)`.

Each raises AssertionError with one line: what, its value, what to do. raygan's own components pass the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from raygan.config import Config, resolve
from raygan.controller.inline import InlineExecutor
from raygan.data.base import DataComponent, Samples
from raygan.errors import ConfigError, RayganError
from raygan.gan.bundle import unpack
from raygan.gan.streams import Streams
from raygan.gan.types import g_loss_of
from raygan.gan.weights import digest
from raygan.losses.base import LossComponent, examine
from raygan.networks.base import NetworkComponent
from raygan.own.objects import named
from raygan.service.verify import final_states
from raygan.strategies.orders import Order, Swap
from raygan.strategies.strategy import Plan, Progress, Setup, load_data, strategy_of

COUNT = 32
"""Samples a batch: as many as losses are batched over."""
SMALL: dict[str, Any] = {
    "steps": 12, "num_pairs": 3, "batch_size": 16, "round_steps": 5, "checkpoint": {"every_steps": 4},
    "data": {"name": "ring", "modes": 8, "train": 400, "held_out": 200}, "pair": {"lr_g": 1e-3, "lr_d": 1e-3},
    "network": {"name": "mlp", "hidden": 16, "z_dim": 2}, "resources": {"pairs_per_actor": 1},
}  # fmt: skip


def component(kind: str, thing: object) -> Any:
    """The component that raygan makes of a class, an object or a name. Raises AssertionError with its one line."""
    try:
        return resolve(None, (), {**SMALL, **named({kind: thing})}).config.component(kind)
    except ConfigError as error:
        raise AssertionError(str(error)) from None


def check_loss(loss: object) -> None:
    """Scalars with gradients, finite far out, that pull D and G the right way; batched as one by one; a finite penalty."""
    made = cast(LossComponent, component("loss", loss))
    judges = {1: 1, 2: 2, None: 3}[made.num_judges]
    try:
        examine(made, judges)
    except ConfigError as error:
        raise AssertionError(str(error)) from None
    shape = (COUNT,) if judges == 1 else (COUNT, judges)
    for scale in (1.0, 80.0):
        real, fake = (scale * torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
        value = made.d_loss(real, fake)
        grads = torch.autograd.grad(value, (real, fake), allow_unused=True)
        fine = value.isfinite() and all(g is None or g.isfinite().all() for g in grads)
        assert fine, f"d_loss at logits of {scale:g} N(0, 1): not finite. Use functions of logits (softplus)."
    if judges == 1:
        _check_pull(made)
        _check_batched(made)
    d = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, judges), nn.Flatten(0 if judges == 1 else 1))
    x = torch.randn(COUNT, 2)
    penalty = made.penalty(d, x, x + 1, torch.Generator().manual_seed(0))
    assert penalty is None or penalty.isfinite(), f"penalty = {penalty}. It has to be finite."


def _check_pull(made: LossComponent) -> None:
    real, fake = torch.full((COUNT,), 0.1).requires_grad_(), torch.full((COUNT,), 0.1).requires_grad_()
    up, down = torch.autograd.grad(made.d_loss(real, fake), (real, fake))
    assert up.sum() < 0, (
        f"d_loss: gradient {up.sum():g} by D's logits on real samples. D has to raise these: less than 0."
    )
    assert down.sum() > 0, f"d_loss: gradient {down.sum():g} by D's logits on fakes. D has to lower these: more than 0."
    logits = torch.zeros(COUNT, requires_grad=True)
    (grad,) = torch.autograd.grad(g_loss_of(made, logits, lambda: torch.zeros(COUNT)), logits)
    assert grad.sum() < 0, f"g_loss: gradient {grad.sum():g} by D's logits. G has to raise these: less than 0."


def _check_batched(made: LossComponent) -> None:
    real, fake = torch.randn(2, 3, COUNT, generator=torch.Generator().manual_seed(1))
    try:
        at_once = torch.vmap(made.d_loss)(real, fake)
    except RuntimeError as error:
        raise AssertionError(f"d_loss under torch.vmap: {error}. Use no .item() and no branch on numbers.") from None
    apart = torch.stack([made.d_loss(r, f) for r, f in zip(real, fake, strict=True)])
    assert torch.allclose(at_once, apart), (
        f"d_loss of three pairs at once {at_once.tolist()}, one by one {apart.tolist()}."
    )


def check_network(network: object, shape: tuple[int, ...] = (2,)) -> None:
    """Shapes, logits (N,), gradients, weights that hang on the player's stream alone, a state that goes there and back."""
    made = cast(NetworkComponent, component("network", network))
    makers: dict[str, Callable[[torch.Generator], nn.Module]] = {
        "generator": lambda s: made.generator(shape, s), "discriminator": lambda s: made.discriminator(shape, s),
    }  # fmt: skip
    built: dict[str, nn.Module] = {}
    for name, make in makers.items():
        found = []
        for seed, player in ((0, "a"), (1, "a"), (0, "b")):
            torch.manual_seed(seed)
            found.append(make(Streams(0, player).at("init", device="cpu")))
        first, again, other = (nn.utils.parameters_to_vector(n.parameters()) for n in found)
        assert torch.equal(first, again), (
            f"{name}: its weights hang on the process's random state. Draw from torch, not os."
        )
        assert not torch.equal(first, other), f"{name}: two players have equal weights. Let its layers be drawn."
        built[name] = found[0]
        copy = make(Streams(0, "b").at("init", device="cpu"))
        copy.load_state_dict(found[0].state_dict())
        assert torch.equal(nn.utils.parameters_to_vector(copy.parameters()), first), f"{name}: its state is not all."
    fake: Tensor = built["generator"](torch.randn(COUNT, made.z_dim))
    assert fake.shape == (COUNT, *shape), f"generator gives {tuple(fake.shape)}, the data has {(COUNT, *shape)}."
    logits: Tensor = built["discriminator"](fake)
    wanted = (COUNT,) if made.judges == 1 else (COUNT, made.judges)
    assert logits.shape == wanted, (
        f"discriminator gives {tuple(logits.shape)}, not {wanted}. End it with nn.Flatten(0)."
    )
    logits.sum().backward()
    for name, module in built.items():
        grads = [p.grad for p in module.parameters() if p.requires_grad]
        assert any(g is not None for g in grads), f"{name}: no gradient reaches it."
        assert all(g is None or bool(g.isfinite().all()) for g in grads), f"{name}: a gradient is not finite."


def check_data(data: object) -> Samples:
    """The same samples each time, of one shape, finite, images in [-1, 1]; returns them."""
    made = cast(DataComponent, component("data", data))
    try:
        samples, again = made.load(0), made.load(0)
    except RayganError as error:
        raise AssertionError(str(error)) from None
    assert (samples.train == again.train).all(), "load(0) gives other samples the second time. Draw from the seed."
    assert len(samples.held_out) > 0, "nothing is held out: scores need samples that nobody trains on."
    batch = samples.batch(COUNT, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert batch.shape == (COUNT, *samples.shape), f"a batch is {tuple(batch.shape)}, a sample {samples.shape}."
    assert batch.dtype == torch.float32, f"a batch is of {batch.dtype}, not float32."
    assert batch.isfinite().all(), "a batch holds NaN or infinity."
    if samples.is_images:
        low, high = batch.min().item(), batch.max().item()
        assert -1 <= low <= high <= 1, f"images from {low:g} to {high:g}: they live in [-1, 1]."
    return samples


def check_strategy(strategy: object, **settings: Any) -> None:
    """Whole small runs: everybody is trained to the end, lockstep and async; lockstep has the same bits again, and after a stop.

    settings: of the config, beside the small ones (`loss="reverse_kl"`, `num_pairs=4`).
    """
    for tempo in ("lockstep", "async"):
        config = _config(strategy, tempo, settings)
        made = strategy_of(config)
        plan, players = Plan.of(config, 400), made.players(config)
        fresh = Progress(dict.fromkeys(players, 0))
        first = made.decide(players, fresh, plan)
        _check_orders(first, players)
        assert list(first) == list(made.decide(players, fresh, plan)), "decide(): other orders for the same history."
        setup = Setup(config, load_data(config), torch.device("cpu"))
        try:
            done = final_states(config, lambda setup=setup: InlineExecutor(setup))  # type: ignore[misc]
        except RayganError as error:
            raise AssertionError(f"{tempo}: {error}") from None
        steps = {p: int(str(unpack(raw)["step"])) for p, raw in done.items()}
        assert set(steps.values()) == {config.steps}, f"{tempo}: players ended at {steps}, not all at {config.steps}."
        if tempo == "lockstep":
            _check_bits(config, setup, done)


def _config(strategy: object, tempo: str, settings: Mapping[str, Any]) -> Config:
    try:
        return resolve(None, (), {**SMALL, **named({"strategy": strategy}), "tempo": tempo, **settings}).config
    except ConfigError as error:
        raise AssertionError(str(error)) from None


def _check_orders(orders: Any, players: list[str]) -> None:
    assert orders, "decide(): no orders for a fresh run, so that nobody would ever train."
    for order in cast(list[Order], orders):
        named_ones = order.players if isinstance(order, Swap) else [order.player]
        strangers = [p for p in named_ones if p not in players]
        assert not strangers, f"decide(): an order for {strangers[0]!r}, who is not among {players}."


def _check_bits(config: Config, setup: Setup, done: Mapping[str, bytes]) -> None:
    def digests(states: Mapping[str, bytes]) -> dict[str, str]:
        return {p: digest(unpack(raw)) for p, raw in states.items()}

    again = final_states(config, lambda: InlineExecutor(setup))
    assert digests(again) == digests(done), (
        "lockstep: other bits the second time. Draw from `streams`, keep to versions."
    )
    memory: dict[str, Any] = {}
    half = final_states(config, lambda: InlineExecutor(setup), stop_at=config.steps // 2, memory=memory)
    resumed = final_states(config, lambda: InlineExecutor(setup), states=half, memory=memory)
    odd = [p for p, d in digests(resumed).items() if d != digests(done)[p]]
    assert not odd, f"lockstep: {', '.join(odd)} after a stop in the middle: other bits. state() has to hold all of it."

"""Are these pairs so much alike, and so plain, that one model can train them all?

A pack does in a pair's place what a plain pair would do: whoever does it otherwise trains alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import getattr_static
from typing import cast

import torch
from torch import nn

from raygan.gan.optimizers import Adam, make_optimizer
from raygan.gan.pair import Pair
from raygan.gan.types import Player
from raygan.networks.base import Tuned
from raygan.networks.equivalence import described
from raygan.strategies.batching.fits import one_at_a_time, strange, usual_penalty

LEFT_TO_PAIRS = frozenset(
    {
        "adopt", "beats", "can_undo", "discriminator_vector", "generator_vector", "go_on_with",
        "held", "noise", "offer", "open", "own", "publication", "restore", "set_rates",
        "shared_samples", "undo", "update_of_d",
    }
)  # fmt: skip
"""Methods that are called on the pair itself also in a pack; all others a pack does in its place.
"""


def why_not(players: Sequence[Player]) -> str | None:
    """Why these players cannot be one batched model; None where they can."""
    if odd := next((p.name for p in players if not isinstance(p, Pair)), None):
        return f"{odd} is no pair with a discriminator of its own"
    pairs = [cast(Pair, p) for p in players]
    for pair in pairs:
        if (method := replaced(pair)) is not None:
            return f"{pair.name} is a {type(pair).__name__} with a method {method}() of its own"
    return _unlike_networks(pairs) or _unlike_settings(pairs)


def replaced(pair: Pair) -> str | None:
    """A method of its own that a pack would do as for a plain pair; None where there is none."""
    # all that a plain pair has, less what a pack calls on the pair itself
    names = {name for kind in Pair.__mro__ for name in vars(kind) if not name.startswith("__")}
    return next((name for name in sorted(names - LEFT_TO_PAIRS) if own(pair, name)), None)


def own(pair: Pair, name: str) -> bool:
    """Has the pair, or its class, a method of this name that is not the plain one?"""
    return getattr_static(pair, name) is not getattr_static(Pair, name)


def _unlike_networks(pairs: Sequence[Pair]) -> str | None:
    # autocast and another layout compute with other kernels
    if any(isinstance(network, Tuned) for pair in pairs for network in (pair.g, pair.d)):
        return "network.precision and network.channels_last are not batched"
    for pair in pairs:
        if why := strange(pair.g) or strange(pair.d):
            return why
    # a parameter can be a slice of one stack only
    every = [p for pair in pairs for network in (pair.g, pair.d) for p in network.parameters()]
    if len({id(p) for p in every}) < len(every):
        return "they share layers"
    return _unlike_layers(pairs)


def _unlike_layers(pairs: Sequence[Pair]) -> str | None:
    first, *others = [(described(p.g), described(p.d)) for p in pairs]
    for own in others:
        for network, model in zip(own, first, strict=True):
            if network.signature != model.signature:
                return "their networks have other shapes"
            # slopes, strides, momenta: a pack computes with the first one's
            if network.unlike(model) is not None:
                return "their networks have layers with other settings"
    return None


def _unlike_settings(pairs: Sequence[Pair]) -> str | None:
    first = pairs[0]
    if any(
        (p.config, p.loss, p.batch_size, p.parts.smooth_steps, p.sharing)
        != (first.config, first.loss, first.batch_size, first.parts.smooth_steps, first.sharing)
        for p in pairs
    ):
        return "their settings differ"
    if not usual_penalty(first.loss):
        return f"the penalty of loss {type(first.loss).__name__} is not batched"
    if why := one_at_a_time(first.loss):
        return why
    if first.config.feature_matching or first.config.optimizer != "adam":
        return "feature matching and RMSProp are not batched"
    for pair in pairs:
        if not (plain_adam(pair.opt_g, pair.g) and plain_adam(pair.opt_d, pair.d)):
            return f"{pair.name} has an optimizer of its own"
        if (pair.average is pair.g) == bool(pair.config.ema):
            return f"{pair.name} has an average of G of its own"
    return None


def plain_adam(optimizer: torch.optim.Optimizer, network: nn.Module) -> bool:
    """Is it what `Trainer` makes, over all parameters in order, whatever its rate and betas now?"""
    if type(optimizer) is not Adam or any(
        v for k, v in vars(optimizer).items() if k.endswith("_hooks")
    ):
        return False
    group, parameters = optimizer.param_groups[0], list(network.parameters())
    if [id(p) for g in optimizer.param_groups for p in g["params"]] != [id(p) for p in parameters]:
        return False
    plain = make_optimizer("adam", parameters, 1.0, 0.0, 0.0).param_groups[0]
    # these are set at each step from the config's schedule
    moves = ("params", "lr", "betas")
    return len(optimizer.param_groups) == 1 and _without(group, moves) == _without(plain, moves)


def _without(group: Mapping[str, object], keys: Sequence[str]) -> dict[str, object]:
    return {k: v for k, v in group.items() if k not in keys}

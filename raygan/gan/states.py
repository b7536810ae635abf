"""Networks and optimizers in a player's state: tensors by name, where they lie, and back."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from raygan.config import PairConfig
from raygan.errors import CheckpointError
from raygan.gan.optimizers import Adam, RMSprop
from raygan.gan.types import State

KINDS = {"adam": Adam, "rmsprop": RMSprop}
SLOTS = {"adam": {"step", "exp_avg", "exp_avg_sq"}, "rmsprop": {"step", "square_avg"}}
"""What each keeps of a parameter."""


def network_state(prefix: str, network: nn.Module) -> State:
    """All parameters and buffers as `prefix.name`, also buffers that torch's own state leaves out;
    where they lie, not copied (`host_copies.state_on_host`).
    """
    # a swap hands over all buffers, so that a state must hold those too that torch leaves out
    held = {**network.state_dict(), **dict(unlisted_buffers(network))}
    return {f"{prefix}.{k}": v.detach() for k, v in held.items()}


def load_network(prefix: str, network: nn.Module, state: State) -> None:
    """The inverse of `network_state`; raises KeyError or RuntimeError where it does not fit."""
    network.load_state_dict({k: state[f"{prefix}.{k}"] for k in network.state_dict()})
    with torch.no_grad():
        for name, buffer in unlisted_buffers(network):
            buffer.copy_(cast(Tensor, state[f"{prefix}.{name}"]))


def unlisted_buffers(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Those with `persistent=False`: a swap hands them over, so a checkpoint needs them too."""
    listed = network.state_dict().keys()
    return [(name, buffer) for name, buffer in network.named_buffers() if name not in listed]


def optimizer_state(prefix: str, optimizer: torch.optim.Optimizer) -> State:
    """An optimizer's tensors as `prefix.parameter.name`, not copied; none before a step."""
    return {
        f"{prefix}.{i}.{key}": value.detach()
        for i, slots in optimizer.state_dict()["state"].items()
        for key, value in slots.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(prefix: str, optimizer: torch.optim.Optimizer, state: State) -> None:
    """The inverse of `optimizer_state`; the learning rate stays the optimizer's own."""
    slots: dict[int, dict[str, object]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in state.items():
        if name.startswith(prefix + "."):
            index, _, key = name.removeprefix(prefix + ".").partition(".")
            # a copy: load_state_dict keeps tensors as they are, and the state given is not ours
            copied = (
                copied_like(value, parameters[int(index)]) if isinstance(value, Tensor) else value
            )
            slots.setdefault(int(index), {})[key] = copied
    # rates and betas stay: they are functions of the step, and the config may have been changed
    optimizer.load_state_dict(
        {"state": slots, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def refuse_foreign(
    player: str, optimizer: torch.optim.Optimizer, prefix: str, state: State
) -> None:
    """Raises CheckpointError where the state has the moments of another kind of optimizer; nothing
    is told of a user's own.
    """
    wanted = next((SLOTS[kind] for kind, made in KINDS.items() if type(optimizer) is made), None)
    held = {name.rpartition(".")[2] for name in state if name.startswith(prefix + ".")}
    if wanted and held and held != wanted:
        raise CheckpointError(
            f"{player}: the checkpoint holds numbers of another optimizer than this config's"
            f" ({', '.join(sorted(held))}). Resume with the run's own pair.optimizer, or start a"
            " new run from it (start_from)."
        )


def begun_from(state: State, was: PairConfig, now: PairConfig) -> tuple[State, list[str]]:
    """A player's state as a run with other settings can begin with it, and what that changed of it,
    in words.
    """
    out, told = dict(state), list[str]()
    if was.optimizer != now.optimizer:
        out = {name: value for name, value in out.items() if not is_moment(name)}
        told.append(f"{now.optimizer} begins anew, without the moments of {was.optimizer}")
    # copies: a file holds no tensor twice
    weights = {n: v.clone() for n, v in out.items() if n.startswith("g.") and isinstance(v, Tensor)}
    average = [name for name in out if name.startswith("ema.")]
    if now.ema and weights and not average:
        out |= {"ema." + name.removeprefix("g."): value for name, value in weights.items()}
        told.append("the moving average begins at G")
    elif average and not now.ema:
        out = {k: v for k, v in out.items() if not k.startswith(("ema.", "ema_float32."))}
        told.append("G begins at its weights, without their moving average (pair.ema = 0)")
    return out, told


def is_moment(name: str) -> bool:
    """Is this an optimizer's number?

    >>> is_moment("opt_g.0.exp_avg"), is_moment("messenger.pair-00.opt.3.step")
    (True, True)
    >>> is_moment("g.0.step")
    False
    """
    holder, index, slot = ["", "", *name.rsplit(".", 2)][-3:]
    return (
        holder.rpartition(".")[2].startswith("opt")
        and index.isdigit()
        and any(slot in slots for slots in SLOTS.values())
    )


def copied_like(value: Tensor, parameter: Tensor) -> Tensor:
    """A copy that lies in memory as the parameter does: a fused Adam goes through both by their
    places in memory, and a file holds all tensors in the order of their indices.
    """
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)

"""What SGAN's global pair knows of one local, and of all of them as one batched model.
`messengers.py` trains with them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from raygan.gan import steps as S
from raygan.gan.transfer import state_on_host
from raygan.gan.types import State
from raygan.gan.weights import Publication, unflatten, whole
from raygan.strategies.batching.stack import Stack

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings


class Opponent:
    """What the global pair knows of one local: a messenger (copy of D_n) and G_n as samples or as a
    copy.
    """

    def __init__(
        self, name: str, d: nn.Module, g: nn.Module | None, optimizer: torch.optim.Optimizer
    ) -> None:
        self.name = name
        self.d = d
        self.g = g
        self.optimizer = optimizer
        self.version = 0
        self.samples: Tensor | None = None
        self.used = 0  # batches of `samples` that D0 has seen

    def refresh(
        self, publication: Publication, settings: SganSettings, device: torch.device
    ) -> None:
        """D_msg[n] = copy(D_n); G_n likewise. (S4: starts equal to the published D_n.)"""
        self.version = publication.version
        unflatten(self.d, publication.arrays["D"])
        if settings.messenger_optimizer == "fresh":
            S.forget(self.optimizer)
        elif settings.messenger_optimizer == "clone":
            S.unflatten_optimizer(self.optimizer, publication.arrays["opt_d"])
        if self.g is not None:
            unflatten(self.g, publication.arrays["G"])
        else:
            self.samples = torch.from_numpy(whole(publication.arrays["samples"])).to(device)
            self.used = 0

    def fakes(self, draw: Callable[[], Tensor]) -> Tensor:
        """A batch of G_n; from its copy with a z from `draw`, or the next published batch."""
        if self.g is not None:
            with torch.no_grad():
                out: Tensor = self.g(draw())
                return out
        assert self.samples is not None, f"{self.name} has published nothing yet"
        batch = self.samples[self.used % len(self.samples)]
        self.used += 1
        return batch

    def state(self) -> State:
        """For a checkpoint in the middle of a messenger's life."""
        p = f"opponent.{self.name}"
        return state_on_host(
            {
                f"{p}.version": self.version,
                f"{p}.used": self.used,
                **S.network_state(f"{p}.d", self.d),
                **S.optimizer_state(f"{p}.opt", self.optimizer),
                **(S.network_state(f"{p}.g", self.g) if self.g is not None else {}),
                **({f"{p}.samples": self.samples} if self.samples is not None else {}),
            }
        )

    def restore(self, state: State, device: torch.device) -> None:
        """The inverse of `state`."""
        p = f"opponent.{self.name}"
        self.version = int(str(state[f"{p}.version"]))
        self.used = int(str(state[f"{p}.used"]))
        S.load_network(f"{p}.d", self.d, state)
        S.load_optimizer(f"{p}.opt", self.optimizer, state)
        if self.g is not None:
            S.load_network(f"{p}.g", self.g, state)
        samples = state.get(f"{p}.samples")
        self.samples = samples.to(device) if isinstance(samples, Tensor) else None


class Messengers:
    """All opponents at once, as one batched model; each keeps its own copies, optimizer and random
    streams.
    """

    def __init__(self, opponents: Sequence[Opponent]) -> None:
        self.opponents = list(opponents)
        self.d = Stack([o.d for o in opponents], [o.optimizer for o in opponents])
        self.g = (
            Stack([o.g for o in opponents if o.g is not None])
            if opponents[0].g is not None
            else None
        )

    def are(self, opponents: Sequence[Opponent]) -> bool:
        """Is this the model of these?"""
        return len(opponents) == len(self.opponents) and all(
            map(operator.is_, opponents, self.opponents)
        )

    def fakes(self, draws: Sequence[Callable[[], Tensor]]) -> Tensor:
        """A batch of each G_n, (opponents, N, *shape)."""
        if self.g is None:
            return torch.stack(
                [o.fakes(draw) for o, draw in zip(self.opponents, draws, strict=True)]
            )
        with torch.no_grad():
            return self.g(torch.stack([draw() for draw in draws]))

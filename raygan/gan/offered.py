"""What a generator has on offer is in no state: after a restore it is drawn again, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from torch import Tensor, nn

from raygan.gan import steps as S
from raygan.gan.types import State

PREFIX = "offered."
"""Before the buffers in a state."""


class Offered:
    """G's buffers as they were before it drew what is on offer: what a layer makes of them (a power
    iteration) is the same again.
    """

    def __init__(self, g: nn.Module) -> None:
        self.g = g
        self.before: dict[str, Tensor] = {}
        self.again = False
        """Is the next draw one that was made before the state was saved?"""

    def draw(self) -> Callable[[Tensor], Tensor]:
        """z (N, z_dim) -> samples (N, *shape) of the next offer, within a stream for layers: G
        itself, whose buffers move; of an offer that is repeated G on copies, as they moved already.
        """
        if self.again:
            self.again = False
            # over G's own: states of earlier releases have none from before the draw
            held = {**S.buffers_of(self.g), **{n: b.clone() for n, b in self.before.items()}}
            return partial(S.on_buffers, self.g, held)
        self.before = S.buffers_of(self.g)
        return self.g

    def held(self) -> State:
        """For the player's state; where it lies, not copied."""
        return {PREFIX + name: buffer for name, buffer in self.before.items()}

    def restore(self, state: State) -> None:
        """With the player's own, after its step."""
        own = dict(self.g.named_buffers())
        self.before = {
            name: cast(Tensor, state[PREFIX + name]).to(buffer.device)
            for name, buffer in own.items()
            if PREFIX + name in state
        }
        # before its first step nothing was drawn, or the state tells from what
        self.again = bool(self.before) or int(str(state["step"])) > 0

"""G's moving average: what it is at each step, where numbers of 16 bits would stand still."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from raygan.gan import steps as S
from raygan.gan.types import State
from raygan.gan.weights import Vector, as_words, from_words

Buffers = dict[str, Tensor | None]
PREFIX = "ema_float32."
"""Before a number's name in a state."""


def holders(a: nn.Module, b: nn.Module) -> list[tuple[Buffers, Buffers, str]]:
    """Where two networks alike keep each of their buffers, and its name there."""
    layers = zip(a.modules(), b.modules(), strict=True)
    return [(x._buffers, y._buffers, name) for x, y in layers for name in y._buffers]


@dataclass(frozen=True)
class Fine:
    """A parameter of the average of less than 32 bits, and its value in float32."""

    name: str
    rounded: Tensor
    value: Tensor


class Averaging:
    """Of G, in `average`, which may be G itself: then there is none."""

    def __init__(self, average: nn.Module, g: nn.Module) -> None:
        # listed once: a module walks through all its layers for each such list
        self.now, self.values, self.fine = list(g.parameters()), list[Tensor](), list[Fine]()
        self.buffered = holders(average, g)
        self.none = average is g
        for name, p in average.named_parameters():
            low = not self.none and p.is_floating_point() and p.element_size() < 4
            if low:
                self.fine.append(Fine(name, p, p.detach().float()))
            self.values.append(self.fine[-1].value if low else p)

    def update(self, ema: float) -> None:
        """avg <- ema avg + (1 - ema) G; buffers are copied."""
        now: list[Tensor] = list(self.now)
        if self.fine:
            # a small step from a bfloat16 rounds to none
            now = [n.detach().to(v.dtype) for n, v in zip(now, self.values, strict=True)]
        S.update_average(self.values, now, ema)
        for each in self.fine:
            each.rounded.detach().copy_(each.value)
        # a forward() may put a new tensor in a buffer's place: looked up anew, by name
        for ours, theirs, name in self.buffered:
            mine, held = ours[name], theirs[name]
            # where it lies, if it fits: a pack's stacked tensors are seen through these
            if mine is not None and held is not None and S.like(mine, held):
                mine.detach().copy_(held)
            else:
                ours[name] = None if held is None else held.detach().clone()

    # ----------------------------------------------------------------------------------------------
    # what of it the average itself does not hold

    def words(self) -> dict[str, Vector]:
        """For a parcel, beside the average; empty where all of it has 32 bits."""
        return {"average_float32": as_words([f.value for f in self.fine])} if self.fine else {}

    def take_up(self, words: Vector | None) -> None:
        """After the average was overwritten; None: it begins anew at what it is."""
        for each in self.fine:
            each.value.copy_(each.rounded.detach())
        if self.fine and words is not None:
            from_words([f.value for f in self.fine], words)

    def state(self) -> State:
        """For a checkpoint, not copied."""
        return {PREFIX + f.name: f.value for f in self.fine}

    def restore(self, state: State) -> None:
        """The inverse; a state without them (of an earlier release) begins at the average."""
        self.take_up(None)
        for each in self.fine:
            if isinstance(value := state.get(PREFIX + each.name), Tensor):
                each.value.copy_(value)

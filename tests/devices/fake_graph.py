"""A CUDA graph's rules without CUDA: what was launched while it was captured is launched again, on
the same memory, with the numbers that the host had then.

Random numbers are drawn anew from the generators that were registered, as they are at the replay.
What a capture launches does not happen: what it has overwritten is put back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves


class Recording:
    """In the place of torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.generators: list[torch.Generator] = []
        self.made: dict[int, Any] = {}
        """Storages that came into being within it, by address; held, so that none is given out
        again."""
        self.overwritten: dict[int, tuple[Any, Any]] = {}

    def register_generator_state(self, generator: torch.Generator) -> None:
        """Before it is captured."""
        self.generators.append(generator)

    def before(self, func: Any, tensors: list[Tensor]) -> None:
        """Keep what the operation may write over."""
        # batch norm's running averages: its schema does not say that they are written
        written = func._schema.is_mutable or "batch_norm" in func.__name__
        for x in tensors if written else []:
            storage = storage_of(x)
            if storage._cdata not in self.made and storage._cdata not in self.overwritten:
                with _disable_current_modes():
                    self.overwritten[storage._cdata] = storage, storage.clone()

    def after(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """It was launched."""
        self.calls.append((func, args, kwargs, out))
        given = {storage_of(x)._cdata for x in tree_leaves((args, kwargs)) if is_tensor(x)}
        for x in filter(is_tensor, tree_leaves(out)):
            if storage_of(x)._cdata not in given:
                self.made[storage_of(x)._cdata] = storage_of(x)

    def undo(self) -> None:
        """The capture is over."""
        with _disable_current_modes():
            for storage, was in self.overwritten.values():
                storage.copy_(was)

    def replay(self) -> None:
        """All of it again."""
        with _disable_current_modes(), torch.no_grad():
            for func, args, kwargs, out in self.calls:
                again = func(*args, **kwargs)
                # a view sees what it did; memory that is only asked for holds nothing
                if func.is_view or "empty" in func.__name__:
                    continue
                for x, y in zip(tree_leaves(out), tree_leaves(again), strict=True):
                    if is_tensor(x):
                        x.detach().copy_(y)


def is_tensor(x: Any) -> bool:
    """Among an operation's arguments and results."""
    return isinstance(x, Tensor)


def storage_of(x: Tensor) -> Any:
    """Its memory."""
    return x.untyped_storage()

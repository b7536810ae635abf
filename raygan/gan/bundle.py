"""A player's state as one file: safetensors for tensors, its JSON header for plain values. No
pickle.
"""

from __future__ import annotations

import json

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from raygan.errors import CheckpointError
from raygan.gan.types import State


def pack(state: State) -> bytes:
    """State -> bytes."""
    tensors = {k: v.contiguous() for k, v in state.items() if isinstance(v, Tensor)}
    plain = {k: v for k, v in state.items() if not isinstance(v, Tensor)}
    return save(tensors, metadata={"plain": json.dumps(plain)})


def unpack(raw: bytes) -> State:
    """Bytes -> state; raises CheckpointError when they are damaged."""
    try:
        size = int.from_bytes(raw[:8], "little")
        plain = json.loads(json.loads(raw[8 : 8 + size])["__metadata__"]["plain"])
        return {**load(raw), **plain}
    except (
        SafetensorError,
        ValueError,
        KeyError,
        UnicodeDecodeError,
        TypeError,
        MemoryError,
        RecursionError,
    ) as error:
        raise CheckpointError(
            f"a checkpoint part cannot be read ({error}). Resume from another step."
        ) from None

"""A player's state as one file: safetensors for tensors, its JSON header for plain values. No
pickle.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from raygan.errors import CheckpointError
from raygan.gan.types import State


def pack(state: State) -> bytes:
    """A state as the bytes of one safetensors file."""
    tensors = {k: v.contiguous() for k, v in state.items() if isinstance(v, Tensor)}
    plain = {k: v for k, v in state.items() if not isinstance(v, Tensor)}
    return save(tensors, metadata={"plain": json.dumps(plain)})


def unpack(raw: bytes) -> State:
    """Bytes -> state; raises CheckpointError when they are damaged."""
    with _readable():
        return {**load(raw), **_plain(raw)}


def unpack_plain(raw: bytes) -> State:
    """The plain values alone: no tensor is touched, however large they are."""
    with _readable():
        return _plain(raw)


def _plain(raw: bytes) -> State:
    size = int.from_bytes(raw[:8], "little")
    return dict(json.loads(json.loads(raw[8 : 8 + size])["__metadata__"]["plain"]))


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
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

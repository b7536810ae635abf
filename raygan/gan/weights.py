"""A network as ONE flat contiguous vector, and back: parameters and buffers, bit for bit.

What crosses a process is a Publication: (player, version, named vectors). A vector is made once,
frozen, and never written again, so a reader in another thread can never see half of a step.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from raygan.errors import NonFiniteError
from raygan.gan.host_copies import here, put, readable
from raygan.moved import named

Vector = npt.NDArray[np.float32]
Precision = Literal["float32", "bfloat16", "float16"]
Words = npt.NDArray[Any]
"""float32; or of half the size: float16, or uint16 with the bits of a bfloat16."""


@dataclass(frozen=True)
class Publication:
    """Named frozen arrays of one player at one version (= the publisher's step)."""

    player: str
    version: int
    arrays: dict[str, Words] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return sum(a.nbytes for a in self.arrays.values())


def tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All parameters, then all buffers, in the order of registration."""
    yield from network.named_parameters()
    yield from network.named_buffers()


def signature(network: nn.Module) -> str:
    """Names, shapes and types of a network's tensors, as text; equal signatures can exchange
    vectors.
    """
    return ";".join(
        f"{n}:{tuple(t.shape)}:{str(t.dtype).removeprefix('torch.')}" for n, t in tensors(network)
    )


def signature_hash(network: nn.Module) -> str:
    """The signature in 12 hexadecimal digits."""
    return hashlib.sha256(signature(network).encode()).hexdigest()[:12]


def num_words(network: nn.Module) -> int:
    """Length of the network's flat vector, in float32 words."""
    return sum(_words(t) for _, t in tensors(network))


def _words(tensor: Tensor) -> int:
    """4-byte words that hold a tensor; its last one may be filled up (a mask of booleans)."""
    return -(-tensor.numel() * tensor.element_size() // 4)


def flatten(network: nn.Module) -> Vector:
    """Copy all tensors into one frozen float32 vector of shape (num_words,)."""
    return as_words([tensor for _, tensor in tensors(network)])


def as_words(held: Sequence[Tensor]) -> Vector:
    """All of these as one frozen float32 vector.

    Other types (batch norm's counters, masks, a layer in bfloat16) keep their bits: they are copied
    as bytes, not converted.
    """
    flat: Vector = np.empty(sum(map(_words, held)), dtype=np.float32)
    at, held = 0, [tensor.detach() for tensor in held]
    # readable: of a device all tensors come in one copy, of the host none is copied twice
    for tensor in readable(held):
        raw = _bytes(tensor.contiguous())
        end = at + _words(tensor)
        piece = flat[at:end].view(np.uint8)
        piece[: raw.size], piece[raw.size :] = raw, 0
        at = end
    flat.flags.writeable = False
    return flat


def halve(values: Vector, precision: Precision) -> Words:
    """The same numbers in so many bits, frozen; float16 has nothing beyond 65,504, which stands for
    all that is.

    >>> halve(np.float32([1 / 3, 1e6]), "float16")
    array([3.333e-01, 6.550e+04], dtype=float16)
    """
    if precision == "float32":
        return values
    if precision == "float16":
        # without it a large weight would become infinite, and a reader would stop at a NaN
        limit = np.finfo(np.float16).max
        out: Words = values.clip(-limit, limit).astype(np.float16)
    else:
        out = torch.from_numpy(values.copy()).bfloat16().view(torch.int16).numpy().view(np.uint16)
    out.flags.writeable = False
    return out


def whole(words: Words) -> Vector:
    """What `halve` was given, as far as its precision goes; a copy.

    >>> whole(halve(np.float32([1.0, -0.5, 1 / 3]), "bfloat16"))
    array([ 1.        , -0.5       ,  0.33398438], dtype=float32)
    """
    if words.dtype == np.uint16:
        # a bfloat16 is the upper half of a float32
        return (words.astype(np.uint32) << 16).view(np.float32)
    return words.astype(np.float32)


def word_bytes(precision: Precision) -> int:
    """Of one number.

    >>> word_bytes("float32"), word_bytes("bfloat16")
    (4, 2)
    """
    return 4 if precision == "float32" else 2


def narrow(network: nn.Module, flat: Vector, precision: Precision) -> Words:
    """A network's flat vector in words of half the size; integer buffers keep their bits, two words
    for one.
    """
    if precision == "float32":
        return flat
    half = np.dtype(np.float16 if precision == "float16" else np.uint16)
    out = np.concatenate(
        [halve(p, precision) if real else p.view(half) for p, real in pieces(network, flat, 1)]
    )
    out.flags.writeable = False
    return out


def widen(network: nn.Module, words: Words) -> Vector:
    """The inverse: a flat vector that `unflatten` takes.

    Raises ValueError when the lengths differ.
    """
    if words.dtype == np.float32:
        return words
    return np.concatenate(
        [whole(p) if real else p.view(np.float32) for p, real in pieces(network, words, 2)]
    )


def pieces(network: nn.Module, words: Words, per_word: int = 1) -> Iterator[tuple[Words, bool]]:
    """(words of a tensor, is it float32?); other tensors have `per_word` words for each 4 bytes."""
    sizes = [
        (_words(t) * (1 if t.dtype == torch.float32 else per_word), t) for _, t in tensors(network)
    ]
    if words.size != sum(size for size, _ in sizes):
        raise ValueError(
            f"a vector of {words.size} words does not fit a network of {num_words(network)}"
        )
    at = 0
    for size, tensor in sizes:
        yield words[at : at + size], tensor.dtype == torch.float32
        at += size


def float_pieces(network: nn.Module, flat: Vector) -> list[Vector]:
    """Those parts of a network's flat vector that are numbers, as float32."""
    out = []
    for (words, real), (_, tensor) in zip(pieces(network, flat, 1), tensors(network), strict=True):
        if real:
            out.append(words)
        elif tensor.is_floating_point():
            raw = torch.from_numpy(words.copy()).view(torch.uint8)
            numbers = raw[: tensor.numel() * tensor.element_size()].view(tensor.dtype)
            out.append(numbers.float().numpy())
    return out


def finite(player: str, step: int, vector: Vector, network: nn.Module | None = None) -> Vector:
    """The vector itself; raises NonFiniteError when a number in it is not finite.

    network: whose it is; its tensors of other types than float32 are bits there.
    """
    # an infinity of 16 bits is none of 32
    plain = network is None or all(
        t.dtype == torch.float32 for _, t in tensors(network) if t.is_floating_point()
    )
    # the sum is quick, and may overflow where all numbers are finite: then each is looked at
    if plain and np.isfinite(vector.sum()):
        return vector
    numbers = [vector] if network is None else float_pieces(network, vector)
    if not all(np.isfinite(n).all() for n in numbers):
        raise NonFiniteError(
            player,
            f"weights are NaN or infinite at step {step}. Lower pair.lr_g and pair.lr_d, or set "
            "pair.clip_grad_d, and resume from the last checkpoint.",
        )
    return vector


def unflatten(network: nn.Module, flat: Words) -> None:
    """Copy a flat vector, whole or narrow, into the network's tensors, in place. Raises ValueError
    when the lengths differ.
    """
    words = [piece for piece, _ in pieces(network, widen(network, flat), 1)]
    fill([tensor for _, tensor in tensors(network)], words)


def from_words(targets: Sequence[Tensor], flat: Vector) -> None:
    """The inverse of `as_words`, in place. Raises ValueError when the lengths differ."""
    ends = np.cumsum([_words(tensor) for tensor in targets])
    if ends[-1] != flat.size:
        raise ValueError(f"{flat.size} words do not fit tensors of {ends[-1]}")
    fill(targets, np.split(flat, ends[:-1]))


def fill(targets: Sequence[Tensor], words: Sequence[Vector]) -> None:
    """Copy words, as they lie, into the tensors that they hold: one pass on a CPU, one copy to a
    device.
    """
    rest = []
    for tensor, piece in zip(targets, words, strict=True):
        # written where it lies; all others in one copy to the device at the end
        if here(tensor) and tensor.is_contiguous():
            own = _bytes(tensor.detach())
            own[:] = piece.view(np.uint8)[: own.size]
        else:
            rest.append((tensor, torch.from_numpy(piece.copy()).view(torch.uint8)))
    if rest:
        put([tensor for tensor, _ in rest], [raw for _, raw in rest])


def _bytes(tensor: Tensor) -> npt.NDArray[np.uint8]:
    """The memory of a contiguous tensor, as bytes (bytes,)."""
    out: npt.NDArray[np.uint8] = tensor.reshape(-1).view(torch.uint8).numpy()
    return out


def duplicate(network: nn.Module) -> nn.Module:
    """A deep copy, also where hooks keep a computed weight (`nn.utils.weight_norm`), which torch
    refuses to copy.
    """
    # such a weight is no leaf of the graph, which deepcopy refuses; it is computed anew at the next
    # forward
    computed = [
        t
        for m in network.modules()
        for t in vars(m).values()
        if isinstance(t, Tensor) and not t.is_leaf
    ]
    return copy.deepcopy(network, {id(t): t.detach().clone() for t in computed})


def digest(state: dict[str, object]) -> str:
    """SHA-256 over a player's whole state: names, shapes and bits of each tensor, and each plain
    value.
    """
    h = hashlib.sha256()
    for key in sorted(state):
        value = state[key]
        h.update(key.encode())
        if isinstance(value, Tensor):
            h.update(str((tuple(value.shape), str(value.dtype))).encode())
            h.update(
                value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
        else:
            h.update(repr(value).encode())
    return h.hexdigest()


def __getattr__(name: str) -> Any:
    return named(__name__, name)

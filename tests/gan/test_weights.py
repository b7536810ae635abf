import math

import numpy as np
import pytest
import torch
from torch import nn

from raygan.errors import NonFiniteError
from raygan.gan.optimizers import flatten_optimizer, make_optimizer, unflatten_optimizer
from raygan.gan.parcels import Parcel
from raygan.gan.weights import (
    Precision,
    Publication,
    digest,
    duplicate,
    fill,
    finite,
    flatten,
    halve,
    narrow,
    num_words,
    signature,
    signature_hash,
    unflatten,
    whole,
    word_bytes,
)


def make(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    net(torch.randn(3, 1, 3, 3))  # moves the buffers
    return net


def test_a_flat_vector_brings_back_every_parameter_and_buffer_bit_for_bit() -> None:
    source, target = make(0), make(1)
    flat = flatten(source)
    assert flat.shape == (num_words(source),)
    assert flat.dtype == np.float32
    unflatten(target, flat)
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), key


def test_a_tensor_that_does_not_lie_in_one_piece_is_filled_as_well() -> None:
    whole = torch.zeros(3, 4)
    words = np.arange(12, dtype=np.float32)
    fill([whole.T], [words])
    assert torch.equal(whole.T, torch.from_numpy(words).view(4, 3))


def test_integer_buffers_keep_their_bits() -> None:
    source, target = make(0), make(0)
    source[1].num_batches_tracked.fill_(2**40 + 3)  # no float32 holds this number
    unflatten(target, flatten(source))
    assert target[1].num_batches_tracked.item() == 2**40 + 3


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_narrow_vector_brings_back_floats_as_far_as_it_goes_and_integers_bit_for_bit(
    precision: Precision,
) -> None:
    source, target = make(0), make(1)
    source[1].num_batches_tracked.fill_(
        2**40 + 0x7F80_7C00
    )  # as float16 or bfloat16 its bits are no numbers
    words = narrow(source, flatten(source), precision)
    assert words.nbytes == 2 * (num_words(source) - 2) + 8
    assert not words.flags.writeable
    unflatten(target, words)
    assert target[1].num_batches_tracked.item() == 2**40 + 0x7F80_7C00
    for key, value in source.state_dict().items():
        assert torch.equal(
            value.to(getattr(torch, precision)).to(value.dtype), target.state_dict()[key]
        ) or key.endswith("tracked")


def test_what_float16_cannot_hold_is_its_largest_number() -> None:
    assert whole(halve(np.float32([1e9, -1e9]), "float16")).tolist() == [65504.0, -65504.0]


def test_a_narrow_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        unflatten(make(0), np.zeros(3, np.float16))


def test_a_published_vector_is_frozen_and_does_not_follow_the_network() -> None:
    net = make(0)
    flat = flatten(net)
    copy = flat.copy()
    with pytest.raises(ValueError):
        flat[0] = 1.0
    with torch.no_grad():
        net[0].weight.add_(1)
    assert np.array_equal(flat, copy)


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        unflatten(make(0), np.zeros(3, np.float32))


def test_signatures_tell_architectures_apart() -> None:
    assert signature(make(0)) == signature(make(1))
    assert signature_hash(make(0)) != signature_hash(nn.Linear(2, 2))
    assert len(signature_hash(make(0))) == 12


def test_sizes_are_those_of_the_arrays() -> None:
    arrays = {"weights": np.zeros(3, np.float32), "samples": np.zeros((2, 2), np.float32)}
    assert Publication("pair-00", 1, arrays).nbytes == Parcel("pair-00", 1, arrays).nbytes == 28
    precisions: list[Precision] = ["float32", "bfloat16", "float16"]
    assert [word_bytes(p) for p in precisions] == [4, 2, 2]
    assert [halve(np.ones(1, np.float32), p).nbytes for p in precisions] == [4, 2, 2]
    assert not any(halve(np.ones(1, np.float32), p).flags.writeable for p in precisions[1:])


def test_what_fills_up_a_word_is_always_the_same() -> None:
    net = nn.Module()
    net.register_buffer("mask", torch.ones(5, dtype=torch.bool))
    assert flatten(net).view(np.uint8).tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_a_network_with_a_computed_tensor_is_copied_too() -> None:
    """As the hooks of weight norm keep one."""
    net = nn.Linear(2, 1)
    net.computed = net.weight * 2
    copy = duplicate(net)
    assert torch.equal(copy.computed, net.computed)
    assert copy.weight is not net.weight
    assert copy.weight.requires_grad


def test_a_digest_sees_one_flipped_bit() -> None:
    a = {"w": torch.zeros(4), "step": 1}
    b = {"w": torch.tensor([0.0, 0.0, -0.0, 0.0]), "step": 1}
    assert digest(a) != digest(b)
    assert digest(a) != digest({**a, "step": 2})
    assert digest(a) == digest(dict(reversed(a.items())))


def test_an_optimizer_that_never_stepped_is_handed_over_as_zeros() -> None:
    """A joiner may swap before its first step: its taker goes on as with a fresh optimizer."""
    torch.manual_seed(0)
    ours, theirs = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    fresh, taker = (
        make_optimizer("adam", ours.parameters(), 0.1, 0.5, 0.9),
        make_optimizer("adam", theirs.parameters(), 0.1, 0.5, 0.9),
    )
    untouched = [p.detach().clone() for p in ours.parameters()]
    unflatten_optimizer(
        taker, flatten_optimizer(make_optimizer("adam", ours.parameters(), 0.1, 0.5, 0.9))
    )
    assert all(torch.equal(a, b) for a, b in zip(untouched, ours.parameters(), strict=True))
    for network, optimizer in ((ours, fresh), (theirs, taker)):
        network(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    assert all(
        torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


MIXED = [torch.float16, torch.bfloat16, torch.float64]


def mixed(dtype: torch.dtype) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 3).to(dtype), nn.BatchNorm1d(3))


@pytest.mark.parametrize("dtype", MIXED)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_found_in_layers_of_any_type(
    dtype: torch.dtype, value: float
) -> None:
    network = mixed(dtype)
    assert len(finite("pair-00", 1, flatten(network), network)) == num_words(network)
    with torch.no_grad():
        next(network[1].parameters())[0, 0] = value  # type: ignore[index]
    with pytest.raises(NonFiniteError):
        finite("pair-00", 1, flatten(network), network)


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
@pytest.mark.parametrize("dtype", MIXED)
def test_moments_of_any_type_travel_bit_for_bit(dtype: torch.dtype, kind: str) -> None:
    ours, theirs = mixed(dtype), mixed(dtype)
    sent, arrived = (make_optimizer(kind, n.parameters(), 1e-3, 0.5, 0.999) for n in (ours, theirs))
    for step in range(1, 4):
        for i, p in enumerate(ours.parameters()):
            p.grad = torch.full_like(p, 0.1 * step + i)
        sent.step()
    unflatten_optimizer(arrived, flatten_optimizer(sent))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        for name, tensor in sent.state[p].items():
            assert torch.equal(arrived.state[q][name], tensor), (name, tensor.dtype)
    with pytest.raises(ValueError, match="words do not fit"):
        unflatten_optimizer(arrived, flatten_optimizer(sent)[:-1])

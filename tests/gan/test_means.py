"""A mean of networks is one of numbers, not of the words in which they lie."""

import numpy as np
import pytest
import torch
from torch import nn

from raygan.gan.means import mean
from raygan.gan.weights import flatten, narrow, unflatten


class Mixed(nn.Module):
    """A parameter of each of two types, a counter, a mask."""

    def __init__(self, dtype: torch.dtype, value: float) -> None:
        super().__init__()
        self.plain = nn.Parameter(torch.full((3,), value))
        self.other = nn.Parameter(torch.full((3,), value, dtype=dtype))
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("mask", torch.tensor([True, False, True]))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.complex64]
)
def test_a_mean_is_of_numbers_in_every_type(dtype: torch.dtype) -> None:
    networks = [Mixed(dtype, value) for value in (1.0, -3.0)]
    out = Mixed(dtype, 0.0)
    unflatten(out, mean(out, [flatten(n) for n in networks], [3.0, 1.0]))
    assert out.plain.tolist() == [0.0] * 3
    assert out.other.tolist() == [0.0] * 3
    unflatten(out, mean(out, [flatten(n) for n in networks]))
    assert out.plain.tolist() == out.other.tolist() == [-1.0] * 3
    assert out.count.item() == 7
    assert out.mask.tolist() == [True, False, True]


def test_a_counter_of_unlike_values_is_the_first_ones() -> None:
    a, b = Mixed(torch.bfloat16, 1.0), Mixed(torch.bfloat16, 1.0)
    b.count.fill_(2**40)
    unflatten(b, mean(b, [flatten(a), flatten(b)]))
    assert b.count.item() == 7


def test_a_mean_of_float32_alone_has_the_bits_of_numpys_average() -> None:
    networks = [nn.Linear(5, 1) for _ in range(9)]
    stack, weights = [flatten(n) for n in networks], list(range(1, 10))
    expected = np.average(np.stack(stack), 0, weights).astype(np.float32)
    assert mean(networks[0], stack, weights).tobytes() == expected.tobytes()


def test_narrow_words_are_averaged_as_numbers_too() -> None:
    networks = [Mixed(torch.float64, value) for value in (1.0, -3.0)]
    words = [narrow(n, flatten(n), "bfloat16") for n in networks]
    unflatten(networks[0], mean(networks[0], words))
    assert networks[0].plain.tolist() == networks[0].other.tolist() == [-1.0] * 3

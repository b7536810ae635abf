import torch
from hypothesis import given
from hypothesis import strategies as st

from raygan.gan.random_streams import Streams, derive_seed, sample_prior


def test_a_repeated_step_gives_the_same_bits() -> None:
    streams = Streams(7, "pair-00")
    first = torch.randn(5, generator=streams.at("noise", 3))
    torch.randn(9, generator=streams.at("noise", 4))
    assert torch.equal(first, torch.randn(5, generator=streams.at("noise", 3)))
    assert torch.equal(first, torch.randn(5, generator=Streams(7, "pair-00").at("noise", 3)))


@given(st.tuples(*[st.integers(0, 3)] * 4), st.tuples(*[st.integers(0, 3)] * 4))
def test_streams_differ_when_any_part_of_their_address_does(
    a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    seeds = [derive_seed(x[0], f"pair-{x[1]}", f"use-{x[2]}", x[3]) for x in (a, b)]
    assert (seeds[0] == seeds[1]) == (a == b)


def test_no_stream_touches_the_global_generator() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    torch.randn(3, generator=Streams(0, "pair-00").at("noise", 0))
    assert torch.equal(before, torch.get_rng_state())


def test_uniform_prior_fills_minus_one_to_one() -> None:
    z = sample_prior("uniform", (4000, 2), Streams(0, "p").at("z"))
    assert -1 <= z.min() < -0.98
    assert 0.98 < z.max() <= 1
    assert sample_prior("gaussian", (4000, 2), Streams(0, "p").at("z")).abs().max() > 2

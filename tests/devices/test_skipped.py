"""Losses on a device are looked at once a round: what is left out, counted and told is what it is
on the host, where each is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from raygan.controller.worker import Shelves
from raygan.errors import NonFiniteError
from raygan.gan.bad_steps import WAIT, BadSteps
from raygan.gan.later import bad_or_last, numbers
from raygan.gan.pair import Pair, Sharing
from raygan.gan.weights import digest
from raygan.strategies.base import Setup, load_data
from raygan.strategies.batching.pack import Pack
from tests.conftest import tiny_config
from tests.devices.fake_cuda import FakeCuda

KINDS: dict[str, dict[str, Any]] = {
    "adam": {},
    "clipped": {"pair": {"clip_grad_d": 0.5, "clip_grad_g": 0.5}},
    "rmsprop": {"pair": {"optimizer": "rmsprop"}},
    "two critic steps": {"loss": {"name": "dragan", "d_steps": 2}},
    "weights clipped after each": {"loss": "wgan"},
    "moving average": {"pair": {"ema": 0.9}},
}


def pair_on(device: str, **changes: Any) -> Pair:
    """A pair there."""
    config = tiny_config(**{"strategy": "independent", "num_pairs": 2, **changes})
    setup = Setup(config, load_data(config), torch.device(device))
    return Pair("pair-00", setup.parts("pair-00"))


def spoil(pair: Pair, what: str, steps: set[int]) -> None:
    """From now on D's loss ("real") or G's ("z") is NaN in these steps."""
    if what == "real":
        blur: Callable[..., Tensor] = pair.blur
        calls = {"n": 0}

        def blurred(x: Tensor, stream: torch.Generator) -> Tensor:
            # the first of a step's calls is for real samples
            first = calls.get("step") != pair.step
            calls["step"] = pair.step
            return blur(x, stream) * (math.nan if first and pair.step in steps else 1.0)

        pair.blur = blurred  # type: ignore[method-assign]
        return
    noise: Callable[..., Tensor] = pair.noise
    seen: list[int] = []

    def drawn(stream: torch.Generator) -> Tensor:
        seen.append(pair.step)
        # after those that D's updates take
        last = seen.count(pair.step) > pair.loss.d_steps
        return noise(stream) * (math.nan if last and pair.step in steps else 1.0)

    pair.noise = drawn  # type: ignore[method-assign]


def trained(device: str, what: str, steps: set[int], **changes: Any) -> tuple[Any, ...]:
    """After a round of six steps: the state, the report, what was told."""
    pair, told = pair_on(device, **changes), ""
    spoil(pair, what, steps)
    report: dict[str, float] = {}
    try:
        report = pair.train(6, Shelves())
    except NonFiniteError as error:
        told = str(error)
    state = pair.state()
    return (
        told or digest(state),
        {k: (v if math.isfinite(v) else "nan") for k, v in report.items()},
        told,
        pair.bad_steps.total,
        pair.bad_steps.in_a_row,
    )


@pytest.mark.parametrize("what", ["real", "z"])
@pytest.mark.parametrize("steps", [set(), {0}, {2}, {1, 2, 4}, {5}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_is_not_finite_is_left_out_and_counted_as_on_the_host(
    kind: str, steps: set[int], what: str
) -> None:
    expected = trained("cpu", what, steps, **KINDS[kind])
    with FakeCuda():
        assert trained("cuda", what, steps, **KINDS[kind]) == expected
    assert expected[3] == len(steps)


@pytest.mark.parametrize("what", ["real", "z"])
def test_too_many_in_a_row_are_told_of_the_same_step(what: str) -> None:
    changes = {"pair": {"max_bad_steps": 2}}
    expected = trained("cpu", what, {1, 3, 4}, **changes)
    with FakeCuda():
        found = trained("cuda", what, {1, 3, 4}, **changes)
    assert "at step 5, the 2th skipped step in a row" in found[2]
    assert found[2] == expected[2]


def test_a_run_of_nothing_but_nan_ends_within_a_round() -> None:
    with FakeCuda():
        pair = pair_on("cuda", pair={"max_bad_steps": 3})
        spoil(pair, "real", set(range(10_000)))
        with pytest.raises(NonFiniteError, match="at step 3,"):
            pair.train(10_000, Shelves())
        assert pair.step <= WAIT + 1


def test_a_round_that_ends_in_its_middle_leaves_nothing_to_be_counted() -> None:
    found = []
    for device in ("cpu", "cuda"):
        with FakeCuda():
            pair = pair_on(device)
            pair.sharing = Sharing(every=3)
            pair.train(2, Shelves())
            good = pair.state()
            spoil(pair, "real", {2, 3})
            with torch.no_grad():
                next(pair.g.parameters()).view(-1)[0] = math.nan
            # what is published is looked at, and the round ends there
            with pytest.raises(NonFiniteError):
                pair.train(6, Shelves())
            pair.undo(good, Shelves())
            assert pair.bad_steps.waiting == []
            found.append(digest(pair.state()))
    assert found[0] == found[1]


def test_a_pack_that_is_undone_counts_nothing_of_that_round() -> None:
    config = tiny_config(strategy="independent", num_pairs=2, pair={"max_bad_steps": 2})
    setup = Setup(config, load_data(config), torch.device("cpu"))
    pairs = [Pair(n, setup.parts(n)) for n in ("pair-00", "pair-01")]
    pack = Pack(pairs)
    put_back = pack.snapshot()
    spoil(pairs[1], "z", {1, 2})
    with pytest.raises(NonFiniteError):
        pack.train(12, Shelves())
    put_back()
    for pair in pairs:
        state = pair.state()
        assert (state["bad_steps"], state["bad_steps_in_a_row"], pair.step) == (0, 0, 0)


def test_what_a_deputy_has_skipped_is_told_at_once() -> None:
    counted = BadSteps("global", 5)
    with FakeCuda():
        counted.also(torch.tensor(math.nan, device="cuda"), torch.tensor(1.0, device="cuda"))
        assert counted.total == 0
        counted.settle()
    assert counted.total == 1


def test_nan_in_the_weights_is_found_by_the_question_that_was_asked_with_the_losses() -> None:
    with FakeCuda() as seen:
        pair = pair_on("cuda")
        with torch.no_grad():
            next(pair.g.parameters()).view(-1)[0] = math.nan
        pair.train(3, Shelves())
        seen.clear()
        with pytest.raises(NonFiniteError, match="weights or an optimizer's state"):
            pair.check()
        assert not seen.syncs
        # asked again, it looks again
        with torch.no_grad():
            for p in pair.g.parameters():
                p.nan_to_num_()
            for slots in pair.opt_g.state.values():
                for tensor in slots.values():
                    tensor.nan_to_num_()
        pair.check()
        assert seen.syncs


@pytest.mark.parametrize("steps", [{2}, {1, 2}], ids=str)
def test_a_pack_leaves_out_the_pair_whose_loss_is_not_finite(steps: set[int]) -> None:
    found = []
    for device in ("cpu", "cuda"):
        with FakeCuda():
            config = tiny_config(strategy="independent", num_pairs=2)
            setup = Setup(config, load_data(config), torch.device(device))
            pairs = [Pair(n, setup.parts(n)) for n in ("pair-00", "pair-01")]
            spoil(pairs[1], "z", steps)
            reports = Pack(pairs).train(4, Shelves())
            found.append(([digest(p.state()) for p in pairs], reports))
            assert [r["bad_steps"] for r in reports] == [0.0, float(len(steps))]
    assert found[0] == found[1]


def test_values_of_the_host_and_of_a_device_are_one_kind() -> None:
    bad = math.nan
    rows = [[0.5], [0.5, bad, 0.25], [0.5, 0.25], [bad, bad], [bad, 1.0]]
    expected = [bad_or_last(row) for row in rows]
    with FakeCuda() as seen:
        there = [[torch.tensor(v, device="cuda") for v in row] for row in rows]
        found = [bad_or_last(row) for row in there]
        seen.clear()
        assert [repr(v) for v in numbers([*found, 2.0])] == [repr(v) for v in [*expected, 2.0]]
        assert sum(seen.syncs.values()) == 1
    counted = BadSteps("pair-00", 5)
    counted.also(1.0, bad, bad)
    assert (counted.total, counted.in_a_row, counted.waiting) == (2, 0, [])

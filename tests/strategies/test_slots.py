"""A slot is one generator's one write, whole; the judge looks into each before it learns from it,
and goes on with what it knew.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

from raygan.controller.worker import Shelves
from raygan.errors import RayganError
from raygan.gan.bundle import pack, unpack
from raygan.gan.types import State
from raygan.gan.weights import Publication
from raygan.strategies.base import strategy_of
from raygan.strategies.pmgan.inbox import Inbox
from raygan.strategies.pmgan.judge import Judge
from raygan.strategies.pmgan.slots import check_slot, crc, share_of, slot_of, write_slot
from raygan.strategies.roles import JUDGE, number_of
from tests.conftest import setup_of, state_digest, tiny_config


def slot(version: int = 3) -> Publication:
    return write_slot("gen-01", version, np.arange(8, dtype=np.float32).reshape(4, 2), 0.5)


def judge(ema: float = 0.0) -> Judge:
    config = tiny_config(
        strategy={"name": "pmgan"}, loss="reverse_kl", num_pairs=3, pair={"ema": ema}
    )
    out = strategy_of(config).build(JUDGE, setup_of(config))
    assert isinstance(out, Judge)
    return out


@pytest.mark.parametrize("sample", range(4))
def test_a_change_in_any_sample_of_a_slot_is_found(sample: int) -> None:
    whole = slot()
    check_slot(whole)
    assert (whole.player, whole.version) == (slot_of("gen-01"), 3) == ("gen-01/slot", 3)
    torn = whole.arrays["samples"].copy()
    torn[sample, 1] += 1
    with pytest.raises(RayganError, match=r"gen-01/slot: a torn slot \(version 3\)"):
        check_slot(Publication(whole.player, 3, {**whole.arrays, "samples": torn}))
    with pytest.raises(RayganError, match="torn slot"):
        check_slot(Publication(whole.player, 2, whole.arrays))


def test_a_checksum_is_over_the_numbers_however_they_lie() -> None:
    samples = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert crc(samples) == crc(np.asfortranarray(samples)) != crc(samples[:1])


def test_a_generators_class_and_its_share() -> None:
    assert number_of("gen-12") == 12
    assert [share_of(64, n) for n in (0, 1, 5, 64, 65)] == [64, 64, 13, 1, 1]


def test_the_judge_uses_no_torn_slot_and_none_twice() -> None:
    ours, board = judge(), Shelves()
    board.publish(slot(3))
    assert ours.inbox.poll(board, ["gen-01"], 0) == {"gen-01"}
    ours.inbox.used["gen-01"] = 3
    assert ours.inbox.poll(board, ["gen-01"], 0) == set()
    torn = slot(4)
    board.publish(
        Publication(torn.player, 4, {**torn.arrays, "samples": torn.arrays["samples"] * 2})
    )
    with pytest.raises(RayganError, match="torn slot"):
        ours.inbox.poll(board, ["gen-01"], 0)
    assert ours.inbox.slots["gen-01"].version == 3


def test_the_judge_takes_no_slot_that_is_not_newer() -> None:
    ours, older = judge(), slot(3)

    class Again(Shelves):
        def peek(
            self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0
        ) -> dict[str, Publication]:
            return {older.player: older}

    ours.inbox.poll(Again(), ["gen-01"], 0)
    before = ours.inbox.slots["gen-01"]
    older = slot(3)
    ours.inbox.poll(Again(), ["gen-01"], 0)
    assert ours.inbox.slots["gen-01"] is before


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_judge_goes_on_with_what_it_had_computed_and_used(ema: float) -> None:
    ours, other = judge(ema), judge(ema)
    for parameter in ours.c.parameters():
        parameter.grad = torch.ones_like(parameter)
    ours.opt_c.step()  # C and what its optimizer remembers are not those of the beginning
    ours.betas.now[:], ours.betas.learned[:], ours.updates = 0.25, 0.75, 7
    ours.inbox.used = {"gen-00": 4, "gen-01": 5, "gen-02": -1}
    ours.step, ours.bad_steps.in_a_row = 6, 2
    other.restore(unpack(pack(ours.state())))
    assert state_digest(other.state()) == state_digest(ours.state())
    assert np.array_equal(other.betas.now, ours.betas.now)
    assert np.array_equal(other.betas.learned, ours.betas.learned)
    assert (other.inbox.used, other.updates, other.step, other.bad_steps.in_a_row) == (
        ours.inbox.used,
        7,
        6,
        2,
    )
    state: State = {**ours.state(), "used": "gen-00=9,gen-07=3"}
    other.restore(state)
    assert other.inbox.used == {"gen-00": 9, "gen-01": 5, "gen-02": -1}, "only of members"


def test_one_that_has_left_and_come_back_counts_as_new() -> None:
    inbox, board = Inbox(["gen-00", "gen-01"]), Shelves()
    board.publish(slot(3))
    assert inbox.poll(board, inbox.meet(), 0) == {"gen-01"}
    inbox.used["gen-01"] = 3
    inbox.set_members(["gen-00"])
    inbox.set_members(["gen-00", "gen-01"])
    assert inbox.meet() == ["gen-00", "gen-01"]
    assert inbox.used == {"gen-00": -1, "gen-01": -1}
    assert inbox.slots == {}
    assert inbox.poll(board, inbox.members, 0) == {"gen-01"}, "its slot is looked at anew"


def test_what_was_used_is_taken_up_of_members_alone() -> None:
    inbox = Inbox(["gen-00", "gen-01"])
    inbox.restore("gen-00=4,gen-07=9")
    assert inbox.used == {"gen-00": 4, "gen-01": -1}
    assert inbox.as_text() == "gen-00=4,gen-01=-1"
    inbox.restore("")
    assert inbox.used == {"gen-00": 4, "gen-01": -1}

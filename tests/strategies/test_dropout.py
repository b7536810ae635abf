"""Layers that draw by themselves while they train: a run is a function of config and seed with them
too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from raygan.controller.inline import InlineExecutor
from raygan.gan.pair import Pair, Sharing
from raygan.gan.random_streams import Streams
from raygan.networks.mlp import Mlp
from raygan.service.verify import compare, final_states
from raygan.strategies.sgan.messengers import Messengers
from tests.conftest import setup_of, tiny_config


@pytest.fixture(autouse=True)
def dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """In both networks of mlp."""
    for name in ("_generator", "_discriminator"):
        plain = getattr(Mlp, name)

        def dropped(self: Mlp, *args: Any, plain: Any = plain) -> nn.Module:
            network = plain(self, *args)
            return nn.Sequential(*network[:3], nn.Dropout(0.3), *network[3:])

        monkeypatch.setattr(Mlp, name, dropped)


STRATEGIES = [
    "independent",
    {"name": "gap", "swap_every": 3},
    {"name": "sgan", "messenger_lifetime": 2},
    {"name": "sgan", "messenger_lifetime": 2, "share_generators": "samples"},
    {"name": "sgan", "messenger_shards": 2},
    "pmgan",
    {"name": "pmgan", "feedback": "gradients"},
    {"name": "sgan", "over": {"name": "pmgan"}, "messenger_lifetime": 2},
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_neither_the_process_nor_the_rounds_nor_a_stop_change_what_is_dropped(
    strategy: Any,
) -> None:
    found = []
    for seed, rounds in ((1, 6), (2, 1)):
        torch.manual_seed(seed)
        config = tiny_config(
            strategy=strategy,
            steps=6,
            round_steps=rounds,
            batch_size=8,
            checkpoint={"every_steps": 3},
        )
        setup = setup_of(config)
        before = torch.get_rng_state()
        found.append(final_states(config, lambda: InlineExecutor(setup)))  # noqa: B023
        assert torch.equal(before, torch.get_rng_state()), (
            "whoever calls this has the global generator for itself"
        )
    assert (result := compare("other rounds", *found)).ok, result.text
    memory: dict[str, Any] = {}
    stopped = final_states(config, lambda: InlineExecutor(setup), stop_at=3, memory=memory)
    torch.manual_seed(3)
    resumed = final_states(config, lambda: InlineExecutor(setup), states=stopped, memory=memory)
    assert (result := compare("resumed", found[0], resumed)).ok, result.text


def test_batches_of_one_publication_have_masks_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny_config(strategy="independent")
    pair = Pair("pair-00", setup_of(config).parts("pair-00"), Sharing(every=1, samples=2))
    monkeypatch.setattr(pair, "noise", lambda stream: torch.ones(8, 2))
    first, second = pair.shared_samples()
    assert (first != second).any()
    assert (pair.shared_samples() == np.stack([first, second])).all(), "a function of the step"


@pytest.mark.parametrize("kind", ["dropout", "spectral norm"])
def test_deputies_judge_the_batch_of_which_g0_has_the_graph(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a second forward of G0 would have made another one."""
    if kind == "spectral norm":
        plain = Mlp._generator

        def normed(self: Mlp, *args: Any) -> nn.Module:
            network = plain(self, *args).eval()  # a dropout that is off
            nn.utils.parametrizations.spectral_norm(network[0]).train()
            return network

        monkeypatch.setattr(Mlp, "_generator", normed)
    judged: dict[int, list[torch.Tensor]] = {}
    judge = Messengers.judge

    def noted(self: Messengers, fake: torch.Tensor, shares: Any, after: str = "") -> Any:
        judged.setdefault(self.pair.step, []).append(fake.detach().clone())
        return judge(self, fake, shares, after)

    monkeypatch.setattr(Messengers, "judge", noted)
    strategy = {"name": "sgan", "messenger_shards": 3, "messenger_lifetime": 2}
    config = tiny_config(strategy=strategy, num_pairs=4, steps=4, batch_size=8)
    final_states(config, lambda: InlineExecutor(setup_of(config)))
    assert sorted(judged) == [0, 1, 2, 3]
    for first, *others in judged.values():
        assert len(others) == 2
        assert all(torch.equal(first, other) for other in others)


def test_players_steps_and_turns_have_streams_of_their_own() -> None:
    drawn: dict[tuple[str, int], set[float]] = {}
    for player, step in (("pair-00", 0), ("pair-01", 0), ("pair-00", 1), ("pair-00~1", 0)):
        for _ in range(2):
            torch.rand(3)
            with Streams(0, player).for_layers(step):
                drawn.setdefault((player, step), set()).add(torch.rand(1).item())
    assert [len(seen) for seen in drawn.values()] == [1, 1, 1, 1]
    assert len(set.union(*drawn.values())) == 4

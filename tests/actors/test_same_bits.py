"""Inline and on Ray, every variant gives the same bits; the tests share their processes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from raygan.actors.executor import RayExecutor
from raygan.controller.inline import InlineExecutor
from raygan.gan.bundle import unpack
from raygan.service.verify import compare, final_states
from raygan.strategies.base import Setup
from tests.conftest import setup_of, tiny_config

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.usefixtures("ray_session")]


class Warm(RayExecutor):
    """Keeps its processes from test to test: whoever it hosts next is begun anew in them, as after
    a failure.
    """

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        self.workers.spares.there = [
            *{id(a): a for a in self.workers.actors.values()}.values(),
            *self.workers.spares.there,
        ]
        self.workers.actors.clear()
        self.workers.bundles.clear()
        super().start(players, states, epoch)

    def close(self) -> None:
        """Later."""


@pytest.fixture(scope="module")
def warm(ray_session: None) -> Iterator[Callable[[Setup], RayExecutor]]:
    made: list[Warm] = []

    def host(setup: Setup) -> RayExecutor:
        if not made:
            made.append(Warm("warm", setup))
        made[0].configure(setup.config)
        return made[0]

    yield host
    for executor in made:
        super(Warm, executor).close()


@pytest.mark.parametrize("pairs", [2, 5])
@pytest.mark.parametrize("strategy", ["independent", "sgan"])
def test_inline_and_ray_give_the_same_bits(strategy: str, pairs: int, warm: Any) -> None:
    config = tiny_config(strategy=strategy, num_pairs=pairs)
    setup = setup_of(config)
    inline = final_states(config, lambda: InlineExecutor(setup))
    on_ray = final_states(config, lambda: warm(setup))
    result = compare("inline = Ray", inline, on_ray)
    assert result.ok, result.text
    worst = 0.0
    for player, raw in inline.items():
        ours, theirs = unpack(raw), unpack(on_ray[player])
        for key, value in ours.items():
            if hasattr(value, "numpy"):
                worst = max(
                    worst,
                    float(
                        np.abs(value.double().numpy() - theirs[key].double().numpy()).max(initial=0)
                    ),
                )  # type: ignore[attr-defined]
    assert worst == 0.0


def test_locals_are_the_same_with_and_without_the_supervisor_on_ray(warm: Any) -> None:
    config = tiny_config()
    setup = setup_of(config)
    pairs = ["pair-00", "pair-01"]
    whole = final_states(config, lambda: warm(setup))
    alone = final_states(config, lambda: warm(setup), players=pairs)
    assert compare("locals", alone, whole).ok


VARIANTS: list[dict[str, Any]] = [
    {"strategy": {"name": "gap", "swap_every": 3}, "num_pairs": 3},
    {"strategy": {"name": "gap", "swap_every": 4}, "network": {"precision": "bfloat16"}},
    {
        "strategy": {
            "name": "gap",
            "swap_every": 2,
            "what": "G",
            "carry": "weights",
            "lr_smoothing": True,
        },
        "pair": {"ema": 0.9},
    },
    {
        "strategy": {
            "name": "gap",
            "swap_every": 0.2,
            "unit": "epochs",
            "swap_warmup": 0.1,
            "winner_replace": 1,
        }
    },
    {
        "strategy": {"name": "population", "exploit_every": 3, "rank_samples": 50},
        "num_pairs": 5,
        "resources": {"pairs_per_actor": 2},
        "pair": {"ema": 0.9},
    },
    {"strategy": {"name": "pmgan"}, "loss": "reverse_kl", "num_pairs": 3},
    {
        "strategy": {"name": "pmgan", "feedback": "gradients", "balance": "learned"},
        "loss": "reverse_kl",
    },
    {"strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 3}}},
    {
        "strategy": {
            "name": "sgan",
            "over": {"name": "pmgan", "publish": "float16"},
            "publish": "bfloat16",
        }
    },
    {
        "strategy": {"name": "sgan", "publish": "bfloat16"},
        "num_pairs": 4,
        "network": {"hidden": 1024},
    },  # read in portions
    {
        "strategy": {"name": "sgan", "over": {"name": "independent", "share_weights": True}},
        "num_pairs": 3,
    },
    {"strategy": "independent", "num_pairs": 5, "resources": {"pairs_per_actor": 2}},
    {
        "strategy": {"name": "sgan", "max_lead": 4},
        "num_pairs": 4,
        "resources": {"pairs_per_actor": 2},
    },
    {
        "strategy": {"name": "gap", "swap_every": 3},
        "num_pairs": 5,
        "resources": {"pairs_per_actor": 3},
        "pair": {"ema": 0.9},
    },
]


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: str(c["strategy"]))
def test_swaps_slots_and_mixtures_give_the_same_bits_on_ray(
    changes: dict[str, Any], warm: Any
) -> None:
    config = tiny_config(**changes)
    setup = setup_of(config)
    inline = final_states(config, lambda: InlineExecutor(setup), samples=400)
    result = compare("inline = Ray", inline, final_states(config, lambda: warm(setup), samples=400))
    assert result.ok, result.text


@pytest.mark.parametrize(
    "settings",
    [{"messenger_lifetime": 4, "share_generators": "weights"}, {"variant": "early_global"}],
)
def test_variants_give_the_same_bits_too(settings: dict[str, Any], warm: Any) -> None:
    config = tiny_config(strategy={"name": "sgan", "max_lead": 3, **settings})
    setup = setup_of(config)
    inline = final_states(config, lambda: InlineExecutor(setup))
    result = compare("inline = Ray", inline, final_states(config, lambda: warm(setup)))
    assert result.ok, result.text

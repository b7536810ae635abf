"""What `raygan plan` and a sweep's cost column say of bytes, against what is sent."""

from typing import Any

import pytest

from raygan.controller.inline import InlineExecutor
from raygan.controller.worker import Shelves
from raygan.gan.parcels import Parcel
from raygan.gan.trainer import Trainer
from raygan.gan.weights import Publication
from raygan.service.verify import final_states
from raygan.strategies.base import strategy_of
from raygan.strategies.federated.site import BATCHES
from raygan.strategies.roles import JUDGE
from tests.conftest import setup_of, tiny_config

STEPS = 12
COUNTED = ("D", "C", "G", "opt_d", "samples", "gradient", "logits")
"""Not: beta, who is there, losses, checksums. Adam's step counts, one a tensor, are what `rel`
allows.
"""


@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "independent"},
        {"name": "gap", "swap_every": 3},
        {"name": "gap", "swap_every": 3, "carry": "weights"},
        {"name": "gap", "swap_every": 3, "what": "G"},
        {"name": "population", "exploit_every": 3, "rank_samples": 50},
        {"name": "sgan", "messenger_lifetime": 3},
        {
            "name": "sgan",
            "messenger_lifetime": 3,
            "share_generators": "weights",
            "publish": "bfloat16",
        },
        {
            "name": "sgan",
            "messenger_lifetime": 2,
            "messenger_optimizer": "clone",
            "share_generators": "samples",
        },
        {"name": "sgan", "messenger_lifetime": 3, "over": {"name": "gap", "swap_every": 4}},
        {"name": "sgan", "messenger_lifetime": 3, "over": {"name": "pmgan"}},
        {"name": "pmgan"},
        {"name": "pmgan", "publish": "bfloat16", "generator_batch": "share"},
        {"name": "pmgan", "joint": True},
        {"name": "pmgan", "feedback": "gradients"},
        {"name": "federated"},
        {"name": "federated", "publish": "bfloat16"},
        {"name": "mdgan", "swap_every": 3},
        {"name": "fedavg", "every": 3},
    ],
    ids=lambda s: "-".join(str(v) for v in s.values()),
)
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_bytes_are_counted_as_they_are_sent(
    strategy: dict[str, Any], ema: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a whole number of periods, and one step, since none swaps at the last."""
    config = tiny_config(
        strategy=strategy, steps=STEPS + 1, network={"name": "mlp", "hidden": 24}, pair={"ema": ema}
    )
    members, sent = len(strategy_of(config).locals(config)), list[int]()
    publish, offer = Shelves.publish, Trainer.offer

    def counted(board: Shelves, publication: Publication) -> None:
        readers = members if publication.player in (JUDGE, BATCHES) else 1
        if 0 < publication.version <= STEPS:
            sent.append(
                readers * sum(a.nbytes for name, a in publication.arrays.items() if name in COUNTED)
            )
        publish(board, publication)

    def weighed(pair: Trainer, *what: Any) -> Parcel:
        before = len(sent)
        parcel = offer(pair, *what)
        del sent[before:]  # the two networks of a whole pair, which go as one
        sent.append(parcel.nbytes)
        return parcel

    monkeypatch.setattr(Shelves, "publish", counted)
    monkeypatch.setattr(Trainer, "offer", weighed)
    final_states(config, lambda: InlineExecutor(setup_of(config)))
    assert strategy_of(config).bytes_a_step(setup_of(config)) * STEPS == pytest.approx(
        sum(sent), rel=0.01
    )

"""Asynchronous runs on Ray, in whatever order that had, done again inline to the same bits."""

import json
from pathlib import Path
from typing import Any

import pytest

from raygan.actors.executor import RayExecutor
from raygan.config import full_dump
from raygan.controller.async_record import FILE
from raygan.controller.controller import Controller
from raygan.controller.run_folder import RunFolder
from raygan.service.replay import replay
from raygan.service.runs.run import Run
from tests.conftest import setup_of, tiny_config

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.usefixtures("ray_session")]
KINDS: dict[str, dict[str, Any]] = {
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2, "max_lag": 5}},
    "gap": {"strategy": {"name": "gap", "swap_every": 10}},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl"},
    "pmgan, any fresh, two in an actor": {
        "strategy": {"name": "pmgan", "judge_update": "any_fresh"}, "loss": "reverse_kl",
        "num_pairs": 3, "resources": {"pairs_per_actor": 2},
    },
    "sgan, packed": {"strategy": {"name": "sgan"}, "num_pairs": 3,
                     "resources": {"pairs_per_actor": 2}},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_ray_is_replayed_inline_to_the_same_bits(kind: str, tmp_path: Path) -> None:
    config = tiny_config(
        **{"steps": 60, "tempo": "async", "record": "schedule", "round_steps": 10, "batch_size": 8,
           "evaluation": {"every_steps": 60}, "checkpoint": {"every_steps": 20}, **KINDS[kind]}
    )  # fmt: skip
    folder, setup = RunFolder.create(tmp_path, "run"), setup_of(config)
    folder.write("config.json", json.dumps(full_dump(config)))
    Controller(config, folder, lambda: RayExecutor("replay", setup), []).run()
    verdict = replay(Run(folder.path))
    assert verdict.equal, verdict.text
    assert "step 60" in verdict.text
    looks = [json.loads(line) for line in (folder.path / FILE).read_text().splitlines()]
    assert any(row.get("reads") for row in looks) == (kind != "gap")

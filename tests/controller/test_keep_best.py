"""The best checkpoint stays, by scores of generators that are in it: not by those of steps that
were undone.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from raygan.config import Config, full_dump
from raygan.controller.checkpoint import newest_valid
from raygan.controller.checkpoint_index import list_checkpoints
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.orders import Evaluate, Order, Save, Scored
from raygan.controller.run_folder import RunFolder
from raygan.errors import PlayerDied
from tests.conftest import setup_of, tiny_config

ENDS: dict[str, BaseException] = {
    "player": PlayerDied("pair-00", "killed"),
    "driver": KeyboardInterrupt(),
}


class Judged(InlineExecutor):
    """Step 8 is the best. One that dies at step 16 was better still, and its score is told; who
    does step 16 again is worse.
    """

    def __init__(self, config: Config, died: list[str], how: str) -> None:
        super().__init__(setup_of(config))
        self.died, self.how = died, how

    def _carried_out(self, order: Order) -> Any:
        if (
            isinstance(order, Save)
            and order.player == "pair-00"
            and order.step == 16
            and not self.died
        ):
            self.died.append(order.player)
            raise ENDS[self.how]
        if isinstance(order, Evaluate):
            lost = order.player == "pair-00" and order.step == 16 and not self.died
            score = 0.99 if lost else {8: 0.6, 16: 0.1}.get(order.step, 0.2)
            row = {"kind": "score", "player": order.player, "step": order.step, "protocol": "p"}
            return Scored([{**row, "high_quality": score}])
        return super()._carried_out(order)


@pytest.mark.parametrize(
    ("how", "tempo", "failures"),
    [
        ("player", "lockstep", {}),
        ("player", "async", {}),
        ("player", "lockstep", {"death": "without"}),
        ("driver", "lockstep", {}),
        ("driver", "async", {}),
    ],
)
def test_a_score_that_was_undone_does_not_count(
    tmp_path: Path, how: str, tempo: str, failures: dict[str, Any]
) -> None:
    config = tiny_config(
        strategy="independent", num_pairs=3, steps=32, round_steps=4, tempo=tempo,
        evaluation={"every_steps": 8, "mixture": False}, checkpoint={"every_steps": 8, "keep": 1},
        failures=failures,
    )  # fmt: skip
    folder = RunFolder.create(tmp_path, "run")
    folder.write("config.json", json.dumps(full_dump(config)))
    died = list[str]()

    def life() -> Controller:
        return Controller(config, folder, lambda: Judged(config, died, how), [], 400)

    if how == "driver":
        first = life()
        with pytest.raises(KeyboardInterrupt):
            first.run()
        folder.close()
        folder = RunFolder(folder.path)
    life().run(newest_valid(folder.path)[0])
    assert died
    assert list(list_checkpoints(folder.path)) == [8, 32]

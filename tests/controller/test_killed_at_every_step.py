"""The driver dies at each of 50 steps; the run that goes on from the disk ends with the undisturbed
bits (C4, X1, G2).
"""

from pathlib import Path
from typing import Any

import pytest

from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from tests.conftest import Unscored, setup_of, tiny_config

pytestmark = pytest.mark.exhaustive
STEPS = 50
KINDS: dict[str, dict[str, Any]] = {
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 3}},
    "gap": {"strategy": {"name": "gap", "swap_every": 3}},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl"},
}


class Killed(BaseException):
    """No handler of ours may see it: the process is gone."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [1, 4], ids=["all", "some"])
def test_a_driver_killed_at_any_step_resumes_to_the_same_bits(
    tmp_path: Path, every: int, kind: str
) -> None:
    config = tiny_config(
        steps=STEPS, batch_size=4, round_steps=1, checkpoint={"every_steps": 7},
        evaluation={"every_steps": STEPS},
        network={"name": "mlp", "hidden": 4, "layers": 2, "z_dim": 2}, **KINDS[kind],
    )  # fmt: skip
    setup = setup_of(config)
    expected = {
        p: digest(unpack(raw)) for p, raw in final_states(config, lambda: Unscored(setup)).items()
    }
    for kill_at in range(1, STEPS + 1, every):

        def kill(c: Controller, done: Done, kill_at: int = kill_at) -> None:
            if max(c.state.done.values()) >= kill_at:
                raise Killed

        folder = RunFolder.create(tmp_path, f"run-{kill_at}")
        with pytest.raises(Killed):
            Controller(config, folder, lambda: Unscored(setup), [kill], 400).run()
        again = RunFolder(folder.path)
        checkpoint, problems = newest_valid(folder.path)
        assert problems == []
        assert (checkpoint.step if checkpoint else 0) >= (kill_at - 1) // 7 * 7 - 7, (
            "at most a checkpoint interval is lost"
        )
        Controller(config, again, lambda: Unscored(setup), [], 400).run(checkpoint)
        final, problems = newest_valid(folder.path)
        assert problems == []
        assert final is not None
        assert {p: digest(unpack(raw)) for p, raw in final.parts.items()} == expected, kill_at

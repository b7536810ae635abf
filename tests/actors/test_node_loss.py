"""A machine goes down, is cut off, runs out of memory, has a player that hangs, loses the Ray it
began: the weights stay an undisturbed run's.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raygan.controller.checkpoint import newest_valid
from raygan.controller.history import read_journal
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import read_jsonl
from raygan.controller.storage import LocalStorage
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from tests.actors import dead_gcs, draining, hanging, memory, node_loss, partition
from tests.conftest import setup_of
from tests.simulation.world import check_history

CASES = {
    "node_loss": (node_loss.CONFIG, "node"),
    "partition": (partition.CONFIG, "node"),
    "memory": (memory.CONFIG, "oom"),
    "draining": (draining.CONFIG, "preempted"),
    "hanging": (hanging.CONFIG, "hang"),
    "dead_gcs": (dead_gcs.CONFIG, "head"),
}
pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]


@pytest.mark.parametrize("module", CASES)
def test_a_lost_node_changes_nothing(tmp_path: Path, module: str) -> None:
    if module == "partition" and os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    config, why = CASES[module]
    done = subprocess.run(
        [sys.executable, "-m", f"tests.actors.{module}", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    events = read_jsonl(tmp_path / "run/events.jsonl")
    told = [e for e in events if e["kind"] in ("death", "restart") and e.get("action") != "replace"]
    kinds = [
        e["kind"] for e in told
    ]  # an evaluator that goes along is made again, and nobody goes back for it
    if why == "preempted":
        death, restart = told
        assert restart["step"] >= death["step"] >= 15, "no step was done twice"
    if why == "hang":  # asked on the node where it lived
        text = (tmp_path / "run" / told[0]["stack_file"]).read_text()
        assert "state T" in text
        assert "most recent call first" in text
        assert "raygan/actors" in text or "ray/_private" in text
        assert told[0]["stack"]
    assert kinds[:2] == ["death", "restart"]
    assert kinds[2:] == [] or why == "oom", "one start brings back all that a node takes along"
    assert why in {e["why"] for e in events if e["kind"] == "death"}
    storage = LocalStorage(tmp_path / "run")
    check_history(read_journal(storage).records)
    final, problems = newest_valid(storage)
    assert problems == []
    assert final is not None
    setup = setup_of(config)
    expected = final_states(config, lambda: InlineExecutor(setup), samples=400)
    assert {p: digest(unpack(r)) for p, r in final.parts.items()} == {
        p: digest(unpack(r)) for p, r in expected.items()
    }

"""A machine goes down: the players on it come back elsewhere, and the weights are those of the undisturbed run."""

import subprocess
import sys
from pathlib import Path

import pytest

from raygan.controller.checkpoint import newest_valid
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import read_jsonl
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from tests.actors.node_loss import CONFIG
from tests.conftest import setup_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_a_lost_node_changes_nothing(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.actors.node_loss", str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    events = read_jsonl(tmp_path / "run/events.jsonl")
    assert [e["kind"] for e in events if e["kind"] in ("death", "restart")][:2] == ["death", "restart"]
    final, problems = newest_valid(tmp_path / "run")
    assert problems == []
    assert final is not None
    setup = setup_of(CONFIG)
    expected = {
        p: digest(unpack(raw)) for p, raw in final_states(CONFIG, lambda: InlineExecutor(setup), samples=400).items()
    }
    assert {p: digest(unpack(raw)) for p, raw in final.parts.items()} == expected

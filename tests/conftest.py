"""Fixtures: small configs, and the one local Ray of a test session."""

from __future__ import annotations

import fnmatch
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from raygan.config import Config, validate
from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.listener import as_listener
from raygan.controller.orders import Done, Evaluate, Scored
from raygan.errors import Interrupted
from raygan.gan.types import State
from raygan.gan.weights import digest
from raygan.strategies.base import Setup, load_data

os.environ.setdefault("RAY_worker_niceness", "5")  # Ray's own 15 is what the rest of the tests have
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="raygan-state-")  # not the user's own
_STARTED: set[str] = set()
TINY: dict[str, Any] = {
    "steps": 12,
    "num_pairs": 2,
    "batch_size": 16,
    "round_steps": 5,
    "data": {"name": "ring", "modes": 8, "train": 400, "held_out": 200},
    "network": {"name": "mlp", "hidden": 16, "z_dim": 2},
    "loss": "non_saturating",
    "strategy": {"name": "sgan"},
    "pair": {"lr_g": 1e-3, "lr_d": 1e-3},
    "evaluation": {"every_steps": 6, "samples": 1600},
    "checkpoint": {"every_steps": 4},
    "resources": {"spares": 0, "hub": False},
}


def tiny_config(**changes: Any) -> Config:
    """A config that trains in a second; groups are merged one level deep."""
    values = {**TINY}
    for key, value in changes.items():
        old = values.get(key)
        keep = (
            isinstance(value, dict)
            and isinstance(old, dict)
            and value.get("name", old.get("name")) == old.get("name")
        )
        values[key] = {**old, **value} if keep else value
    return validate(Config, values)


class Unscored(InlineExecutor):
    """Scores nothing: here only the weights count."""

    def wait(self, timeout_s: float) -> list[Done]:
        """Carry out the oldest order."""
        if self.queue and isinstance(order := self.queue[0], Evaluate):
            self.queue.popleft()
            return [Done(order, Scored([]), 0.0)]
        return super().wait(timeout_s)


def setup_of(config: Config) -> Setup:
    """What players are built from, on the CPU."""
    return Setup(config, load_data(config), torch.device("cpu"))


def state_digest(state: State) -> str:
    """SHA-256 of a whole state."""
    return digest(state)


class RayInOne(LoadScopeScheduling):  # type: ignore[misc]
    """Files with tests that start or join a Ray, or take the time, run one after the other in the
    first process. The rest runs beside them in another, test by test, with what they leave of the
    cores. By file: pytest-xdist 3.8's own groups have no effect under pytest 9.2, which does not
    let it rename tests.
    """

    files = frozenset(
        f"tests/{path.relative_to(Path(__file__).parent)}"
        for path in Path(__file__).parent.rglob("test_*.py")
        if re.search(r"mark\.(ray|timed)\b", path.read_text())
    )

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if nodeid.partition("::")[0] in self.files else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> RayInOne:
    """The largest scope goes first, to whichever process is ready first."""
    return RayInOne(config, log)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cases that exhaustive.txt and repeated.txt list are marked so; a line of a file that was
    collected whole has to name one.
    """
    ids = {item.nodeid: item for item in items}
    some = "::" in "".join(config.args) or config.getoption("lf", False)
    whole = set() if some else {name.partition("::")[0] for name in ids}
    for mark in ("exhaustive", "repeated"):
        for line in (Path(__file__).parent / f"{mark}.txt").read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            found = fnmatch.filter(ids, line.replace("[", "[[]"))
            if not found and line.partition("::")[0] in whole:
                raise pytest.UsageError(f"tests/{mark}.txt: no case is {line}")
            for name in found:
                ids[name].add_marker(mark)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A process of several steps back as soon as it gets a test of the rest: those on Ray have been
    given out by then.
    """
    if (
        "PYTEST_XDIST_WORKER" in os.environ
        and item.nodeid.partition("::")[0] not in RayInOne.files
        and not os.nice(0)
    ):
        os.nice(15)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray is started once a session."""
    from raygan.actors.cluster import cluster

    _STARTED.add("ray_session")
    with cluster("local", 256):
        yield


@pytest.fixture(autouse=True)
def _no_ray_by_accident(request: pytest.FixtureRequest) -> Iterator[None]:
    """A call of ray.get or ray.put in a test that is not marked `ray` would start another Ray than
    the session's.
    """
    yield
    ray = sys.modules.get("ray")
    if (
        ray is not None
        and request.node.get_closest_marker("ray") is None
        and "ray_session" not in _STARTED
    ):
        assert not ray.is_initialized(), "this test has started a Ray of its own"


def _leading_to(made: Callable[[], Any]) -> Iterator[Any]:
    """A real object server (`tests.buckets.Server`), and the environment that leads to it."""
    there = made()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in there.env.items():
            patch.setenv(name, value)
        yield there
    there.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """One of S3."""
    from tests.buckets import Moto

    yield from _leading_to(Moto)


@pytest.fixture(scope="module")
def azure() -> Iterator[Any]:
    """One of Azure, in a process of its own: for tests that are marked `exhaustive`."""
    from tests.emulators import Azurite

    yield from _leading_to(Azurite)


@pytest.fixture(scope="module")
def google() -> Iterator[Any]:
    """The same of Google."""
    from tests.emulators import Google

    yield from _leading_to(Google)


def stopped(controller: Controller, after: int) -> Checkpoint:
    """What a run has saved that is told to stop by the `after`-th thing that is done."""
    seen: list[Done] = []

    def stop(run: Controller, done: Done) -> None:
        seen.append(done)
        if len(seen) == after:
            run.stop(15)

    controller.listeners = [as_listener(stop)]
    with pytest.raises(Interrupted):
        controller.run()
    checkpoint, _ = newest_valid(controller.log.folder.path)
    assert checkpoint is not None
    return checkpoint

"""A device that is lost to a process of several players; what a GPU is asked for. Without Ray."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.exceptions import RayTaskError

from raygan.actors import device, replies
from raygan.actors.executor import RayExecutor
from raygan.errors import PlayerDied
from tests.conftest import setup_of, tiny_config


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "oom"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "death"),
    ],
)
def test_all_that_live_in_its_process_are_lost_with_it(
    error: Exception, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(reference: Any, timeout: float) -> Any:
        raise RayTaskError("train", "", error)

    monkeypatch.setattr(replies, "ray", SimpleNamespace(get=lost))
    cluster = RayExecutor("run", setup_of(tiny_config()))
    shared, own = object(), object()
    cluster.workers.actors = {"pair-00": shared, "pair-01": own, "pair-02": shared}
    with pytest.raises(PlayerDied) as death:
        cluster.replies.of("reference", "pair-00", 1.0)
    assert death.value.home == ("pair-00", "pair-02")
    assert death.value.kind == kind
    assert cluster.workers.lost == {"pair-00"}


@pytest.mark.parametrize(
    ("settings", "exact"),
    [
        ({"tempo": "lockstep"}, True),
        ({"tempo": "async", "max_ahead": 0}, True),
        ({"tempo": "async", "max_ahead": 2}, False),
    ],
)
def test_a_pace_of_lockstep_asks_for_exact_arithmetic(
    settings: dict[str, Any], exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[bool]()
    context = SimpleNamespace(get_assigned_resources=lambda: {"GPU": 1.0})
    here = SimpleNamespace(get_gpu_ids=lambda: [0], get_runtime_context=lambda: context)
    monkeypatch.setattr(device, "ray", here)
    monkeypatch.setattr(device, "chosen", lambda *_: torch.device("cuda", 0))
    monkeypatch.setattr(device, "settle", lambda which, exact, share, needs: asked.append(exact))
    device.pick_device(tiny_config(**settings))
    assert asked == [exact]

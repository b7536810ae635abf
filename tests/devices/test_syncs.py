"""How often the host waits for the device: budgets, counted where no GPU is needed."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from benchmarks.speed import device_syncs, gpu_check
from raygan.gan.host_copies import as_bytes, on_host, put, state_on_host
from tests.devices.fake_cuda import FakeCuda

ROUND = {
    "a pair: state (a round, a save)": 1,
    "a pair: check (a round)": 0,
    "a pair: a publication": 2,
    "a pair: D offered": 2,
    "a pair: D adopted": 2,
    "a pair: a step of pair-00 (the last of a round)": 1,
    "SGAN: a step of global (the last of a round)": 6,
    "PMGAN: a step of gen-00 (the last of a round)": 6,
    "PMGAN: a step of judge (the last of a round)": 12,
    "a pack of 4: a step (the last of a round)": 3,
}


@cache
def measured() -> dict[str, dict[str, float]]:
    return device_syncs.measure()


@pytest.mark.parametrize("what", ROUND)
def test_the_host_waits_no_more_often_than_this(what: str) -> None:
    assert measured()[what]["syncs"] <= ROUND[what]


def test_a_publication_is_at_most_three_copies() -> None:
    assert measured()["a pair: a publication"]["copies"] <= 3


def test_many_tensors_of_many_kinds_are_one_copy_there_and_back() -> None:
    tensors = [
        torch.randn(3, 5), torch.tensor(7), torch.tensor([True, False, True]), torch.zeros(0),
        torch.randn(4, 6).t(), torch.randn(2).bfloat16(), torch.randn(3, dtype=torch.float64),
    ]  # fmt: skip
    with FakeCuda() as seen:
        there = [t.to("cuda") for t in tensors]
        seen.clear()
        back = on_host(there)
        assert (sum(seen.copies.values()), seen.bytes["down"]) == (
            1,
            sum(t.nbytes for t in tensors),
        )
        for found, expected in zip(back, tensors, strict=True):
            assert found.dtype == expected.dtype
            assert torch.equal(found, expected)
        targets = [torch.zeros_like(t) for t in there]
        seen.clear()
        put(targets, [as_bytes(t) for t in tensors])
        assert sum(seen.copies.values()) == 1
        for target, expected in zip(on_host(targets), tensors, strict=True):
            assert torch.equal(target, expected)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_state_is_a_copy(device: str) -> None:
    with FakeCuda():
        x = torch.ones(3, device=device)
        state = state_on_host({"x": x, "step": 3})
        x.zero_()
        found = state["x"]
        assert isinstance(found, torch.Tensor)
        assert found.tolist() == [1, 1, 1]
        assert state["step"] == 3


def test_gpu_check_runs_to_its_end_on_a_device_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu_check", "fake"])
    gpu_check.main()
    assert "6 measurements on a device that is not there" in capsys.readouterr().out

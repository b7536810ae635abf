"""Where a process computes, and what is said where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from raygan.cli import main
from raygan.config import resolve
from raygan.errors import ConfigError, InfeasibleError, PlayerDied
from raygan.gan import device as D
from raygan.gan.pair import Pair
from raygan.service.cluster.doctor import agreement
from raygan.service.runs.identity import settled
from raygan.service.training import train
from tests.conftest import tiny_config
from tests.devices.fake_cuda import FakeCuda

NOSET = "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"
BOOM = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of"
    " which 1.06 GiB is free. Of the allocated memory 70 GiB is allocated by PyTorch."
)


@pytest.mark.parametrize(
    ("granted", "visible", "noset", "index"),
    [
        ([1], "1", "", 0),  # Ray hides the others: it is the first that is seen
        ([1], None, "1", 1),  # Ray was told not to: its own number
        ([3], "2,3", "1", 1),  # a user hid some: the place among those
        (["1"], None, "1", 1),
        (["GPU-5e", "GPU-6f"], "GPU-1,GPU-5e", "1", 1),
        ([0, 1], "0,1", "", 0),
    ],
)
def test_an_actor_computes_on_the_gpu_that_ray_gave_it(
    granted: list[Any], visible: str | None, noset: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(D.VISIBLE, raising=False)
    if visible is not None:
        monkeypatch.setenv(D.VISIBLE, visible)
    monkeypatch.setenv(NOSET, noset)
    with FakeCuda(count=4):
        assert D.chosen("auto", granted) == torch.device("cuda", index)


@pytest.mark.parametrize(
    ("asked", "granted", "says"),
    [
        ("cuda", None, "finds no GPU here"),
        ("cuda", [], "Ray gave this player no GPU"),
        ("cuda", [0], "Ray gave GPU 0, and torch"),
        ("auto", [0], "Ray gave GPU 0, and torch"),
    ],
)
def test_a_gpu_that_is_not_there_is_one_line(
    asked: str, granted: list[int] | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(D, "accelerator", lambda: None)
    with pytest.raises(InfeasibleError, match=says) as error:
        D.chosen(asked, granted)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("asked", "granted"), [("cpu", [0]), ("cpu", None), ("auto", [])])
def test_nobody_gets_a_gpu_unasked(asked: str, granted: list[int] | None) -> None:
    with FakeCuda():
        assert D.chosen(asked, granted) == D.CPU


def test_without_ray_auto_takes_what_is_there() -> None:
    with FakeCuda():
        assert D.chosen("auto") == torch.device("cuda", 0)


@pytest.mark.parametrize("verb", ["train", "plan", "verify"])
def test_device_cuda_without_one_is_exit_3_and_one_line(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(D, "accelerator", lambda: None)
    monkeypatch.chdir(tmp_path)
    flags = {"train": ["--inline"], "verify": ["--inline"], "plan": ["--address", "local"]}[verb]
    with pytest.raises(SystemExit) as ended:
        main([verb, "--device", "cuda", *flags])
    assert ended.value.code == 3
    told = capsys.readouterr().err.strip()
    assert "device = cuda" in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_device_cpu_takes_no_gpu() -> None:
    assert settled(resolve(None, flags={"device": "cpu"})).config.resources.gpus_per_pair == 0
    with pytest.raises(Exception, match="GPUs would be taken and not used"):
        settled(resolve(None, flags={"device": "cpu", "resources.gpus_per_pair": 0.5}))


def test_a_share_of_a_gpu_caps_its_memory_and_lockstep_asks_for_the_same_bits() -> None:
    flags = torch.backends.cudnn
    before = flags.deterministic, flags.benchmark, flags.allow_tf32
    try:
        with FakeCuda():
            D.settle(torch.device("cuda", 0), exact=True, share=0.25)
            limit = torch.cuda.set_per_process_memory_fraction
            limit.assert_called_once_with(0.25, 0)  # type: ignore[attr-defined]
            assert (flags.deterministic, flags.benchmark, flags.allow_tf32) == (True, False, False)
            assert D.described(torch.device("cuda", 0)) == "cuda:0 (Fake CUDA)"
    finally:
        flags.deterministic, flags.benchmark, flags.allow_tf32 = before


ERRORS = {
    "gpu memory": (torch.OutOfMemoryError(BOOM), "oom",
                   "asked 2.00 GiB, total 79.10 GiB, free 1.06 GiB"),
    "lost": (RuntimeError("CUDA error: an illegal memory access was encountered"), "death",
             "illegal memory"),
    "cudnn": (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "death",
              "EXECUTION_FAILED"),
    "rocm": (RuntimeError("HIP error: invalid device function"), "death", "invalid device"),
    "host memory": (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
                    "oom", "out of memory"),
    "python memory": (MemoryError(), "oom", "out of memory"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_what_befalls_a_device_asks_the_failure_policy(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It strikes once and the run goes on; for ever, and one line tells who, why, and what next."""
    error, kind, cause = ERRORS[name]
    plain, struck = Pair.one_step, list[int]()

    def step(self: Pair, probe: Any = None) -> Any:
        if self.step == 5 and self.name == "pair-01" and len(struck) < left:
            struck.append(self.step)
            raise error
        return plain(self, probe)

    monkeypatch.setattr(Pair, "one_step", step)
    config = tiny_config(strategy="independent", failures={"budget": 1})
    resolved = resolve(None, flags={}).model_copy(update={"config": config})
    left = 1
    assert train(resolved, run_dir=tmp_path, name="once", inline=True).info["status"] == "done"
    left, struck[:] = 9, []
    with pytest.raises(PlayerDied, match=cause) as raised:
        train(resolved, run_dir=tmp_path, name="ever", inline=True)
    assert (raised.value.player, raised.value.kind) == ("pair-01", kind)
    assert "Next: raygan resume" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_error_of_the_program_is_no_death() -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("CUDA")):
        assert D.death_of(error) is None


@pytest.mark.parametrize(
    ("torchs", "rays", "fine", "says"),
    [
        (0, 2, False, "cannot use"),
        (2, 0, False, "--num-gpus 2"),
        (1, 1, True, "by torch and by Ray"),
    ],
)
def test_doctor_tells_where_torch_and_ray_see_other_gpus(
    torchs: int, rays: int, fine: bool, says: str
) -> None:
    ok, _, text = agreement(torchs, rays)
    assert ok is fine
    assert says in text


@pytest.mark.parametrize(
    ("needs", "says"),
    [
        (
            2 << 30,
            r"asks 2.00 GiB .* a share of 0.25 of its 4.00 GiB is 1.00 GiB. Set .* to 0.5",
        ),
        (5 << 30, r"asks 5.00 GiB .* Lower it, or resources.pairs_per_actor."),
    ],
)
def test_a_share_of_a_gpu_that_is_too_small_is_refused_at_the_start(needs: int, says: str) -> None:
    gpu = torch.device("cuda", 0)
    with FakeCuda():
        with pytest.raises(InfeasibleError, match=says):
            D.settle(gpu, exact=False, share=0.25, needs=needs)
        D.settle(gpu, exact=False, share=0.25, needs=1 << 30)
    D.settle(torch.device("cpu"), exact=False, needs=needs)


@pytest.mark.parametrize("size", ["4GB", "4", "-1GiB", "GiB", ""])
def test_what_a_pair_needs_of_a_gpu_is_a_size(size: str) -> None:
    with pytest.raises(ConfigError, match=r"gpu_memory_per_pair = .*a size like 4GiB or 800MiB"):
        resolve(None, flags={"resources.gpu_memory_per_pair": size})

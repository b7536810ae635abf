"""A pair's own SOURCE stays where the pair lives: its samples are looked for in every other place,
byte by byte.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import ray
import torch

from raygan.actors.executor import RayExecutor
from raygan.actors.pair_sources import answers_of, look_there
from raygan.actors.player import SCORES
from raygan.actors.process import SCRUBBED, TIMEOUT_S
from raygan.config import Config
from raygan.controller.evaluator import Evaluator
from raygan.controller.inline import InlineExecutor
from raygan.errors import DataError
from raygan.service.runs.run import Run
from raygan.service.verify import compare, final_states
from raygan.strategies.base import Setup, load_data, with_data
from raygan.strategies.partition import with_parts
from tests.conftest import TINY, setup_of, tiny_config
from tests.data.test_partition import prepared, written

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.usefixtures("ray_session")]
MASK = np.uint64(0xA5A5A5A5A5A5A5A5)
CPU = torch.device("cpu")
PAIRS = ("pair-00", "pair-01")
WRITE = """
import hashlib, sys
import numpy as np
for pair in sys.argv[2:]:
    canary = np.frombuffer(hashlib.sha256(pair.encode()).digest()[:8], np.uint8)
    pictures = np.tile(canary, (600, 8, 1)).reshape(600, 8, 8)
    pictures[:, 0] = np.arange(600)[:, None] % 251
    np.savez(f"{sys.argv[1]}/{pair}.npz", x=pictures)
"""
"""In another process, so that no canary is ever in this one."""
TRAIN = """
import json, sys
import raygan
from raygan.service.views.report import write_report
values, folder, address, name = json.loads(sys.argv[1]), *sys.argv[2:]
place = {"inline": True} if name == "inline" else {"address": address}
run = raygan.train(None, run_dir=folder, name=name, **place, **values)
write_report(run)
print("done", flush=True)
input()
"""
"""A run and its report, in a process that stays to be looked into."""


def hidden(pair: str) -> np.uint64:
    """The pair's canary, 8 pixels: to look for it does not put it where it is looked for."""
    digest = bytes(b ^ 0xA5 for b in hashlib.sha256(pair.encode()).digest()[:8])
    return np.frombuffer(digest, np.uint64)[0]


def held(raw: bytes, needle: np.uint64) -> bool:
    """Is it in these bytes, at a multiple of 8?"""
    return bool(((np.frombuffer(raw[: len(raw) // 8 * 8], np.uint64) ^ MASK) == needle).any())


def memory(pid: int, named: str = "") -> Iterator[bytes]:
    """What a process can read and write; `named`: only maps with that in their name, else all but
    the object store's.
    """
    with Path(f"/proc/{pid}/mem").open("rb", 0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            wanted = named in line if named else "plasma" not in line
            if rights.startswith("rw") and wanted and "/dev/nvidia" not in line:
                low, high = (int(x, 16) for x in span.split("-"))
                for at in range(low, high, 1 << 24):
                    try:
                        file.seek(at)
                        yield file.read(min(1 << 24, high - at))
                    except (OSError, ValueError, OverflowError):
                        break


def raylet() -> int:
    """Of this session's Ray."""
    session = ray.get_runtime_context().get_node_id()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"raylet/raylet" in command and session.encode() in command:
                return int(entry.name)
    return 0


def parted(root: Path, strategy: dict[str, Any] | None = None) -> Config:
    subprocess.run([sys.executable, "-c", WRITE, str(root), *PAIRS], check=True)
    whole = np.random.default_rng(0).integers(0, 256, (600, 8, 8), dtype=np.uint8)
    np.savez(root / "whole.npz", x=whole)
    data = {
        "name": "npz",
        "path": f"{root}/whole.npz",
        "partition": {p: f"npz:{root}/{p}.npz" for p in PAIRS},
    }
    return tiny_config(
        data=data, strategy=strategy or {"name": "gap", "swap_every": 3}, evaluation={"samples": 64}
    )


class Watched(RayExecutor):
    """Before it ends, it looks for canaries in all of its processes and in the object store."""

    where: ClassVar[dict[str, list[str]]] = {}
    unscrubbed: ClassVar[list[bool]] = []
    looked: ClassVar[list[int]] = []

    def close(self) -> None:
        homes = {p: self.workers.places[p][1] for p in self.workers.actors}
        others = (
            {"evaluator": self.workers.places["evaluator"][1]}
            if "evaluator" in self.workers.places
            else {}
        )
        asked = [
            self.workers.actors[p].__ray_call__.remote(lambda _: left_over(1000)) for p in PAIRS
        ]
        self.unscrubbed[:] = ray.get(asked)
        for pair in PAIRS:
            needle = hidden(pair)
            found = [
                n
                for n, pid in (homes | others | {"driver": os.getpid()}).items()
                if any(held(b, needle) for b in memory(pid))
            ]
            store = list(memory(raylet(), "plasma"))
            self.looked.append(sum(map(len, store)))
            there = ["store"] if any(held(b, needle) for b in store) else []
            self.where[pair] = [*found, *there]
        super().close()


@pytest.mark.parametrize("strategy", ["gap", "federated"])
def test_a_source_s_samples_are_in_its_own_pair_s_process_only(
    strategy: str, tmp_path: Path
) -> None:
    """Federated: not in the centre's either."""
    config = parted(tmp_path, {"name": strategy, "swap_every": 3})
    data = with_parts(config, with_data(config), load_data(config), look_there)
    Watched.looked.clear()
    states = final_states(config, lambda: Watched("canary", Setup(config, data, CPU)), samples=540)
    seen = {p: [p] for p in PAIRS}
    assert Watched.where == seen, "each where it lives, and the search finds it there"
    assert Watched.unscrubbed == [False, False]
    assert min(Watched.looked) > 1 << 20, "the object store was looked into"
    for pair in PAIRS:
        assert not any(held(raw[i:], hidden(pair)) for raw in states.values() for i in range(8))


def held_after(values: dict[str, Any], folder: Path, names: list[str]) -> list[list[str]]:
    """Whose canaries are in the memory of processes that have trained so, and drawn the report."""
    address = ray.get_runtime_context().gcs_address
    words = [sys.executable, "-c", TRAIN, json.dumps(values), str(folder), address]
    env = {**os.environ, "RAY_AUTH_MODE": "token"}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
    children = [subprocess.Popen([*words, name], **pipes) for name in names]
    # at any byte: what Ray pads results with begins anywhere (decision 87)
    canaries = {p: hashlib.sha256(p.encode()).digest()[:8] for p in PAIRS}
    found = []
    for child in children:
        with child:
            assert any(line == "done\n" for line in child.stdout or ()), "it has trained"
            seen = {p for b in memory(child.pid) for p in PAIRS if canaries[p] in b}
            found.append(sorted(seen))
            child.communicate("\n")
    return found


def test_scores_by_part_are_those_of_one_process_and_move_no_sample(tmp_path: Path) -> None:
    """A whole run without a whole, floor, ceiling and report included."""
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path), *PAIRS], check=True)
    partition = {p: f"npz:{tmp_path}/{p}.npz" for p in PAIRS}
    values = {
        **TINY, "data": {"name": "parts", "partition": partition}, "strategy": "federated",
        "evaluation": {"every_steps": 6, "samples": 64},
    }  # fmt: skip
    # after their end, in processes that have not looked into others
    assert held_after(values, tmp_path, ["ray", "inline"]) == [[], [*PAIRS]], "found where it is"
    store = list(memory(raylet(), "plasma"))
    assert not any(held(b, hidden(p)) for b in store for p in PAIRS)
    on_ray, there = (Run.load(tmp_path / name) for name in ("ray", "inline"))
    rows = [r.scored.drop(columns="elapsed") for r in (on_ray, there)]
    assert rows[0].equals(rows[1])
    assert on_ray.info["protocols"] == there.info["protocols"]


def left_over(size: int) -> bool:
    """Is anything of a block of this size found in the next one, once it has been freed?"""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    libc.malloc.argtypes = [ctypes.c_size_t]
    canary, found = b"a sample", False
    for _ in range(20):
        first = libc.malloc(size)
        ctypes.memmove(first, canary * (size // 8), size // 8 * 8)
        libc.free(first)
        second = libc.malloc(size)
        found |= canary in ctypes.string_at(second, size)
        libc.free(second)
    return found


@pytest.mark.parametrize("size", [40, 200, 1000, 5000, 100_000])
def test_what_is_freed_where_a_source_is_read_is_overwritten(size: int) -> None:
    """What Ray pads a result with is memory as it comes."""
    plain: Any = ray.remote(num_cpus=0)(left_over)
    assert ray.get(plain.remote(size)), "without it there is something to find"
    assert not ray.get(plain.options(runtime_env=SCRUBBED).remote(size))


class Gone:
    """An actor that dies when it is asked; or has not read its part yet; or hangs."""

    def __init__(self, how: str) -> None:
        self.how = how

    def answer(self, pair: str, question: list[Any]) -> None:
        if self.how == "dies":
            os._exit(1)
        if self.how == "hangs":
            threading.Event().wait()


@pytest.mark.parametrize("how", ["dies", "has not read it", "hangs"])
def test_a_part_whose_holder_is_gone_is_read_anew(how: str, tmp_path: Path) -> None:
    """A death costs no score: its pair comes back in its own time; of two that hang no more than
    the run's lease together.
    """
    config, _ = written(tmp_path)
    partition = config.data["partition"]
    config = config.model_copy(update={"data": {"name": "parts", "partition": partition}})
    failures = config.failures.model_copy(update={"lease_s": 3.0})
    setup = prepared(config.model_copy(update={"failures": failures}))
    gone = ray.remote(num_cpus=0, concurrency_groups={SCORES: 1})(Gone)
    holders = {pair: gone.remote(how) for pair in PAIRS}
    here = Evaluator(setup)
    there = Evaluator(setup, lambda question: answers_of(setup, question, holders))
    samples = torch.randn(here.quick.n_fake, 2)
    try:
        began = time.monotonic()
        assert here.quick.score(samples) == there.quick.score(samples)
        assert time.monotonic() - began < TIMEOUT_S / 2, "bounded by the lease, not by a constant"
    finally:
        for holder in holders.values():
            ray.kill(holder)


STRATEGIES: list[dict[str, Any]] = [
    {"name": "gap", "swap_every": 3},
    {"name": "federated"},
    {"name": "mdgan", "swap_every": 3},
    {"name": "fedavg", "every": 3},
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: str(s["name"]))
@pytest.mark.parametrize("rule", ["by_class", "sources"])
def test_parts_on_ray_give_the_bits_of_parts_inline(
    rule: str, strategy: dict[str, Any], tmp_path: Path
) -> None:
    if rule == "sources":
        config = parted(tmp_path, strategy)
        setup = Setup(
            config, with_parts(config, with_data(config), load_data(config), look_there), CPU
        )
    else:
        config = tiny_config(data={"partition": rule}, strategy=strategy, num_pairs=3)
        setup = setup_of(config)
    inline = final_states(config, lambda: InlineExecutor(setup), samples=setup.num_samples)
    on_ray = final_states(config, lambda: RayExecutor("parts", setup), samples=setup.num_samples)
    assert compare("inline = Ray", inline, on_ray).ok


def test_a_source_that_cannot_be_read_there_is_one_line(tmp_path: Path) -> None:
    config = parted(tmp_path)
    (tmp_path / "pair-01.npz").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"pair-01\.npz cannot be read"):
        with_parts(config, with_data(config), load_data(config), look_there)

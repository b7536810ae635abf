"""raygan against what else one would take, in one run, in turn: `python -m benchmarks rivals
[REPEATS] [WORK ...]`.

toy      10 pairs, MLP 4 x 512, batch 128       small   10 pairs, MLP 4 x 64, batch 128
dcgan    8 pairs, DCGAN of width 16, 28 x 28, batch 64

(a) plain loop   PyTorch, one pair after the other, one thread; (a2): the same with a thread for
                 each core
(b) batched      PyTorch, all pairs as one batched model written for the purpose: bmm for MLPs,
                 vmap for DCGANs; one thread
(c) Ray Tune     a trial a pair, no exchange, one thread each, as many at once as there are cores
(d) processes    torch.multiprocessing, a process a core, D's in shared memory, swapped every 50
                 steps
(e) gloo         torch.distributed, a rank a core, D's swapped every 50 steps by send and recv
raygan           GAP, a swap every 50 steps, Ray actors; pairs_per_actor auto, all, and 1; and
                 without swaps

Every contestant trains the same pairs for the same number of steps with fused Adam. Seconds are
those of the steps alone: starts (processes, imports, trials) are measured apart and shown. "x (a)"
is the plain loop's seconds over the contestant's.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from ray import tune
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import softplus

from benchmarks.common import RESULTS, conditions, middle, second_half, show, write
from benchmarks.speed.plain import SWAP, WORKS, Plain, Work, timed
from raygan.actors.cluster import cluster
from raygan.config import resolve
from raygan.service.training import train
from raygan.service.views.paper import STYLE, png
from raygan.strategies.base import pair_name

CORES = os.cpu_count() or 1


class Batched:
    """All pairs as one model, by hand."""

    def __init__(self, pairs: list[Plain], lr: float) -> None:
        first = pairs[0]
        self.n, self.batch, self.z_dim, self.x = len(pairs), first.batch, first.z_dim, first.x
        self.nets: dict[str, tuple[nn.Module, dict[str, Tensor], dict[str, Tensor]]] = {}
        self.opts = {}
        for key in ("g", "d"):
            modules = [getattr(p, key) for p in pairs]
            params, buffers = stack_module_state(modules)
            params = {k: v.detach().requires_grad_() for k, v in params.items()}
            self.nets[key] = modules[0], params, buffers
            self.opts[key] = torch.optim.Adam(params.values(), lr, (0.5, 0.9), fused=True)

    def __call__(self, key: str, x: Tensor) -> Tensor:
        """(pairs, N, ...) -> (pairs, N, ...)."""
        module, params, buffers = self.nets[key]
        if not any(isinstance(m, nn.Linear) for m in module.modules()):
            out: Tensor = vmap(
                lambda p, b, v: functional_call(module, (p, b), (v,)), randomness="different"
            )(params, buffers, x)
            return out
        x = x.flatten(2)
        for name, layer in module.named_children():
            if isinstance(layer, nn.Linear):
                x = torch.baddbmm(
                    params[f"{name}.bias"].unsqueeze(1), x, params[f"{name}.weight"].transpose(1, 2)
                )
            elif isinstance(layer, nn.LeakyReLU):
                x = layer(x)
        return x.squeeze(2) if key == "d" else x

    def steps(self, count: int) -> None:
        """The loop."""
        for _ in range(count):
            real = self.x[torch.randint(len(self.x), (self.n, self.batch))]
            with torch.no_grad():
                fake = self("g", torch.randn(self.n, self.batch, self.z_dim))
            self.opts["d"].zero_grad(set_to_none=True)
            loss_d = (softplus(-self("d", real)).mean(1) + softplus(self("d", fake)).mean(1)).sum()
            loss_d.backward()
            self.opts["d"].step()
            self.opts["g"].zero_grad(set_to_none=True)
            for p in self.nets["d"][1].values():
                p.requires_grad_(False)
            loss_g = (
                softplus(-self("d", self("g", torch.randn(self.n, self.batch, self.z_dim))))
                .mean(1)
                .sum()
            )
            loss_g.backward()
            self.opts["g"].step()
            for p in self.nets["d"][1].values():
                p.requires_grad_(True)
            if not np.isfinite(loss_d.item() + loss_g.item()):
                raise FloatingPointError("the loss is not finite")


Times = tuple[float, float]
"""(seconds of the steps, seconds of everything else)."""


def plain(work: Work, threads: int) -> Times:
    """(a), (a2)."""
    torch.set_num_threads(threads)
    setup = work.setup()
    pairs = [Plain(setup, pair_name(i), work.lr) for i in range(work.pairs)]
    for p in pairs:
        p.steps(3)
    took = timed(lambda: [p.steps(work.steps) for p in pairs])
    torch.set_num_threads(1)
    return took, 0.0


def batched(work: Work) -> Times:
    """(b)."""
    torch.set_num_threads(1)
    setup = work.setup()
    model = Batched([Plain(setup, pair_name(i), work.lr) for i in range(work.pairs)], work.lr)
    model.steps(3)
    return timed(lambda: model.steps(work.steps)), 0.0


def trial(point: dict[str, Any]) -> None:
    """One pair as a trial of Ray Tune."""
    torch.set_num_threads(1)
    work = WORKS[point["work"]]
    pair = Plain(work.setup(), pair_name(point["pair"]), work.lr)
    pair.steps(3)
    for done in range(0, work.steps, SWAP):
        began = time.time()  # noqa: TID251
        pair.steps(SWAP)
        tune.report({"began": began, "ended": time.time(), "step": done + SWAP})  # noqa: TID251


def by_tune(name: str) -> Times:
    """(c): from the start of the first trial's steps to the end of the last one's, and the rest of
    `fit`.
    """
    work = WORKS[name]
    began = time.perf_counter()
    os.environ |= {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
    }  # data is looked for from here
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={"work": name, "pair": tune.grid_search(list(range(work.pairs)))},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        frames = [results[i].metrics_dataframe for i in range(len(results))]
    whole = time.perf_counter() - began
    busy = sum(float((f["ended"] - f["began"]).sum()) for f in frames if f is not None)
    return busy / CORES, whole - busy / CORES


def worker(rank: int, name: str, shared: Any, barrier: Any, out: Any) -> None:
    """A process of (d)."""
    torch.set_num_threads(1)
    work = WORKS[name]
    setup = work.setup()
    mine = [i for i in range(work.pairs) if i % CORES == rank]
    pairs = {i: Plain(setup, pair_name(i), work.lr) for i in mine}
    for p in pairs.values():
        p.steps(3)
    barrier.wait()
    began = time.perf_counter()
    for done in range(0, work.steps, SWAP):
        for p in pairs.values():
            p.steps(SWAP)
        if done + SWAP < work.steps:
            for i, p in pairs.items():
                shared[i].copy_(nn.utils.parameters_to_vector(p.d.parameters()).detach())
            barrier.wait()
            for i, p in pairs.items():
                nn.utils.vector_to_parameters(
                    shared[(i + 1) % work.pairs].clone(), p.d.parameters()
                )
            barrier.wait()
    barrier.wait()
    if rank == 0:
        out.put(time.perf_counter() - began)


def by_processes(name: str) -> Times:
    """(d)."""
    work = WORKS[name]
    d = work.setup().parts(pair_name(0)).discriminator
    context = mp.get_context("spawn")
    shared = torch.zeros(work.pairs, sum(p.numel() for p in d.parameters())).share_memory_()
    barrier, out = context.Barrier(CORES), context.Queue()
    began = time.perf_counter()
    mp.spawn(worker, args=(name, shared, barrier, out), nprocs=CORES, join=True)  # type: ignore
    took = float(out.get(timeout=10))
    return took, time.perf_counter() - began - took


def rank_of_gloo(rank: int, name: str, port: int, out: Any) -> None:
    """A rank of (e)."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", rank=rank, world_size=CORES)
    torch.set_num_threads(1)
    work = WORKS[name]
    setup = work.setup()
    pairs = [Plain(setup, pair_name(i), work.lr) for i in range(work.pairs) if i % CORES == rank]
    for p in pairs:
        p.steps(3)
    swapping = 0.0
    dist.barrier()
    began = time.perf_counter()
    for done in range(0, work.steps, SWAP):
        for p in pairs:
            p.steps(SWAP)
        if done + SWAP < work.steps:
            dist.barrier()  # else the wait for the slower rank would count as a swap
            start = time.perf_counter()
            for p in pairs:
                mine = nn.utils.parameters_to_vector(p.d.parameters()).detach()
                theirs = torch.empty_like(mine)
                sent = dist.isend(mine, (rank + 1) % CORES)
                dist.recv(theirs, (rank - 1) % CORES)
                assert sent is not None
                sent.wait()
                nn.utils.vector_to_parameters(theirs, p.d.parameters())
            swapping += time.perf_counter() - start
    dist.barrier()
    if rank == 0:
        out.put((time.perf_counter() - began, swapping))
    dist.destroy_process_group()


def by_gloo(name: str) -> Times:
    """(e)."""
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    out = mp.get_context("spawn").Queue()
    began = time.perf_counter()
    mp.spawn(rank_of_gloo, args=(name, port, out), nprocs=CORES, join=True)  # type: ignore
    took, swapping = out.get(timeout=10)
    LATENCY.setdefault(f"gloo/{name}", []).append(swapping / max(1, WORKS[name].steps // SWAP - 1))
    return float(took), time.perf_counter() - began - float(took)


LATENCY: dict[str, list[float]] = {}
"""Seconds of one meeting at which all pairs swap."""


def by_raygan(work: Work, folder: Path, **flags: Any) -> tuple[float, float, dict[str, Any]]:
    """A whole `train` on Ray: twice the time of the second half, when all its processes are up."""
    began = time.perf_counter()
    resolved = resolve(work.preset, flags=work.values(**flags))
    run = train(resolved, run_dir=folder, address="auto")
    whole = time.perf_counter() - began
    rows = [r for r in run.rows if r["kind"] == "train"]
    took = second_half(rows, work.steps)
    return took, whole - took, dict(run.info.get("packs", {}))


def draw(raw: dict[str, dict[str, list[Times]]], machine: str) -> bytes:
    """Each contestant's speed, as times the plain loop's: median, and a line from the slowest turn
    to the fastest.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            len(raw),
            figsize=(4.6 * len(raw), 3.6),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axis, (name, taken) in zip(axes[0], raw.items(), strict=True):
            base = [t[0] for t in taken["(a) plain loop"]]
            for at, (who, times) in enumerate(reversed(taken.items())):
                ratios = [a / t[0] for a, t in zip(base, times, strict=True)]
                axis.barh(
                    at,
                    statistics.median(ratios),
                    color="#2a6f97" if who.startswith("raygan") else "#c9c9c9",
                )
                axis.plot([min(ratios), max(ratios)], [at, at], color="black", lw=1)
            axis.set_yticks(range(len(taken)), list(reversed(taken)))
            axis.axvline(1, color="black", lw=0.8, ls=":")
            axis.set_xlabel("times the plain loop")
            axis.set_title(f"{WORKS[name].pairs} pairs, {name}")
        figure.suptitle(f"Speed of the steps ({machine})", fontsize=10)
        return png(figure)


def main() -> None:
    """Everybody in turn, so that a slower minute of the machine is everybody's."""
    words = sys.argv[1:]
    repeats = int(words.pop(0)) if words and words[0].isdigit() else 3
    names = words or list(WORKS)
    raw: dict[str, dict[str, list[Times]]] = {}
    packs: dict[str, Any] = {}
    with cluster("local", 512), tempfile.TemporaryDirectory() as folder:
        for name in names:
            work, taken = WORKS[name], raw.setdefault(name, {})
            for i in range(repeats):
                out = Path(folder) / f"{name}-{i}"
                auto = by_raygan(work, out / "auto", **{"resources.pairs_per_actor": "auto"})
                packs[name] = auto[2]
                turns: dict[str, Times] = {
                    "raygan, packs auto": auto[:2],
                    "raygan, packs, no swaps": by_raygan(
                        work,
                        out / "none",
                        **{
                            "resources.pairs_per_actor": auto[2]["pairs_per_actor"],
                            "strategy": "independent",
                        },
                    )[:2],
                    "raygan, one pack, one core": by_raygan(
                        work, out / "pack", **{"resources.pairs_per_actor": work.pairs}
                    )[:2],
                    "raygan, an actor a pair": by_raygan(work, out / "one")[:2],
                    "(a) plain loop": plain(work, 1),
                    "(a2) plain loop, all cores": plain(work, CORES),
                    "(b) batched, one core": batched(work),
                    "(c) Ray Tune": by_tune(name),
                    "(d) processes": by_processes(name),
                    "(e) gloo": by_gloo(name),
                }
                for who, times in turns.items():
                    taken.setdefault(who, []).append(times)
                print(
                    f"{name} {i + 1}/{repeats}: "
                    + ", ".join(f"{w} {t[0]:.1f} s" for w, t in turns.items()),
                    flush=True,
                )
    rows = []
    for name, taken in raw.items():
        base = taken["(a) plain loop"]
        for who, times in taken.items():
            ratios = [a[0] / t[0] for a, t in zip(base, times, strict=True)]
            per_core = (
                ratios
                if who == "(a) plain loop" or "one core" in who
                else [r / CORES for r in ratios]
            )
            rows.append([
                name, who, f"{statistics.median(t[0] for t in times):.1f}",
                middle(ratios),
                f"{statistics.median(per_core):.2f}x",
                f"{statistics.median(t[1] for t in times):.1f}",
            ])  # fmt: skip
    show(["work", "who", "s", "x (a)", "x (a) a core", "s to start and end"], rows)
    print(f"packs: {packs}; a meeting of gloo: {LATENCY}")
    (RESULTS / "rivals.png").write_bytes(draw(raw, conditions()["machine"]))
    write("rivals", {"seconds": raw, "packs": packs, "gloo_meeting_s": LATENCY, "cores": CORES})


if __name__ == "__main__":
    main()

"""How many requests `raygan serve` answers. `python -m benchmarks serve [SECONDS]` (20 a row);
writes results/serve.json

64 clients in one process of their own (asyncio, kept connections), each asks again as soon as it is
answered: 16 samples as .npy of ring8's global generator, of an untrained DCGAN pair of MNIST's, and
of ring8 while a newer checkpoint comes. Clients and service share the machine's cores.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.common import show, write
from raygan.config import resolve
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.serving.running import serve
from raygan.service.serving.source import Source
from raygan.service.training import train

CLIENTS, COUNT, PORT = 64, 16, 8199
COLUMNS = ("requests/s", "samples/s", "p50 ms", "p99 ms", "errors", "checkpoints seen")


async def load(address: str, seconds: float) -> dict[str, float]:
    """What CLIENTS clients meet."""
    times, errors, seen = list[float](), [0], set[str]()
    deadline = time.monotonic() + seconds

    async def client(session: aiohttp.ClientSession, seed: int) -> None:
        while (begun := time.monotonic()) < deadline:
            try:
                async with session.get(
                    f"{address}sample?count={COUNT}&seed={seed}&format=npy"
                ) as answer:
                    raw = await answer.read()
                    errors[0] += answer.status != 200 or len(raw) < COUNT
                    seen.add(answer.headers.get("x-raygan-checkpoint", ""))
            except aiohttp.ClientError:
                errors[0] += 1
            times.append(time.monotonic() - begun)

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:
        await client_once(session, address)
        await asyncio.gather(*(client(session, i) for i in range(CLIENTS)))
    rate = len(times) / seconds
    p50, p99 = np.quantile(times, [0.5, 0.99]) * 1000
    figures = (rate, rate * COUNT, float(p50), float(p99), float(errors[0]), float(len(seen)))
    return dict(zip(COLUMNS, figures, strict=True))


async def client_once(session: aiohttp.ClientSession, address: str) -> None:
    """Open the doors, before the clock runs."""
    async with session.get(f"{address}health") as answer:
        await answer.read()


def measured(
    run: Run, seconds: float, meanwhile: Callable[[], Any] | None = None
) -> dict[str, float]:
    """Serve it, load it, end."""
    found: dict[str, float] = {}

    def clients(address: str) -> None:
        def work() -> None:
            beside = threading.Thread(target=meanwhile) if meanwhile else None
            if beside:
                beside.start()
            found.update(asyncio.run(load(address, seconds)))
            if beside:
                beside.join()
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=work).start()

    serve(Source(str(run.path)), port=PORT, address="local", every_s=1.0, ready=clients)
    return found


def main() -> None:
    """The table."""
    seconds = next((float(a) for a in sys.argv[1:] if a.replace(".", "").isdigit()), 20.0)
    with tempfile.TemporaryDirectory() as folder:
        ring = train(
            resolve("ring8-sgan", flags={"steps": 100, "num_pairs": 2}),
            run_dir=Path(folder), name="ring", inline=True,
        )  # fmt: skip
        digits = train(
            resolve("mnist-sgan", flags={"steps": 2, "num_pairs": 2, "evaluation.samples": 200}),
            run_dir=Path(folder), name="digits", inline=True,
        )  # fmt: skip
        rows = {
            "ring8, an MLP": measured(ring, seconds),
            "MNIST, a DCGAN": measured(digits, seconds),
            "ring8, a checkpoint comes": measured(
                ring, seconds, lambda: resume_run(ring.path, extra_steps=50, inline=True)
            ),
        }
    show(["", *COLUMNS], [[k, *(f"{v:.4g}" for v in row.values())] for k, row in rows.items()])
    write("serve", {"clients": CLIENTS, "count": COUNT, "seconds": seconds, "rows": rows})


if __name__ == "__main__":
    main()

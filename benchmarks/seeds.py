"""A preset over several seeds: `python -m benchmarks.seeds --preset ring8-sgan --seeds 5`."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.common import show, spread, write
from raygan.config import resolve
from raygan.service.training import train


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="ring8-sgan")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--inline", action="store_true")
    args = parser.parse_args()
    scores: dict[str, list[dict[str, float]]] = {"global": [], "locals": [], "mixture": []}
    seconds = []
    protocol: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            began = time.perf_counter()  # Ray's own start and stop belong to a run
            run = train(resolve(args.preset, flags={"seed": seed}), run_dir=Path(folder), inline=args.inline)
            seconds.append(time.perf_counter() - began)
            last = run.scores()
            numbers = {p: {k: v for k, v in r.items() if isinstance(v, float)} for p, r in last.items()}
            pairs = [numbers[p] for p in run.pairs]
            scores["locals"].append({k: sum(n[k] for n in pairs) / len(pairs) for k in pairs[0]})
            scores["mixture"].append(numbers.get("mixture", {}))
            scores["global"].append(numbers.get("global", {}))
            protocol = run.info["protocols"][next(iter(last.values()))["protocol"]]
            print(f"seed {seed}: {seconds[-1]:.0f} s, global {numbers.get('global')}", flush=True)
    metrics = [k for k in scores["locals"][0] if k != "elapsed"]
    rows = [["ceiling (real data)", *(f"{protocol['ceiling'][m]:.3g}" for m in metrics)]]  # type: ignore[index]
    for who, values in scores.items():
        if values[0]:
            rows.append([who, *(spread([v[m] for v in values]) for m in metrics)])
    rows.append(["floor (noise)", *(f"{protocol['floor'][m]:.3g}" for m in metrics)])  # type: ignore[index]
    show(["generator", *metrics], rows)
    print(f"wall seconds a run, Ray's start included: {spread(seconds)}")
    write(f"seeds-{args.preset}", {"scores": scores, "seconds": seconds, "protocol": protocol})


if __name__ == "__main__":
    main()

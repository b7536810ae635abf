"""Do the shipped presets still train to the same bits? `python -m benchmarks preset-bits [--check]
[PRESET ...]`

Writes results/preset_bits.json: preset -> SHA-256 over all players' weights and buffers
(generators, discriminators, the classifier) after 50 steps of lockstep in this process, seed 0, one
thread, nothing scored. `--check` compares with it instead, and exits 1 with the presets that
differ. Bits are those of one torch on one kind of CPU: both stand in the file, and are told where
they are others.

So that the whole table takes minutes, wide MLPs get batches of at most 16, networks of images and
text of at most 4 (`BATCH`), and GAP swaps every 20 updates (`SWAP_EVERY`): what ran stands beside
each hash.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.common import conditions, kept, write
from raygan.config import preset_values, presets, resolve
from raygan.controller.inline import InlineExecutor
from raygan.errors import DataError
from raygan.gan.bundle import unpack
from raygan.service.verify import final_states
from raygan.strategies.base import Setup, load_data

NAME = "preset_bits"
STEPS = 50
SWAP_EVERY = 20
BATCH = {"wide": 16, "images": 4}
WIDE = 256
"""Units of a hidden layer from which an MLP counts as wide."""
NETWORKS = ("g.", "d.", "c.")
"""Tensors of a player's state that are a network's."""


def flags(preset: str) -> dict[str, Any]:
    """What is laid over a preset."""
    values = preset_values(preset)
    out: dict[str, Any] = {"seed": 0, "steps": STEPS, "resources.num_threads": 1, "device": "cpu"}
    network = values["network"]
    kind = (
        "images" if network["name"] != "mlp" else "wide" if network.get("hidden", 0) >= WIDE else ""
    )
    if kind:
        share = values["strategy"] if isinstance(values["strategy"], dict) else {}
        each = values.get("num_pairs", 1) if share.get("generator_batch") == "share" else 1
        out["batch_size"] = min(values.get("batch_size", 128), BATCH[kind] * each)
    for path in ("strategy", "strategy.over"):
        strategy: Any = values["strategy"]
        if path == "strategy.over":
            strategy = strategy.get("over") if isinstance(strategy, dict) else None
        if isinstance(strategy, Mapping) and strategy["name"] == "gap":
            out |= {f"{path}.swap_every": SWAP_EVERY, f"{path}.unit": "updates"}
    return out


def bits(preset: str) -> str:
    """SHA-256 over the final weights and buffers, by player and name.

    Raises DataError where the data set is not there.
    """
    config = resolve(preset, flags=flags(preset)).config
    setup = Setup(config, load_data(config), torch.device("cpu"))
    states = final_states(config, lambda: InlineExecutor(setup), samples=len(setup.data.train))
    h = hashlib.sha256()
    for player, packed in sorted(states.items()):
        state = unpack(packed)
        for key in sorted(k for k in state if k.startswith(NETWORKS)):
            value = state[key]
            assert isinstance(value, torch.Tensor), f"{key} of {player} is no tensor"
            h.update(f"{player} {key} {tuple(value.shape)} {value.dtype}\n".encode())
            h.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return h.hexdigest()


def measured(preset: str) -> tuple[str | None, str]:
    """(the hash, a line about it); no hash where the data set is not there."""
    began = time.process_time()
    try:
        found = bits(preset)
    except DataError as error:
        return None, f"not run: {str(error).partition(' not found')[0]} is not here"
    return found, f"{found[:12]}  {time.process_time() - began:.1f} CPU s"


def elsewhere(found: Mapping[str, Any]) -> list[str]:
    """What the file was written with that is another thing here."""
    here = conditions()
    kinds = {
        key: (str(found.get(key)).partition(",")[0], str(here[key]).partition(",")[0])
        for key in ("torch", "machine")
    }
    return [
        f"{key}: written with {was}, this is {now}"
        for key, (was, now) in kinds.items()
        if was != now
    ]


def main() -> None:
    """Run each, compare or keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the file; exit 1 where bits differ"
    )
    parser.add_argument("preset", nargs="*", help="all of them where none is named")
    given = parser.parse_args()
    before = kept(NAME)
    table: dict[str, Any] = dict(before.get("presets", {}))
    differ, missing = [], []
    for preset in given.preset or presets():
        found, line = measured(preset)
        if found is None:
            missing.append(preset)
        elif not given.check:
            table[preset] = {"sha256": found, "with": flags(preset)}
            write(NAME, {"steps": STEPS, "presets": table})
        elif preset not in table:
            line += "  NOT IN THE FILE"
            differ.append(preset)
        elif table[preset]["sha256"] != found:
            line += f"  DIFFERS from {table[preset]['sha256'][:12]}"
            differ.append(preset)
        print(f"{preset:28s} {line}", flush=True)
    if missing:
        print(f"without their data, not run: {', '.join(missing)}")
    if given.check:
        for line in elsewhere(before.get("conditions", {})):
            print(line)
        print(f"differ: {', '.join(differ)}" if differ else "equal")
        raise SystemExit(bool(differ))


if __name__ == "__main__":
    main()

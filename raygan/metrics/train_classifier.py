"""Trains the MNIST classifier and writes its artefact: `python -m raygan.metrics.train_classifier`
(under a minute).

Three epochs of Adam with a one-cycle rate and random shifts by one pixel; the weights are stored as
fp16 and scored as stored.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from raygan.data.base import to_float
from raygan.data.mnist import FOLDERS, HELP, load_images, load_labels
from raygan.errors import RayganError
from raygan.gan.random_streams import Streams
from raygan.metrics.classifier import DigitNet, artefact, load_classifier, probabilities


def train_classifier(out: Path, seed: int = 0, epochs: int = 3, batch: int = 128) -> float:
    """Train, write `out`, return the accuracy of what was written on the 10,000 test images."""
    train, test = (to_float(x.copy()) for x in load_images("mnist", FOLDERS, None, HELP))
    y, y_test = (
        torch.from_numpy(a.astype("int64")) for a in load_labels("mnist", FOLDERS, None, HELP)
    )
    streams = Streams(seed, "classifier")
    # layers draw from the global generator; afterwards it is as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitNet()
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3, fused=True)
    per_epoch = len(train) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * per_epoch)
    for epoch in range(epochs):
        order = torch.randperm(len(train), generator=streams.at("order", epoch))
        shifts = torch.randint(-1, 2, (per_epoch, 2), generator=streams.at("shift", epoch)).tolist()
        for i, (down, right) in enumerate(shifts):
            index = order[i * batch : (i + 1) * batch]
            # by one pixel: digits have an empty rim, so that nothing comes in on the other side
            x = torch.roll(train[index], (down, right), (2, 3))
            optimizer.zero_grad()
            F.cross_entropy(network(x), y[index]).backward()
            optimizer.step()
            schedule.step()
    half = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    # scored as it is stored: the accuracy in the file is that of the fp16 weights
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in half.items()})
    accuracy = float((probabilities(network.eval(), test).argmax(1) == y_test.numpy()).mean())
    save_file(
        half, out, metadata={"accuracy": f"{accuracy:.4f}", "seed": str(seed), "data": "mnist"}
    )
    return accuracy


def main() -> None:
    """Write the artefact that comes with raygan."""
    began = time.perf_counter()
    path = artefact("mnist")
    path.parent.mkdir(exist_ok=True)
    try:
        accuracy = train_classifier(path)
    except RayganError as error:
        raise SystemExit(f"raygan: {error}") from None
    load_classifier.cache_clear()
    seconds = time.perf_counter() - began
    print(f"{path.name}: accuracy {accuracy:.4f}, {path.stat().st_size:,} bytes, {seconds:.0f} s")


if __name__ == "__main__":
    main()

"""A network as ONNX, checked by running it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch

from raygan.errors import CheckpointError, ConfigError
from raygan.gan.random_streams import draw_watch
from raygan.networks.base import untuned

EMPTY: Mapping[str, str] = MappingProxyType({})
TOLERANCE = 1e-4
"""Largest difference between PyTorch and ONNX Runtime, for numbers up to 1; of larger ones in
parts of them.
"""


def write_onnx(
    network: torch.nn.Module, example: torch.Tensor, path: Path, names: tuple[str, str],
    told: Mapping[str, str] = EMPTY,
) -> None:  # fmt: skip
    """A network with a free batch size, in float32, its input and output under these names;
    compared with PyTorch on the example (N, ...) before it is kept.

    told: what the two are, for who has the file alone; its metadata.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            "--onnx needs onnx, onnxscript and onnxruntime: pip install 'raygan[onnx]'."
        ) from None
    network = untuned(network)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        drew = draw_watch()
        network(example[:2])
        if drew():
            raise ConfigError(
                "--onnx: layers of this network draw random numbers, and ONNX Runtime would draw"
                " others: nobody could compare the two. Make them a part of z, or export without"
                " --onnx."
            )
    batch = torch.export.Dim("batch", min=1, max=65536)
    # of torch's own affairs (no torchvision, names to come), a line each for every network: what it
    # has made is compared below
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            network, (torch.zeros_like(example[:2]),), dynamo=True, input_names=names[:1],
            output_names=names[1:], dynamic_shapes=({0: batch},), verbose=False,
        )  # fmt: skip
    assert program is not None, "the exporter gave nothing"
    program.model.metadata_props.update(told)
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(example).numpy()
    (found,) = session.run(None, {names[0]: example.numpy()})
    compare(found, expected)


def compare(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> None:
    """What ONNX Runtime and PyTorch give (N, ...) for the same. Raises CheckpointError where they
    differ by more than rounding, or either gives no finite number.
    """
    if not np.isfinite(expected).all():
        raise CheckpointError(
            "--onnx: this network gives numbers that are not finite, so that nobody could compare"
            " with PyTorch. Look at the run, or export an earlier one."
        )
    # of each output number by its largest of the batch: rounding is in parts of what is summed,
    # also where one sample's sum comes to nearly 0; and a column of thousands beside one of
    # fractions leaves that its own
    size = np.maximum(1.0, np.abs(expected).max(0))
    worst = float((np.abs(found - expected) / size).max())
    # so, and not the other way round: NaN is no number below it
    if not worst <= TOLERANCE:
        raise CheckpointError(
            f"--onnx: ONNX Runtime differs from PyTorch by {worst:g} of its numbers' size. Report"
            " this as a defect."
        )

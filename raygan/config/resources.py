"""What a run asks of the cluster."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from raygan.config.section import Section

BATCHED_BELOW = 250_000
"""Numbers of an MLP's D below which a CPU is faster with one batched model (benchmarks/LOG.md,
"Packs").
"""


def memory_bytes(text: str) -> int:
    """
    >>> memory_bytes("1.5GiB"), memory_bytes("800MiB")
    (1610612736, 838860800)
    """
    return int(float(text[:-3]) * (1 << 30 if text.endswith("GiB") else 1 << 20))


def _not_negative(value: int | str) -> int | str:
    # By hand: `ge` of pydantic does not go with a type that is also "auto".
    if isinstance(value, int) and value < 0:
        raise ValueError("input should be at least 0, or auto")
    return value


def _a_size(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[0-9]+(\.[0-9]+)?[MG]iB", value):
        raise ValueError("input should be a size like 4GiB or 800MiB")
    return value


class ResourcesConfig(Section):
    """What each player asks of the cluster."""

    pairs_per_actor: int | Literal["auto"] = Field(
        1,
        description=(
            "Pairs in one process; auto: an equal share for each core or GPU, batched if that is"
            " measured faster."
        ),
    )
    batched: bool | None = Field(
        None,
        description=(
            "Pairs of one process as one batched model; None: MLPs with a D below "
            f"{BATCHED_BELOW:,} numbers, and all on a GPU."
        ),
    )
    cuda_graphs: Literal["off", "auto"] = Field(
        "off",
        description=(
            "auto: a pair on an NVIDIA GPU replays its steps as CUDA graphs, where a replay gives"
            " the same bits; never run on a GPU yet."
        ),
    )
    num_threads: int = Field(
        1, gt=0, description="torch threads of a CPU player; other counts give other bits."
    )
    cpus_per_pair: float | None = Field(
        None, gt=0, description="None: an equal share of the cluster, at most 1."
    )
    gpus_per_pair: float | None = Field(
        None,
        ge=0,
        le=1,
        description="None: an equal share of the GPUs, at most 1: a pair trains on one.",
    )
    gpu_memory_per_pair: Annotated[str | None, AfterValidator(_a_size)] = Field(
        None,
        description=(
            "Memory of a GPU that each pair needs, like 4GiB or 800MiB: a process whose share of"
            " its GPU is less is refused when it starts; None: whatever its share is."
        ),
    )
    placement: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = Field(
        "PACK", description="Ray's placement strategy of the run's one placement group."
    )
    spares: Annotated[int | Literal["auto"], AfterValidator(_not_negative)] = Field(
        1,
        description=(
            "Processes kept ready for players that die (180 MB each; none where players have GPUs);"
            " auto: as many as the fullest other node has."
        ),
    )
    hub: bool = Field(
        True, description="An actor that `watch`, `status`, `scale`, `stop` and Prometheus ask."
    )
    scale: bool = Field(
        True,
        description=(
            "Count the nodes that the cluster's autoscaler may start, and ask for them; false: only"
            " those that are up."
        ),
    )
    wait_s: float = Field(
        600.0,
        gt=0,
        description=(
            "Seconds to wait for room: for nodes that are busy with other runs, or still to come."
        ),
    )
    object_store_mb: int = Field(
        512, ge=80, description="Object store of a Ray that this run starts itself."
    )

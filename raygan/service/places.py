"""Where a run computes: in this process, or on a Ray that is joined or started; what is refused
before anything is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from raygan.config import Config
from raygan.data.base import Samples
from raygan.errors import (
    DataError,
    InfeasibleError,
)
from raygan.gan.device import chosen
from raygan.gan.device import settle as settle_device
from raygan.metrics.by_part import Ask
from raygan.service.runs.identity import known_data, known_parts
from raygan.strategies.base import Setup, load_data, num_processes, with_data
from raygan.strategies.partition import with_parts
from raygan.strategies.sources import component_of, sources_of
from raygan.watching import tell


@contextlib.contextmanager
def hosting(config: Config, address: str, inline: bool) -> Iterator[None]:
    """Ray for the block, unless everything happens in this process."""
    if inline:
        yield
        return
    # Before the import, which is most of the wait.
    tell("loading Ray")
    from raygan.actors.cluster import cluster

    tell("starting Ray" if address in ("auto", "local") else f"joining {address}")
    with cluster(address, config.resources.object_store_mb):
        yield


def outlined(config: Config, inline: bool, known: Mapping[str, Any] | None = None) -> Samples:
    """The config's data; where nobody holds the whole all but the samples, each source read where
    pairs live, so that it takes a Ray that is up. Raises DataError.

    known: run.json of a run on the same data, which are read as they were for it.
    """
    if known is not None:
        return known_data(known, config)
    if inline or component_of(config).whole:
        return load_data(config)
    from raygan.actors.pair_sources import outline_there

    return outline_there(config)


def asking(setup: Setup, inline: bool) -> Ask | None:
    """Has parts answer about samples, on Ray each in a process that reads it and ends; None: where
    this is called, or there is a whole.
    """
    if inline or setup.data.whole:
        return None
    from raygan.actors.pair_sources import answers_of

    return lambda question: answers_of(setup, question, {})


def parted(
    config: Config,
    data: Samples,
    inline: bool,
    known: Mapping[str, Any] | None = None,
    more: Sequence[str] = (),
) -> Samples:
    """With what is known of pairs' own SOURCEs, each read where pairs live; known: run.json of a
    run on the same data, with which they are compared; more: of pairs beside those that are there.
    Raises DataError.
    """
    if known and sources_of(config):
        data = known_parts(known, data)
    # An array that was given as an object has no path, and the data of a part never travel: it is
    # read where its pair lives (decision 72).
    component = component_of(config)
    if component.partition != "shared" and not inline and not component.elsewhere:
        raise DataError(
            "data.partition: data given as an object are in this process only. Save them with"
            " numpy.savez, or use --inline."
        )
    if not sources_of(config):
        return data
    pairs = [*with_data(config), *more]
    if inline:
        return with_parts(config, pairs, data)
    from raygan.actors.pair_sources import look_there

    return with_parts(config, pairs, data, look_there)


def room_for_actors(config: Config) -> int:
    """How many actors of this cluster, as it is or can become, can train at once; GPUs
    count where players may have them.
    """
    from raygan.actors.capacity import outlook, total

    room = total(outlook(config.resources.scale).rooms(config.num_pairs))
    # One pair trains on one GPU at most (decision 79), so whole GPUs are counted.
    gpus = 0.0 if config.device == "cpu" else room["GPU"]
    return max(1, int(gpus or room["CPU"]))


def check_placement(config: Config) -> None:
    from raygan.actors.capacity import outlook
    from raygan.actors.placement import place_in

    placed = place_in(num_processes(config), config.resources, outlook(config.resources.scale))
    refuse_without_gpu(config, placed.gpus)


def refuse_without_gpu(config: Config, gpus: float) -> None:
    """Raises InfeasibleError where a GPU is demanded and no player would get a share of one."""
    if config.device == "cuda" and not gpus:
        raise InfeasibleError(
            "device = cuda: no player gets a GPU, the cluster has none to give. Use --device cpu or"
            " auto, or a cluster whose nodes have GPUs."
        )


def inline_device(config: Config) -> torch.device:
    """All players' device in this one process, made ready. Raises InfeasibleError."""
    device = chosen(config.device)
    settle_device(device, config.pace == "lockstep")
    return device


def check_abroad(config: Config) -> None:
    from raygan.actors.abroad import refuse_missing

    refuse_missing(config)

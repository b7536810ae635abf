"""Pairs' own SOURCEs, read on the cluster: what comes back is a `Part`, an outline, or what a part
says of generated samples; never a sample of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from raygan.actors.player import SCORES
from raygan.actors.process import SCRUBBED, TIMEOUT_S
from raygan.config import Config
from raygan.data.base import Samples
from raygan.data.partition import Part
from raygan.data.parts import sketch, together
from raygan.errors import RayganError
from raygan.metrics.by_part import Question, answer
from raygan.metrics.fidelity import Met
from raygan.strategies.base import Setup
from raygan.strategies.partition import look, own_parts
from raygan.strategies.sources import sources_of


def look_there(config: Config, pairs: list[str], outline: Samples) -> dict[str, Part]:
    """`look`, each source in a process of its own that ends with it. Raises DataError."""
    found = dict[str, Part]()
    for part in _each(look, [(config, [pair], outline) for pair in pairs]):
        found |= part
    return found


def outline_there(config: Config) -> Samples:
    """What `data parts` give (`Parts.load`), each source read in such a process. Raises
    DataError.
    """
    sources = sources_of(config)
    asked = [(pair, spec, config.seed) for pair, spec in sources.items()]
    return together(dict(zip(sources, _each(sketch, asked), strict=True)))


def answers_of(setup: Setup, question: Question, holders: Mapping[str, Any]) -> dict[str, Met]:
    """What each part says: by the actor that holds it, or where that is gone, or has said nothing
    within a lease, by a process that reads its source, and ends with it. Raises DataError.
    """
    once, found = [ray.put(question)], dict[str, Met]()
    # of all together: all are asked at once, and several that hang cost no more than one
    until = time.monotonic() + patience_s(setup.config)
    asked = {
        pair: actor.answer.options(concurrency_group=SCORES).remote(pair, once)
        for pair, actor in holders.items()
        if actor is not None
    }
    for pair, reference in asked.items():
        try:
            said = ray.get(reference, timeout=max(0.0, until - time.monotonic()))
        except RayTaskError:
            raise
        except RayError:  # its pair is gone or hangs, and comes back in its own time
            continue
        if said is not None:
            found[pair] = said
    gone = [pair for pair in question.held_out if pair not in found]
    again = [(setup.config, pair, setup.data.outline, once) for pair in gone]
    found |= dict(zip(gone, _each(read_and_answer, again), strict=True))
    return {pair: found[pair] for pair in question.held_out}


def patience_s(config: Config) -> float:
    """How long an answer is waited for: as long as a busy player may get nowhere."""
    return min(TIMEOUT_S, config.failures.lease_s)


def read_and_answer(config: Config, pair: str, outline: Samples, question: list[Any]) -> Met:
    """`answer`, by a part that is read for it."""
    return answer(pair, own_parts(config, [pair], outline)[pair], ray.get(question[0]))


def _each(what: Any, asked: list[tuple[Any, ...]]) -> list[Any]:
    """Each call in a process of its own that ends with it: what it held is gone then. Raises the
    RayganError that one of them raised.
    """
    task: Any = ray.remote(max_calls=1, num_cpus=0, max_retries=1, runtime_env=SCRUBBED)(what)
    out = []
    for reference in [task.remote(*arguments) for arguments in asked]:
        try:
            out.append(ray.get(reference))
        except RayTaskError as error:
            if isinstance(error.cause, RayganError):
                raise error.cause from None
            raise
    return out

"""A pair's updates as CUDA graphs: begun once, replayed at every step of the same kind.

    first step of a kind     kernel by kernel
    second                   captured, and done kernel by kernel
    third                    both ways from the same numbers: a graph that gives other bits is not
                             used again
    from then on             the batch is copied to where the graph reads it, one launch

A step of a small network is some 200 kernels, of a few microseconds each to begin and less to run.
A graph repeats what it was made of: the addresses of all tensors, and each number that the host has
put in. So it is asked for by these numbers (`Pair.kind`) and forgotten once a tensor has moved;
random streams are registered with it, and read their seed and place anew at each replay.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from raygan.gan.host_copies import as_bytes
from raygan.gan.later import Value, skips
from raygan.gan.types import Report

if TYPE_CHECKING:
    from raygan.gan.pair import Pair

MOST = 16
"""Kinds of steps in a round: a setting that moves at every step would make one of each."""


@dataclass
class Graph:
    """One kind of step."""

    graph: torch.cuda.CUDAGraph
    reals: list[Tensor]
    """The batches, where it reads them."""
    losses: dict[str, Tensor]
    """Where it writes them."""
    compared: bool = False
    """Has it given the bits of a step that it was not made of?"""


class Captured:
    """The graphs of one pair."""

    def __init__(self, pair: Pair, why: str) -> None:
        self.pair = pair
        self.graphs: dict[Hashable, Graph] = {}
        self.seen: set[Hashable] = set()
        self.places: list[int] = []
        self.replayed = 0
        self.pool: Any = None
        self.why = ""
        """Why no step is replayed; "": they are."""
        if why := why or _refused(pair):
            self.give_up(why)

    def give_up(self, why: str) -> None:
        """Train as ever, and say so."""
        self.why = why
        self.graphs.clear()
        logging.getLogger(__name__).warning("%s: no CUDA graphs: %s", self.pair.name, why)

    def begin(self, steps: int) -> None:
        """A round of so many begins: graphs of tensors that lie elsewhere now are forgotten."""
        self.replayed = 0
        self.seen.clear()
        # the last is looked at, and no replay
        if steps > 1 and not self.why:
            self._look()

    def _look(self) -> None:
        """Forget the graphs of tensors that lie elsewhere now."""
        if (places := self._places()) != self.places:
            self.places = places
            self.graphs.clear()

    def end(self, steps: int) -> Report:
        """Of a round of so many steps: the share that was replayed."""
        return {"replayed": self.replayed / steps}

    def step(self, reals: Sequence[Tensor]) -> Mapping[str, Value]:
        """The pair's updates on these batches, each (N, *shape); its streams are seeded. The
        losses.
        """
        kind = self.pair.kind()
        graph = self.graphs.get(kind)
        if graph is not None:
            return self._replay(graph, reals) if graph.compared else self._compare(graph, reals)
        if not self.why and kind in self.seen:
            self._capture(kind, reals)
            self.pair.seed()
        elif not self.why and len(self.seen) < MOST:
            self.seen.add(kind)
        return self.pair.updates(reals)

    def _replay(self, graph: Graph, reals: Sequence[Tensor]) -> dict[str, Tensor]:
        for place, real in zip(graph.reals, reals, strict=True):
            place.copy_(real, non_blocking=True)
        graph.graph.replay()
        self.replayed += 1
        # copies: the next replay writes there again
        return {name: loss.clone() for name, loss in graph.losses.items()}

    def _capture(self, kind: Hashable, reals: Sequence[Tensor]) -> None:
        """A graph of this kind of step; nothing is done yet."""
        pair, graph = self.pair, torch.cuda.CUDAGraph()
        for stream in pair.drawn_from:
            graph.register_generator_state(stream)
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        # a first step has made the optimizers' tensors since the round began
        self._look()
        networks = (pair.g, pair.d, pair.average)
        held = [(m._buffers, dict(m._buffers)) for n in networks for m in n.modules()]
        try:
            places = [r.clone() for r in reals]
            with ExitStack() as stack:
                # what layers draw from the host in it is drawn again by the step
                stack.enter_context(pair.streams.for_layers(pair.step))
                # whatever becomes of the capture, this thread is on its stream again
                stack.enter_context(torch.cuda.stream(torch.cuda.current_stream()))
                stack.enter_context(_capturable(pair.opt_g, pair.opt_d))
                # other threads (of scores) go on with the device meanwhile
                how = torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local")
                stack.enter_context(how)
                losses = pair.updates(places)
        except RuntimeError as error:
            self.give_up(str(error).partition("\n")[0])
            return
        if self._places() != self.places:
            # theirs are the graph's, and hold nothing: a capture does nothing
            for buffers, before in held:
                buffers.update(before)
            self.give_up("a step puts new tensors in the place of old ones")
            return
        kept = {name: loss for name, loss in losses.items() if isinstance(loss, Tensor)}
        self.graphs[kind] = Graph(graph, places, kept)

    def _compare(self, graph: Graph, reals: Sequence[Tensor]) -> dict[str, Value]:
        """This step, and whether the graph does the same."""
        pair, tensors = self.pair, self.pair.tensors()
        try:
            before = [t.clone() for t in tensors]
            losses = pair.updates(reals)
            after = [t.clone() for t in tensors]
        except torch.OutOfMemoryError:
            self.give_up("no memory for a second copy of the networks")
            pair.seed()
            return pair.updates(reals)
        _put(tensors, before)
        pair.seed()
        with pair.streams.for_layers(pair.step):
            again = self._replay(graph, reals)
        self.replayed -= 1
        ours = [loss for loss in losses.values() if isinstance(loss, Tensor)]
        if self._places() == self.places and _same([*tensors, *again.values()], [*after, *ours]):
            graph.compared = True
        else:
            _put(tensors, after)
            self.give_up("a replay gave other bits than the step")
        return losses

    def _places(self) -> list[int]:
        return [t.data_ptr() for t in self.pair.tensors()]


def _refused(pair: Pair) -> str:
    """Why none of its steps can be captured, as far as it is known before."""
    if not (skips(pair.opt_g, pair.device) and skips(pair.opt_d, pair.device)):
        return f"{pair.config.optimizer} asks the host at each update"
    if pair.loss.alters_d:
        return "the loss asks the host after each update of D"
    if pair.loss.needs_real or pair.config.feature_matching:
        # what D's layers draw there is put back, which a generator does not do in a capture
        return "G's loss compares with real samples"
    return ""


@contextmanager
def _capturable(*optimizers: torch.optim.Optimizer) -> Iterator[None]:
    """Within it torch's check lets their steps be captured; fused ones are so at any time, and have
    the same bits either way.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False


def _put(tensors: Sequence[Tensor], numbers: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, number in zip(tensors, numbers, strict=True):
            tensor.copy_(number)


def _same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    """To the bit; one wait."""
    return torch.equal(*(torch.cat([as_bytes(t.detach()) for t in each]) for each in (a, b)))

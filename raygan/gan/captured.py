"""A pair's updates as CUDA graphs: begun once, replayed at every step of the same kind.

    step of a new kind    kernel by kernel
    its second            kernel by kernel and as a graph, from the same numbers: one that does not
                          give the same bits is not used (`why`)
    from then on          the batch is copied to where the graph reads it, one launch

A step of a small network is some 270 kernels, of a few microseconds each to begin and less to run.
A graph repeats what it was made of: the addresses of all tensors, and each number that the host has
put in. So it is asked for by these numbers (`Pair.kind`) and forgotten once a tensor has moved;
random streams are registered with it, and read their seed and place anew at each replay.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from raygan.gan.later import Value
from raygan.gan.types import Report

if TYPE_CHECKING:
    from raygan.gan.pair import Pair

MOST = 16
"""Graphs of a pair: a setting that moves at every step would make one of each."""


@dataclass
class Graph:
    """One kind of step."""

    graph: torch.cuda.CUDAGraph
    reals: list[Tensor]
    """The batches, where it reads them."""
    losses: dict[str, Tensor]
    """Where it writes them."""


class Captured:
    """The graphs of one pair."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.graphs: dict[Hashable, Graph] = {}
        self.seen: set[Hashable] = set()
        self.places: list[int] = []
        self.why = ""
        """Why steps are not replayed; "": they are."""
        self.replayed = 0

    def begin(self) -> None:
        """A round begins: graphs of tensors that lie elsewhere now are forgotten."""
        places = [t.data_ptr() for t in self.pair.tensors()]
        if places != self.places:
            self.places = places
            self.graphs.clear()
            self.seen.clear()

    def end(self, steps: int) -> Report:
        """Of a round of so many steps: the share that was replayed."""
        share, self.replayed = self.replayed / steps, 0
        return {"replayed": share}

    def step(self, reals: Sequence[Tensor]) -> dict[str, Value]:
        """The pair's updates on these batches, each (N, *shape); its streams are seeded. The
        losses.
        """
        kind = self.pair.kind()
        if (graph := self.graphs.get(kind)) is not None:
            return self._replay(graph, reals)
        if self.why or kind not in self.seen:
            self.seen.add(kind)
            if len(self.seen) > MOST:
                self.why = "settings move with the step: no two steps are of one kind"
            return self.pair.updates(reals)
        return self._capture(kind, reals)

    def _replay(self, graph: Graph, reals: Sequence[Tensor]) -> dict[str, Value]:
        for place, real in zip(graph.reals, reals, strict=True):
            place.copy_(real, non_blocking=True)
        graph.graph.replay()
        self.replayed += 1
        # copies: the next replay writes there again
        return {name: loss.clone() for name, loss in graph.losses.items()}

    def _capture(self, kind: Hashable, reals: Sequence[Tensor]) -> dict[str, Value]:
        """This step, and its graph if that gives the same."""
        pair, tensors = self.pair, self.pair.tensors()
        before = [t.clone() for t in tensors]
        losses = pair.updates(reals)
        after = [t.clone() for t in tensors]
        self._put(before)
        if (made := self._made(reals)) is None:
            self._put(after)
            return losses
        pair.seed()
        with pair.streams.for_layers(pair.step):
            again = self._replay(made, reals)
        self.replayed -= 1
        pairs = [*zip(pair.tensors(), after, strict=True), *zip(again.values(), losses.values())]  # noqa: B905
        # once for each graph: this is the one time that the host waits
        if len(pair.tensors()) != len(after) or not all(_same(a, b) for a, b in pairs):
            self.why = "a replay gave other bits than the step"
            self._put(after)
            return losses
        self.graphs[kind] = made
        return losses

    def _made(self, reals: Sequence[Tensor]) -> Graph | None:
        """The graph; None where something in the step cannot be in one."""
        pair = self.pair
        pair.seed()
        graph, places = torch.cuda.CUDAGraph(), [r.clone() for r in reals]
        for stream in pair.drawn_from():
            graph.register_generator_state(stream)
        try:
            with ExitStack() as stack:
                stack.enter_context(pair.streams.for_layers(pair.step))
                stack.enter_context(torch.cuda.graph(graph))
                losses = pair.updates(places)
        except RuntimeError as error:
            self.why = str(error).partition("\n")[0]
            return None
        kept = {name: loss for name, loss in losses.items() if isinstance(loss, Tensor)}
        return Graph(graph, places, kept)

    def _put(self, numbers: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for tensor, number in zip(self.pair.tensors(), numbers, strict=True):
                tensor.copy_(number)


def _same(a: Value, b: Value) -> bool:
    """To the bit, NaN with NaN."""
    assert isinstance(a, Tensor)
    assert isinstance(b, Tensor)
    return torch.equal(a.nan_to_num(nan=0.125), b.nan_to_num(nan=0.125)) and torch.equal(
        a.isnan(), b.isnan()
    )

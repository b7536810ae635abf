"""The opponents of SGAN's global pair in one process: a messenger (copy of D_n) and G_n of each
local, and what was published of them.

    board --between, newest--> keep --due--> refresh: D_msg[n] = copy(D_n), G_n likewise   (line 14)

`messengers.py` and `local_generators.py` train with them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from raygan.gan.host_copies import state_on_host
from raygan.gan.optimizers import forget, unflatten_optimizer
from raygan.gan.states import load_network, load_optimizer, network_state, optimizer_state
from raygan.gan.trainer import Trainer
from raygan.gan.types import Board, State
from raygan.gan.weights import Publication, duplicate, unflatten, whole
from raygan.networks.base import has_batch_norm
from raygan.strategies.batching.fits import one_at_a_time, pays, strange, usual_penalty
from raygan.strategies.batching.stack import Stack

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings

Prior = Literal["gaussian", "uniform"]


class Opponent:
    """What the global pair knows of one local: a messenger (copy of D_n) and G_n as samples or as a
    copy.
    """

    def __init__(
        self,
        name: str,
        d: nn.Module,
        g: nn.Module | None,
        optimizer: torch.optim.Optimizer,
        prior: Prior,
    ) -> None:
        self.name = name
        self.d = d
        self.g = g
        self.optimizer = optimizer
        self.prior = prior
        """Of the z that G_n has learned to map: the local's own."""
        self.version = 0
        self.samples: Tensor | None = None
        self.used = 0  # batches of `samples` that D0 has seen

    def refresh(
        self, publication: Publication, settings: SganSettings, device: torch.device
    ) -> None:
        """D_msg[n] = copy(D_n); G_n likewise. (S4: starts equal to the published D_n.)"""
        self.version = publication.version
        unflatten(self.d, publication.arrays["D"])
        # "persist" does neither: the moments go on from copy to copy
        if settings.messenger_optimizer == "fresh":
            forget(self.optimizer)
        elif settings.messenger_optimizer == "clone":
            unflatten_optimizer(self.optimizer, publication.arrays["opt_d"])
        if self.g is not None and "G" in publication.arrays:
            unflatten(self.g, publication.arrays["G"])
            self.samples = None
        else:
            # what was left of a run that shared weights has served
            self.g = None
            self.samples = torch.from_numpy(whole(publication.arrays["samples"])).to(device)
            self.used = 0

    def fakes(self, draw: Callable[[], Tensor]) -> Tensor:
        """A batch of G_n; from its copy with a z from `draw`, or the next published batch."""
        if self.samples is None and self.g is not None:
            with torch.no_grad():
                out: Tensor = self.g(draw())
                return out
        assert self.samples is not None, f"{self.name} has published nothing yet"
        # in async a copy may live longer than it was published for: then its batches come again
        batch = self.samples[self.used % len(self.samples)]
        self.used += 1
        return batch

    def state(self) -> State:
        """For a checkpoint in the middle of a messenger's life."""
        p = f"opponent.{self.name}"
        return state_on_host(
            {
                f"{p}.version": self.version,
                # a messenger may be in the middle of its life: then the next batch is not the first
                f"{p}.used": self.used,
                **network_state(f"{p}.d", self.d),
                **optimizer_state(f"{p}.opt", self.optimizer),
                **(network_state(f"{p}.g", self.g) if self.g is not None else {}),
                **({f"{p}.samples": self.samples} if self.samples is not None else {}),
            }
        )

    def restore(self, state: State, pair: Trainer) -> None:
        """The inverse of `state`; also of a run that shared G_n otherwise, from which `pair`'s was
        forked: what it held serves until the next copy.
        """
        p = f"opponent.{self.name}"
        self.version = int(str(state[f"{p}.version"]))
        self.used = int(str(state[f"{p}.used"]))
        load_network(f"{p}.d", self.d, state)
        load_optimizer(f"{p}.opt", self.optimizer, state)
        if any(name.startswith(f"{p}.g.") for name in state):
            self.g = duplicate(pair.g) if self.g is None else self.g
            load_network(f"{p}.g", self.g, state)
        samples = state.get(f"{p}.samples")
        self.samples = None
        if isinstance(samples, Tensor):
            self.samples = in_batches(samples.to(pair.device), pair.batch_size)


def in_batches(samples: Tensor, size: int) -> Tensor:
    """(batches, N, *shape) as batches of this size: themselves, where that is N."""
    if samples.shape[1] == size:
        return samples
    flat = samples.flatten(0, 1)
    # too few for one batch come again in it
    flat = flat.repeat(-(-size // len(flat)), *[1] * (flat.dim() - 1)) if len(flat) < size else flat
    return flat[: len(flat) // size * size].reshape(-1, size, *samples.shape[2:])


class AtOnce:
    """All opponents that have met as one batched model; each keeps its own copies, optimizer and
    random streams.
    """

    def __init__(self, opponents: Sequence[Opponent]) -> None:
        self.opponents = list(opponents)
        self.d = Stack([o.d for o in opponents], [o.optimizer for o in opponents])
        generators = [o.g for o in opponents if o.g is not None]
        self.g = Stack(generators) if len(generators) == len(opponents) else None

    def are(self, opponents: Sequence[Opponent]) -> bool:
        """Is this the model of these?"""
        return len(opponents) == len(self.opponents) and all(
            map(operator.is_, opponents, self.opponents)
        )

    def fakes(self, draws: Sequence[Callable[[], Tensor]]) -> Tensor:
        """A batch of each G_n, (opponents, N, *shape)."""
        if self.g is None or any(o.samples is not None for o in self.opponents):
            return torch.stack(
                [o.fakes(draw) for o, draw in zip(self.opponents, draws, strict=True)]
            )
        with torch.no_grad():
            return self.g(torch.stack([draw() for draw in draws]))


class Opponents:
    """Those of one process, by name, in the order of the locals."""

    def __init__(
        self,
        pair: Trainer,
        settings: SganSettings,
        keep_generators: bool,
        prior_of: Callable[[str], Prior],
    ) -> None:
        self.pair = pair
        self.settings = settings
        self.prior_of = prior_of
        """Asked for each that comes."""
        self.keep_generators = keep_generators
        """Is G_n published as weights? Else as samples, and nobody needs a copy of it here."""
        self.by_name: dict[str, Opponent] = {}
        self.ahead: dict[str, dict[int, Publication]] = {}
        """lockstep: what was read and is not used yet."""
        self.batched = may_batch(pair, settings)
        self._at_once: AtOnce | None = None

    def have(self, names: Sequence[str]) -> None:
        """A messenger for each that came, none for those that went."""
        for name in names:
            if name not in self.by_name:
                d = duplicate(self.pair.d)
                g = duplicate(self.pair.g) if self.keep_generators else None
                optimizer = self.pair.optimizer(d, self.pair.config.lr_d)
                self.by_name[name] = Opponent(name, d, g, optimizer, self.prior_of(name))
        self.by_name = {n: self.by_name[n] for n in names}
        self.ahead = {n: held for n, held in self.ahead.items() if n in self.by_name}

    @property
    def known(self) -> list[Opponent]:
        """Those that hold a copy."""
        return [o for o in self.by_name.values() if o.version > 0]

    def at_once(self) -> AtOnce | None:
        """Those that hold a copy as one batched model, where that is faster."""
        known = self.known
        if not self.batched or len(known) < 2:
            return None
        # made anew where one has come or gone: a stack holds their tensors as slices
        if self._at_once is None or not self._at_once.are(known):
            self._at_once = AtOnce(known)
        return self._at_once

    def weights(self, shares: Mapping[str, float]) -> Tensor:
        """The shares as a vector, in the order of `known`."""
        return torch.tensor([shares.get(o.name, 0.0) for o in self.known], device=self.pair.device)

    # ------------------------------------------------------------------------------------------
    # what was published

    def keep(self, read: Mapping[str, Sequence[Publication]]) -> dict[str, list[int]]:
        """Beside what was read before and is not used yet; the versions of `read`."""
        for name, publications in read.items():
            unused = {v: p for v, p in self.ahead.get(name, {}).items() if v > self.pair.step}
            # replaced as a whole: a reader's thread may do this while an iteration looks into it
            self.ahead[name] = unused | {p.version: p for p in publications}
        return {name: [p.version for p in publications] for name, publications in read.items()}

    def due(self) -> dict[str, Publication]:
        """lockstep: of what was read, that of this iteration: iteration i uses version i + 1."""
        version = self.pair.step + 1
        return {n: held[version] for n, held in self.ahead.items() if version in held}

    def newer(self, board: Board, names: Sequence[str]) -> dict[str, Publication]:
        """async: the newest of each, where it is newer; of one that was revived it may be older."""
        newest = board.newest(names) if names else {}
        return {n: p for n, p in newest.items() if p.version > self.by_name[n].version}

    def refresh(self, fresh: Mapping[str, Publication]) -> None:
        """Line 14: D_msg = copy(D)."""
        for name, publication in fresh.items():
            self.by_name[name].refresh(publication, self.settings, self.pair.device)

    # ------------------------------------------------------------------------------------------
    # state

    def state(self) -> State:
        """Of those that hold a copy."""
        return {key: value for o in self.known for key, value in o.state().items()}

    def restore(self, state: State) -> None:
        """The inverse; one of which the state says nothing has not been met."""
        self._at_once = None  # their optimizers get tensors of their own
        for name, opponent in self.by_name.items():
            if f"opponent.{name}.version" in state:
                opponent.restore(state, self.pair)
            else:
                opponent.version = 0


def may_batch(pair: Trainer, settings: SganSettings) -> bool:
    """Can the messengers of this pair be one batched model, and is it faster?"""
    return (
        # a batch of several messengers' samples would be normalised as one
        not has_batch_norm(pair.g, pair.d)
        # goes from one messenger to the next, G0 changing in between
        and settings.variant != "early_global"
        and pair.config.optimizer == "adam"
        and not pair.config.feature_matching
        and usual_penalty(pair.loss)
        and not (strange(pair.g) or strange(pair.d))
        and pays(pair.d)
        and one_at_a_time(pair.loss) is None
    )

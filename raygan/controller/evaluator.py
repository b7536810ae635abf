"""Scores generators from their published weights, so that no player waits for a score.

    evaluate("pair-03", 400, vector) -> rows for metrics.jsonl, and a few samples to look at

One generator and the mixture of all pairs are always reported apart: the mixture's samples are an
equal share of each pair's (of parts of the data by their sizes),
gathered as the pairs reach the step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from raygan.controller.orders import Scored
from raygan.data.base import to_uint8
from raygan.gan.random_streams import Streams, sample_prior
from raygan.gan.weights import Vector, unflatten
from raygan.metrics.by_part import Ask, Question, answer, suite_of
from raygan.metrics.fidelity import Met
from raygan.metrics.groups import OVER_FEATURES, default_groups
from raygan.metrics.mixture import shares
from raygan.metrics.own import own_metrics
from raygan.metrics.suite import Suite
from raygan.networks.base import NetworkComponent
from raygan.strategies.base import Plan, Setup, generating, with_data
from raygan.strategies.partition import counts, own_parts, unlike
from raygan.strategies.roles import MIXTURE

SHOW_POINTS, SHOW_IMAGES = 1000, 64
STEPS_KEPT = 16
"""Steps whose mixture is not there yet; one that could not be scored, or whose member left, never
is.
"""
NO_PART = 1e-3
"""Of the whole's spread."""
WATCHED = 500
"""Samples that the watchdog looks at."""


class Sampler:
    """Draws from generators given as flat vectors; used by the evaluator, `sample` and `evaluate`
    alike.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.streams = Streams(setup.config.seed, "evaluation", setup.device)
        self.networks: dict[str, nn.Module] = {}

    def network(self, player: str) -> nn.Module:
        """The player's generator, in eval mode, to be filled from a vector; one a kind of pair."""
        own = self.setup.config.of(player)
        key = json.dumps(own.network, sort_keys=True)
        if key not in self.networks:
            component = cast(NetworkComponent, own.component("network"))
            made = component.generator(self.setup.data.shape, Streams(0, "sampler").at("init"))
            self.networks[key] = made.to(self.setup.device).eval()
        return self.networks[key]

    def draw(self, player: str, vector: Vector, count: int, step: int, batch: int = 500) -> Tensor:
        """`count` samples (count, *shape) from the player's generator in eval mode, on the CPU: the
        same of the same vector and step, also where its layers draw.
        """
        network, own = self.network(player), self.setup.config.of(player)
        z_dim = cast(NetworkComponent, own.component("network")).z_dim
        unflatten(network, vector)
        out, stream = [], self.streams.at(f"{player}/z", step, "cpu")
        with torch.no_grad(), self.streams.for_layers(step, f"{player}/layers"):
            for i in range(0, count, batch):
                z = sample_prior(own.pair.prior, (min(batch, count - i), z_dim), stream)
                out.append(network(z.to(self.setup.device)).cpu())
        return torch.cat(out)


class Evaluator:
    """Everything that is measured while a run goes on."""

    def __init__(self, setup: Setup, ask: Ask | None = None) -> None:
        """ask: has parts answer where they live, where nobody holds the whole; None: they are read
        here.
        """
        self.known = setup
        """With the parts of who has left and of who is to join."""
        self.setup = setup = with_parts_of(setup, with_data(setup.config))
        config = setup.config
        self.plan = Plan.of(config, setup.num_samples)
        self.count = config.evaluation.samples
        self.members = generating(config)
        self.sampler = Sampler(setup)
        self.own = own_metrics(config)
        self.ask = ask or asked_here(setup)
        self.quick = self._suite(quick_groups(setup))
        self._full: Suite | None = None
        self.waiting: dict[int, dict[str, Tensor]] = {}

    @property
    def full(self) -> Suite:
        """All default scores; for the last step."""
        if self._full is None:
            self._full = self._suite(full_groups(self.setup))
        return self._full

    def _suite(self, groups: Sequence[str]) -> Suite:
        features = self.setup.config.evaluation.extractor
        return suite_of(
            self.setup.data, self.ask, groups, n_fake=self.count, n_real=self.count, own=self.own,
            features=features,
        )  # fmt: skip

    def attend(self, pairs: Sequence[str]) -> None:
        """Who has a part from now on, where nobody holds the whole: who leaves takes its own along,
        who joins brings one, and scores are by those who are there, which is another protocol.
        """
        setup = with_parts_of(self.known, pairs)
        if setup.data.parts.keys() != self.setup.data.parts.keys():
            self.setup, self._full = setup, None
            self.quick = self._suite(quick_groups(setup))

    def evaluate(
        self, player: str, step: int, vector: Vector, members: Sequence[str] = ()
    ) -> Scored:
        """Score one generator; and the mixture, once every one of `members` (default: all) has been
        seen at this step.
        """
        members = members or self.members
        samples = self.sampler.draw(player, vector, self.count, step)
        self.failed: dict[str, str] = {}
        self.by_part: dict[str, dict[str, Any]] = {}
        rows = [self._row(player, step, samples)]
        show = {player: self._show(samples)}
        if self.setup.config.evaluation.mixture and player in members and len(members) > 1:
            gathered = self.waiting.setdefault(step, {})
            for old in sorted(self.waiting)[:-STEPS_KEPT]:
                del self.waiting[old]
            gathered[player] = samples
            if set(gathered) >= set(members):
                mixed = self._mix(gathered, step, members)
                rows.append(self._row(MIXTURE, step, mixed))
                # not before the row is there: a score that fails is tried once more, with the
                # others' samples
                self.waiting.pop(step, None)
                show[MIXTURE] = self._show(mixed)
        watched, real = samples[:WATCHED], self._meant_for(player)
        return Scored(
            rows,
            show,
            self._spread(samples, real),
            self.quick.occupied(watched),
            failed=self.failed,
            by_part=self.by_part,
            near=1.0 if real is None else self.quick.near(watched, real),
        )

    def _spread(self, samples: Tensor, real: Tensor | None) -> float:
        """Of samples over that of real ones. A part that nobody here knows may be narrow, but not
        `NO_PART` of the whole.
        """
        # held-out samples that are all alike, or one, have no spread to compare with
        seen = self.quick.real if real is None else real
        # of parts that nobody here holds: 1, as points are scaled, and pictures up to a half
        if not (of_real := deviation(seen) if len(seen) else 1.0):
            return 1.0
        spread = deviation(samples) / of_real
        return spread if real is not None or spread < NO_PART else 1.0

    def _meant_for(self, player: str) -> Tensor | None:
        """The held-out samples that a player has to come near: where pairs have unlike data, of its
        own part's classes, by their shares in it; None where nobody here knows them.
        """
        data, labels = self.setup.data, self.quick.labels
        if not data.whole:
            return None
        part = data.parts.get(player)
        if part is None or unlike(self.setup.config) is None:
            return self.quick.real
        if labels is None or not (known := sum(part.classes.values())):
            return None
        shares = {i: part.classes.get(name, 0) / known for i, name in enumerate(data.classes)}
        there = {i: np.flatnonzero(labels == i) for i, share in shares.items() if share}
        size = min(len(found) / shares[i] for i, found in there.items())
        mine = [found[: int(size * shares[i])] for i, found in there.items()]
        return self.quick.real[torch.from_numpy(np.concatenate(mine))] if size else None

    def _mix(self, gathered: dict[str, Tensor], step: int, members: Sequence[str]) -> Tensor:
        # members that trained on parts count by the sizes of these
        if set(members) <= set(self.setup.data.parts):
            each = shares(self.count, list(counts(self.setup.data, members).values()))
        else:
            each = [math.ceil(self.count / len(members))] * len(members)
        pool = torch.cat([gathered[n][:of] for n, of in zip(members, each, strict=True)])
        order = torch.randperm(len(pool), generator=self.sampler.streams.at("mixture", step, "cpu"))
        return pool[order[: self.count]]

    def _row(self, player: str, step: int, samples: Tensor) -> dict[str, Any]:
        suite = self.full if step == self.plan.steps else self.quick
        protocol = replace(suite.protocol, seed=self.setup.config.seed)
        scores = suite.score(samples[: suite.n_fake])
        self.failed |= suite.failed
        # parts times classes times generators: not at every score
        if suite.parts and step == self.plan.steps:
            self.by_part[player] = {"coverage": suite.parts, "classes": suite.classes}
        return {"kind": "score", "player": player, "step": step, "protocol": protocol.id, **scores}

    def _show(self, samples: Tensor) -> npt.NDArray[np.generic]:
        if self.setup.data.text:
            return samples[:SHOW_IMAGES].argmax(1).to(torch.uint8).numpy()
        return (
            to_uint8(samples[:SHOW_IMAGES])
            if self.setup.data.is_images
            else samples[:SHOW_POINTS].numpy()
        )

    def protocols(self) -> dict[str, Any]:
        """What the protocol ids in the rows mean, with the floor and the ceiling of each."""
        out: dict[str, Any] = {}
        # of one protocol the full suite has the scores of the quick one too
        for suite in (self.full, self.quick):
            if suite.protocol.id in out:
                continue
            out[suite.protocol.id] = {
                **asdict(suite.protocol),
                "floor": suite.floor(),
                "ceiling": suite.ceiling(),
            }
        if self.full.classifier:
            for entry in out.values():
                entry["classifier_accuracy"] = self.full.classifier[2]
        return out


def full_groups(setup: Setup) -> list[str]:
    """What the last step is scored by: the data's own groups, and FID where features are asked for
    that none of these looks at.
    """
    groups = default_groups(setup.data)
    asked = setup.config.evaluation.extractor
    looked = any(group in OVER_FEATURES for group in groups)
    return groups if looked or not asked else [*groups, "fid"]


def quick_groups(setup: Setup) -> list[str]:
    """What each evaluation is scored by: the first of them, and of the features that are asked for
    the first that looks at them.
    """
    first, *others = full_groups(setup)
    if not setup.config.evaluation.extractor or first in OVER_FEATURES:
        return [first]
    return [first, next(group for group in others if group in OVER_FEATURES)]


def with_parts_of(setup: Setup, pairs: Sequence[str]) -> Setup:
    """The same with the parts of these pairs only; as it is where there is a whole."""
    data = setup.data
    if data.whole:
        return setup
    there = {pair: part for pair, part in data.parts.items() if pair in pairs}
    return replace(setup, data=replace(data, parts=there))


def asked_here(setup: Setup) -> Ask:
    """Reads parts in this process, where it does not hold them already."""
    parts = dict(setup.own)

    def ask(question: Question) -> dict[str, Met]:
        missing = [pair for pair in question.held_out if pair not in parts]
        parts.update(own_parts(setup.config, missing, setup.data.outline))
        return {pair: answer(pair, parts[pair], question) for pair in question.held_out}

    return ask


def deviation(samples: Tensor) -> float:
    """Root mean square distance of the samples (N, *shape) from their mean, a value."""
    return float((samples - samples.mean(0)).square().mean().sqrt())

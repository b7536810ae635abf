"""One generator from data that may not leave their workers (UA-GAN: Qu et al., ICLR 2021; MD-GAN:
Hardy, Le Merrer, Sericola, 2019).

    centre  --batches of G0's samples-->    site n: I_D updates of D_n on its shard against them
            <--D_n's logits, and their gradients by the samples (B x (1 + numbers of a sample))--
    G0 minimises  g_loss(log sum_n pi_n exp l_n(x))    combining.py;  pi_n: the shard's share of all
                                                       samples

No real sample, and no network, leaves a site (with `swap_every` its D, to another site). SGAN's
messengers are copies of locals' discriminators; here a site's D is the messenger, beside its data
for ever: copied anew it would forget what it knows of G0.

lockstep: a site's step i uses G0's batches i, the centre's step i uses answers i + 1 of all sites,
bit for bit the same everywhere. A site that dies takes all back to the last checkpoint, or
(`failures.death without`) is left out from there on, the others' shares counting for more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from raygan.config import Config
from raygan.errors import ConfigError
from raygan.gan.pair import Sharing
from raygan.gan.types import Player
from raygan.networks.base import draws, has_batch_norm
from raygan.own.names import label
from raygan.strategies.base import Plan, Progress, Setup, same_networks
from raygan.strategies.federated import costs
from raygan.strategies.federated.centre import Centre
from raygan.strategies.federated.settings import FederatedSettings
from raygan.strategies.federated.site import Site
from raygan.strategies.gap.couples import matching, takes_of
from raygan.strategies.meetings import no_meeting
from raygan.strategies.orders import Order, Swap, Train
from raygan.strategies.partition import counts
from raygan.strategies.roles import GLOBAL, Role


class Federated(FederatedSettings):
    """A centre with G0 and a site a pair."""

    # a site is half a pair: it has no generator
    packs: ClassVar[bool] = False
    publishes: ClassVar[bool] = False
    unread: ClassVar[Mapping[str, str]] = {
        "feature_matching": "G0 has no discriminator whose features it could match"
    }

    def roles(self, config: Config) -> dict[str, Role]:
        """Sites have no generator, the centre no D but one that nobody trains."""
        sites = dict.fromkeys(self.locals(config), Role(scored=False))
        return {**sites, GLOBAL: Role(pair=False, main=True, verdicts=False)}

    def players(self, config: Config) -> list[str]:
        """The sites and the centre."""
        return [*self.locals(config), GLOBAL]

    def needs_data(self, player: str) -> bool:
        """A site."""
        return player != GLOBAL

    def audience(self, config: Config) -> list[str]:
        """The centre hears the members."""
        return [GLOBAL]

    def check_setup(self, setup: Setup) -> None:
        """A logit is one sample's, and one function's; swapped discriminators are alike."""
        for site in self.locals(setup.config):
            d = setup.parts(site).discriminator
            where = f"network {label(setup.config.of(site).network['name'])}: D of {site}"
            if has_batch_norm(d):
                raise ConfigError(
                    f"{where} has batch norm, and strategy {self.name} needs each sample's own"
                    " logit. Use --network.norm_d none or layer."
                )
            if self.trust and draws(d, setup.data.shape):
                raise ConfigError(
                    f"{where} draws numbers for each sample (dropout): its logits tell nothing of"
                    f" its gradients, and strategy.{self.name}.trust would leave it out. Set trust"
                    " to 0, or take those layers out."
                )
        if self.swaps:
            sites, why = self.locals(setup.config), f"strategy.{self.name} swaps D"
            same_networks(setup, sites, ["D"], why, optimizer=True)

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """A sum over unlike data, and a period that is longer than the run."""
        told = super().notes(plan)
        if not self.swaps:
            return told
        what, lower = "no discriminators will be swapped", "strategy.swap_every"
        return [*told, *no_meeting(self.swap_every, plan.steps, what, lower)]

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Player:
        """A site, or the centre."""
        parts = setup.parts(name)
        if name != GLOBAL:
            return Site(name, parts, self, setup.config.round_steps)
        # of parts to come as well: a site that joins has its share from its first word on
        held = counts(setup.data, setup.data.parts)
        return Centre(parts, self, self.locals(setup.config), held)

    def bytes_a_step(self, setup: Setup) -> float:
        """Of all sites, and of the swaps among them."""
        return costs.bytes_a_step(self, setup)

    def traffic(self, setup: Setup) -> list[str]:
        """What goes to a site and what leaves it, at each step."""
        return costs.traffic(self, setup)

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        """Sites and centre in turn, a step each; where discriminators are due, a swap between."""
        done, at = progress.done, progress.done[GLOBAL]
        sites = sorted(p for p in done if p != GLOBAL)
        due = self.meets(at, plan) and any(progress.swapped.get(p, 0) < at for p in sites)
        # one that is alone has nobody to meet
        if due and len(sites) > 1:
            return meeting(sites, ready, done, plan.seed)
        told = min(done[p] for p in sites)
        ends = {p: min(at + 1, plan.steps) for p in sites} | {GLOBAL: min(told, at + 1)}
        return [Train(p, ends[p] - done[p], at) for p in ready if ends[p] > done[p]]

    def meets(self, step: int, plan: Plan) -> bool:
        """Do sites swap at this step? Not at the last one, after which nobody trains."""
        return self.swaps and 0 < step < plan.steps and step % self.swap_every == 0

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """All at the step of the one that is furthest."""
        return dict.fromkeys(done, max(done.values()))


def meeting(
    sites: Sequence[str], ready: Sequence[str], done: Mapping[str, int], seed: int
) -> list[Order]:
    """A swap of discriminators at the centre's step, once all stand there."""
    at = done[GLOBAL]
    # until then only those behind it go on
    if len(ready) < len(done) or set(done.values()) != {at}:
        return [Train(p, at - done[p], at) for p in ready if p != GLOBAL and done[p] < at]
    takes = takes_of(matching(sites, seed, at), sites)
    return [Swap(at, tuple(sorted(takes.items())))]

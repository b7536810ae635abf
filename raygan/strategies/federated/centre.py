"""The centre: G0, which learns from what the sites say of its samples; it holds no real one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from raygan.gan import steps as S
from raygan.gan.meter import Meter
from raygan.gan.offered import Offered
from raygan.gan.optimizers import zero_grad
from raygan.gan.trainer import Parts, Trainer
from raygan.gan.types import Board, Report, State
from raygan.gan.weights import Publication, finite, halve, whole
from raygan.strategies.federated.combining import Word, agreement, by_sample, outliers, share
from raygan.strategies.federated.site import BATCHES
from raygan.strategies.roles import GLOBAL

if TYPE_CHECKING:
    from raygan.strategies.federated.settings import FederatedSettings

LOOK_EVERY, PATIENCE = 5, 10
"""Steps between two looks at the sites' agreement; looks after which its mean tells something."""


class Centre(Trainer):
    """G0; its D is never trained, and read by nobody."""

    def __init__(
        self, parts: Parts, settings: FederatedSettings, sites: Sequence[str],
        counts: Mapping[str, float]
    ) -> None:  # fmt: skip
        super().__init__(GLOBAL, parts)
        self.settings = settings
        self.sites = list(sites)
        self.wanted = list(sites)
        self.counts = dict(counts)
        """Training samples of each site that is or may become a member."""
        self.samples: Tensor | None = None
        """G0's batch, with its graph, that the sites judge."""
        self.judged: Tensor | None = None
        """The same as it reaches them, with noise where D's inputs have some."""
        self.offered = Offered(self.g)
        self.agreed: dict[str, tuple[int, float]] = {}
        """site -> (looks, mean agreement of the last ones)."""

    def set_members(self, sites: Sequence[str]) -> None:
        """Whose words count from the next step on; may be called from another thread."""
        self.wanted = list(sites)

    # ---------------------------------------------------------------------------------------------
    # G0's batches

    def open(self, board: Board) -> None:
        """The batches of the next step, as they were when the state was saved."""
        self.offer_batches(board)

    def offer_batches(self, board: Board) -> None:
        """Batches for the sites' updates of D, then the one they judge: (I_D + 1, B, *shape)."""
        noise, draw = self.streams.at("noise", self.step), self.offered.draw()
        with self.streams.for_layers(self.step, "layers/batches"):
            with torch.no_grad():
                # the sites' D learn on these; no gradient comes back through them
                batches = [draw(self.noise(noise)) for _ in range(self.loss.d_steps)]
            self.samples = draw(self.noise(noise))
        # here, once: odds add up at one and the same point, and a site's word is held against it
        judged = self.blur(self.samples.detach(), self.streams.at("blur", self.step))
        out = torch.stack([*batches, judged]).cpu().numpy()
        out.flags.writeable = False
        words = halve(finite(self.name, self.step, out), self.settings.publish)
        self.judged = torch.from_numpy(whole(words[-1])).to(self.device)
        board.publish(Publication(BATCHES, self.step, {"samples": words}))

    # ---------------------------------------------------------------------------------------------
    # training

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` steps; the sites' answers are there."""
        meter = Meter()
        for _ in range(steps):
            # once a step: words and shares are of the same members
            self.sites = list(self.wanted)
            found = board.between(self.sites, self.step, self.step + 1)
            words = {n: self.word(p.arrays) for n, (p,) in found.items()}
            meter.add(**self.one_step(words))
            meter.gradients(grad_g=self.g)
            self.offer_batches(board)
        return self.report(meter)

    def word(self, arrays: Mapping[str, object]) -> Word:
        """As it came."""
        logits, gradient = (
            torch.from_numpy(whole(arrays[k])).to(self.device)  # type: ignore[arg-type]
            for k in ("logits", "gradient")
        )
        return Word(logits, gradient)

    def one_step(self, words: Mapping[str, Word]) -> dict[str, float]:
        """One step of G0 on the words that can be trusted, each with its shard's share."""
        assert self.samples is not None, "open() offered the first batches"
        self.set_rates()
        left_out = self.left_out(words)
        heard = {n: w for n, w in words.items() if n not in left_out}
        loss_g = math.nan
        if heard:
            shares = share({n: self.count(n) for n in heard})
            loss_g, gradient = by_sample(self.loss, self.settings.combine, heard, shares)
            if math.isfinite(loss_g):
                zero_grad(self.opt_g)
                self.samples.backward(gradient)
                S.apply(self.opt_g, self.g, self.config.clip_grad_g)
        self.update_average()
        self.step += 1
        self.bad_steps.note(self.step, loss_g=loss_g)
        return {"loss_g": loss_g, **{f"left_out/{n}": 1.0 for n in left_out}}

    def count(self, site: str) -> float:
        """Its samples; one of which nothing is known counts as the others do on the mean."""
        known = self.counts.values()
        return self.counts.get(site, sum(known) / len(known) if known else 1.0)

    def left_out(self, words: Mapping[str, Word]) -> dict[str, str]:
        """Whose word does not count in this step, and why."""
        # two looks: what cannot be right at this step, and what has not fitted for long
        found = outliers(words)
        assert self.judged is not None
        for name in [n for n in words if n not in found] if self.settings.trust else ():
            seen, mean = self.agreed.get(name, (0, 1.0))
            # now and then: distances of all pairs of samples in the batch
            if self.step % LOOK_EVERY == 0:
                now = agreement(self.judged, words[name])
                seen, mean = seen + 1, mean + (now - mean) / min(seen + 1, PATIENCE)
                self.agreed[name] = seen, mean
            if seen >= PATIENCE and mean < self.settings.trust:
                found[name] = f"gradients that are not those of its logits ({mean:.2f})"
        return found

    # ---------------------------------------------------------------------------------------------
    # state

    def held(self) -> State:
        """G0's, what its batches are drawn from, and what it thinks of the sites."""
        out = {**super().held(), **self.offered.held()}
        for name, (looks, mean) in self.agreed.items():
            out |= {f"agreed.{name}.looks": looks, f"agreed.{name}.mean": mean}
        return out

    def restore(self, state: State) -> None:
        """The inverse."""
        super().restore(state)
        self.offered.restore(state)
        self.agreed = {
            n: (int(str(state[f"agreed.{n}.looks"])), float(str(state[f"agreed.{n}.mean"])))
            for n in self.sites
            if f"agreed.{n}.looks" in state
        }

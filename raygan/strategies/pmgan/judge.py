"""PMGAN's judge, which holds D and C. When it trains is `strategy.py`'s to say."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raygan.config import Tempo
from raygan.gan import steps as S
from raygan.gan.balance import Values, beta, dual_ascent
from raygan.gan.pair import Meter, Parts, Trainer, finite, judged
from raygan.gan.transfer import state_on_host
from raygan.gan.types import At, Board, Report, State
from raygan.gan.weights import Publication, flatten, narrow, signature_hash, whole
from raygan.networks.base import has_batch_norm
from raygan.strategies.pmgan.slots import (
    LOOK_S,
    check_slot,
    generator_loss,
    index_of,
    overlap,
    share_of,
    slot_of,
)
from raygan.strategies.roles import JUDGE

if TYPE_CHECKING:
    from raygan.strategies.pmgan.settings import PmganSettings

PATIENCE_S = 2.0
"""Seconds without a fresh slot after which the judge reports back (async)."""


class Judge(Trainer):
    """D, fed by the mixture of all slots, and the K-way classifier C; computes beta for everybody."""

    def __init__(
        self,
        parts: Parts,
        classifier: nn.Module,
        classes: int,
        settings: PmganSettings,
        generators: Sequence[str],
        tempo: Tempo,
    ) -> None:
        super().__init__(JUDGE, parts)
        self.settings = settings
        self.tempo = tempo
        self.c = classifier.to(self.device)
        self.opt_c = self.opt_d if settings.joint else self.optimizer(self.c, self.config.lr_d)
        self.own_statistics = settings.statistics == "own" and has_batch_norm(self.d, self.c)
        self.classes = classes
        self.generators = list(generators)
        self.changes: deque[list[str]] = deque()
        """Members to come, told by another thread while this one trains."""
        self.slots: dict[str, Publication] = {}
        """async: the newest of each member's."""
        self.used: dict[str, int] = dict.fromkeys(generators, -1)
        self.learned = np.full(self.classes, math.exp(settings.diversity))
        """Multipliers of balance = "learned", from the paper's beta on."""
        self.beta = np.zeros(self.classes)
        self.updates = 0

    @property
    def beats(self) -> int:
        """Its step is the slowest generator's: its own work is counted by its updates."""
        return self.updates

    # -------------------------------------------------------------------------------------------------
    # training

    def open(self, board: Board) -> None:
        """D and C as they are, so that in async nobody has to wait for the first answer."""
        if self.tempo == "async" and self.settings.feedback == "weights":
            self.publish(board, self.updates, {})

    def train(self, steps: int, board: Board) -> Report:
        """lockstep: `steps` updates. async: updates until every generator has come `steps` further,
        or nobody comes.
        """
        meter = Meter()
        self.meet()
        if self.tempo == "lockstep":
            for _ in range(steps):
                shelves = [slot_of(g) for g in self.generators]
                found = board.between(shelves, after=self.step - 1, upto=self.step)
                slots = {g: found[slot_of(g)][0] for g in self.generators}
                with self.streams.for_layers(self.updates):
                    meter.add(**self.update(slots, board, last=True, meter=meter))
                self.step += 1
            return {**meter.means(), **self.facts()}
        begin, target, heard, wait_s = self.step, self.step + steps, time.perf_counter(), 0.0
        waited = 0.0
        while self.step < target and time.perf_counter() - heard < PATIENCE_S:
            members, looked = self.meet(), time.perf_counter()
            fresh, slots, wait_s = self.poll(board, members, wait_s), self.slots, LOOK_S
            waited += time.perf_counter() - looked
            ended = {
                g for g, slot in slots.items() if slot.version >= self.parts.total_steps
            }  # they write no more
            enough = fresh and (
                self.settings.judge_update == "any_fresh" or fresh | ended >= set(members)
            )
            if enough and len(slots) == len(members):
                ordered = {g: slots[g] for g in members}  # not as they came: sums would round so
                with self.streams.for_layers(self.updates):
                    meter.add(**self.update(ordered, board, last=False, meter=meter))
                heard = time.perf_counter()
            if len(slots) == len(members):
                self.step = max(self.step, min(s.version for s in slots.values()))
        self.step = min(self.step, target)
        return {
            **meter.means(),
            **self.facts(),
            "steps_done": float(self.step - begin),
            "wait_s": waited,
        }

    def poll(self, board: Board, members: Sequence[str], wait_s: float) -> set[str]:
        """Look into the members' slots, wait that long for something new; returns the generators
        whose slot was not used yet.
        """
        slots, shelves = self.slots, {slot_of(g): g for g in members}
        have = {shelf: slots[g].version if g in slots else -1 for shelf, g in shelves.items()}
        for shelf, slot in board.peek(list(shelves), have, wait_s).items():
            if slot.version > have[shelf]:
                check_slot(slot)
                slots[shelves[shelf]] = slot
        return {g for g in members if g in slots and slots[g].version > self.used.get(g, -1)}

    def update(
        self, slots: Mapping[str, Publication], board: Board, last: bool, meter: Meter
    ) -> dict[str, float]:
        """One step of D on the mixture, one of C, then beta and the answer to everybody."""
        self.set_rates()
        self.opt_c.param_groups[0]["lr"] = self.config.lr_d * self.decay()
        at = self.updates
        extra = self.streams.at("penalty", at)
        data = self.streams.at("data", at, "cpu")
        who = list(slots)
        share = share_of(self.batch_size, len(who))
        batches = {
            g: torch.from_numpy(whole(slots[g].arrays["samples"][:share])).to(self.device)
            for g in who
        }
        fake = torch.cat([batches[g] for g in who])
        labels = torch.tensor(
            [index_of(g) for g in who for _ in range(len(batches[g]))], device=self.device
        )
        active = torch.zeros(self.classes, dtype=torch.bool, device=self.device)
        active[[index_of(g) for g in who]] = True
        d, c = (
            self.as_generators_see(n, [len(b) for b in batches.values()]) for n in (self.d, self.c)
        )
        loss_d = math.nan
        self.set_betas(self.opt_c)
        for i in range(self.loss.d_steps):
            real = self.blur(self.data.batch(self.batch_size, data, self.device), extra)
            blurred = self.blur(fake, extra)
            this = At(at * self.loss.d_steps + i, self.scheduled("gamma", 1.0))
            loss_d = S.d_step(
                d, self.opt_d, self.loss, real, blurred, extra, self.config.clip_grad_d, at=this
            )
        S.zero_grad(self.opt_c)
        crossing = overlap(c(fake), labels, active)
        loss_c = crossing.item()
        if math.isfinite(loss_c):
            crossing.backward()
            S.apply(self.opt_c, self.c, self.config.clip_grad_d)
        self.bad_steps.note(at + 1, loss_d=loss_d, loss_c=loss_c)
        j_d, j_c = self.values(d, c, real, batches, active)
        self.weigh(who, j_d, j_c)
        if last:
            meter.look(*judged(d, real, fake))
            meter.gradients(grad_c=self.c, grad_d=self.d)
        self.updates += 1
        for g in who:
            self.used[g] = slots[g].version
        self.publish(board, self.updates, slots)
        lag = [slots[g].version for g in who]
        return {
            "loss_d": loss_d, "loss_c": loss_c, "slot_spread": float(max(lag) - min(lag)),
            **{f"age/{g}": float(max(lag) - v) for g, v in zip(who, lag, strict=True)},
            **{f"beta/{g}": float(self.beta[index_of(g)]) for g in who},
            **{f"j_d/{g}": float(v) for g, v in zip(who, j_d, strict=True)},
            **{f"j_c/{g}": float(v) for g, v in zip(who, j_c, strict=True)},
        }  # fmt: skip

    def as_generators_see(self, network: nn.Module, sizes: list[int]) -> nn.Module:
        """D or C, judging batches of these sizes in one tensor as each generator will use it: on
        its own samples alone.
        """
        return OwnStatistics(network, sizes) if self.own_statistics else network

    def values(
        self,
        d: nn.Module,
        c: nn.Module,
        real: Tensor,
        batches: Mapping[str, Tensor],
        active: Tensor,
    ) -> tuple[Values, Values]:
        """J_k^D and J_k^C of each generator, (K,) each; no buffer moves."""
        sizes = [len(b) for b in batches.values()]
        fake = torch.cat(list(batches.values()))
        with torch.no_grad():
            on_real = -F.softplus(-S.unmoved(d, real)).mean()
            on_fake = -F.softplus(S.unmoved(d, fake))
            log_p = S.unmoved(c, fake).masked_fill(~active, -math.inf).log_softmax(1)
        means = [v.mean() for v in on_fake.split(sizes)]
        own = [v[:, index_of(g)].mean() for g, v in zip(batches, log_p.split(sizes), strict=True)]
        of_real, *found = torch.stack([on_real, *means, *own]).tolist()  # one question, one wait
        return np.array([of_real + v for v in found[: len(means)]]), np.array(found[len(means) :])

    def weigh(self, who: Sequence[str], j_d: Values, j_c: Values) -> None:
        """beta of everybody, from one snapshot."""
        s = self.settings
        index = [index_of(g) for g in who]
        if not (np.isfinite(j_d).all() and np.isfinite(j_c).all()):
            return  # the last beta stays; the step was counted as bad
        if s.balance == "learned":
            self.learned[index] = dual_ascent(
                self.learned[index], j_c, s.balance_target, s.balance_lr
            )
        own = self.learned[index]
        self.beta[:] = 0
        self.beta[index] = beta(
            j_d, j_c, s.balance, s.diversity, s.decay, self.updates, s.balance_scale, own
        )

    # --------------------------------------------------------------------------------------------------
    # answers

    def set_members(self, generators: Sequence[str]) -> None:
        """Whose slots count from the next look into the slots on; may be called from another
        thread.
        """
        self.changes.append(list(generators))

    def meet(self) -> list[str]:
        """The members as they are now. One that has left and come back in between counts as new:
        its steps may have gone back.
        """
        while self.changes:
            self.generators = self.changes.popleft()
            self.used = {g: self.used.get(g, -1) for g in self.generators}
            self.slots = {g: slot for g, slot in self.slots.items() if g in self.used}
        return self.generators

    def publish(self, board: Board, version: int, slots: Mapping[str, Publication]) -> None:
        """D, C and beta to all; or to each generator the gradient of its loss by its samples."""
        seen = np.full(self.classes, -1.0, np.float32)
        active = np.zeros(self.classes, np.float32)
        for g in self.generators:
            seen[index_of(g)] = self.used.get(g, -1)
            active[index_of(g)] = 1
        common = {"beta": self.beta.astype(np.float32), "seen": seen, "active": active}
        if self.settings.feedback == "weights":
            d, c = (
                self.discriminator_vector(),
                finite(self.name, self.step, flatten(self.c), self.c),
            )
            of = self.settings.publish
            arrays = {"D": narrow(self.d, d, of), "C": narrow(self.c, c, of), **common}
            board.publish(Publication(JUDGE, version, arrays))
            return
        on = torch.from_numpy(active > 0).to(self.device)
        for g, slot in slots.items():
            x = torch.from_numpy(whole(slot.arrays["samples"])).to(self.device).requires_grad_(True)
            weight = float(common["beta"][index_of(g)])
            with S.frozen(self.d), S.frozen(self.c):
                total, adversarial, crossing = generator_loss(
                    self.loss, self.d, self.c, x, index_of(g), weight, on
                )
            (gradient,) = torch.autograd.grad(total, x)
            fine = math.isfinite(total.item())
            arrays = {
                "gradient": gradient.cpu().numpy(),
                "losses": np.array([adversarial if fine else math.nan, crossing], np.float32),
                **common,
            }
            board.publish(Publication(f"{JUDGE}/{g}", version, arrays))

    def facts(self) -> Report:
        """Counters."""
        return {"bad_steps": float(self.bad_steps.total), "updates": float(self.updates)}

    # --------------------------------------------------------------------------------------------------
    # state

    def state(self) -> State:
        """D, C, their optimizers, beta; what the slots hold is the generators' to write again."""
        out = super().state()
        keep = {k: v for k, v in out.items() if not k.startswith(("g.", "opt_g", "ema."))}
        return {
            **keep,
            "signature_c": signature_hash(self.c),
            "updates": self.updates,
            "used": ",".join(f"{g}={v}" for g, v in self.used.items()),
            "learned": torch.from_numpy(self.learned.copy()),
            "beta": torch.from_numpy(self.beta.copy()),
            **state_on_host(
                {**S.network_state("c", self.c), **S.optimizer_state("opt_c", self.opt_c)}
            ),
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        mine = {**S.network_state("g", self.g), **S.optimizer_state("opt_g", self.opt_g)}
        if self.average is not self.g:
            mine |= S.network_state("ema", self.average)
        super().restore({**mine, **state})
        S.load_network("c", self.c, state)
        S.load_optimizer("opt_c", self.opt_c, state)
        self.updates = int(str(state["updates"]))
        if self.tempo == "lockstep":  # in async a part may be older than what we had used of it
            pairs = [entry.split("=") for entry in str(state["used"]).split(",") if entry]
            self.used |= {g: int(v) for g, v in pairs if g in self.used}
        for key, own in (("learned", self.learned), ("beta", self.beta)):
            value = state[key]
            assert isinstance(value, Tensor)
            own[:] = value.numpy()


class OwnStatistics(nn.Module):
    """A network with batch norm on several generators' samples in one tensor: each one's are
    normalised by themselves, and real samples in parts of the same sizes. Otherwise D learns on the
    mixture's statistics what a generator, which has only its own samples, then asks it under
    others.
    """

    def __init__(self, network: nn.Module, sizes: list[int]) -> None:
        super().__init__()
        self.network = network
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) to (N, ...)."""
        parts = x.split(self.sizes if len(x) == sum(self.sizes) else self.sizes[0])
        return torch.cat([self.network(part) for part in parts])


class RealOrNot(nn.Module):
    """D of a (K+1)-way network, the last class being "real": logit p / (1 - p) of it, (N,)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """l_real - log sum_k exp l_k; d_loss and CE(C) of this pair add up to the cross-entropy
        over K+1 classes.
        """
        logits: Tensor = self.body(x)
        return logits[:, -1] - logits[:, :-1].logsumexp(1)


class WhichOne(nn.Module):
    """C of a (K+1)-way network: the generators' logits, (N, K)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """All but the last."""
        logits: Tensor = self.body(x)
        return logits[:, :-1]

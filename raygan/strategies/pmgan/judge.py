"""PMGAN's judge, which holds D and C. When it trains is `strategy.py`'s to say."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config import Tempo
from raygan.gan import steps as S
from raygan.gan.host_copies import state_on_host
from raygan.gan.later import Value, bad_or_last
from raygan.gan.meter import Meter, judged
from raygan.gan.optimizers import zero_grad
from raygan.gan.random_streams import Streams
from raygan.gan.states import load_network, load_optimizer, network_state, optimizer_state
from raygan.gan.trainer import Parts, Trainer
from raygan.gan.types import At, Board, Loss, Report, State
from raygan.gan.weights import Publication, finite, flatten, narrow, signature_hash, whole
from raygan.losses.base import LossComponent, one_with_one
from raygan.networks.base import has_batch_norm
from raygan.strategies.pmgan.betas import Betas
from raygan.strategies.pmgan.inbox import Inbox
from raygan.strategies.pmgan.mixture import Mixture
from raygan.strategies.pmgan.slots import LOOK_S, generator_loss, noise_of, overlap
from raygan.strategies.roles import JUDGE, number_of

if TYPE_CHECKING:
    from raygan.strategies.pmgan.settings import PmganSettings

PATIENCE_S = 2.0
"""Seconds without a fresh slot after which the judge reports back (async)."""


class Judge(Trainer):
    """D, fed by the mixture of all slots, and the K-way classifier C; computes everybody's beta."""

    def __init__(
        self,
        parts: Parts,
        classifier: nn.Module,
        classes: int,
        settings: PmganSettings,
        generators: Sequence[str],
        tempo: Tempo,
        loss_of: Callable[[str], Loss],
    ) -> None:
        super().__init__(JUDGE, parts)
        self.loss_of = loss_of
        """Each generator's own, by name; D is trained with the judge's."""
        self.settings = settings
        self.tempo = tempo
        self.c = classifier.to(self.device)
        # (K+1)-way: D and C are one network, and its optimizer steps for either loss
        self.opt_c = self.opt_d if settings.joint else self.optimizer(self.c, self.config.lr_d)
        self.even = isinstance(self.loss, LossComponent) and one_with_one(self.loss)
        self.own_statistics = settings.statistics == "own" and has_batch_norm(self.d, self.c)
        self.classes = classes
        self.inbox = Inbox(generators)
        self.betas = Betas(settings, classes)
        self.updates = 0

    @property
    def beats(self) -> int:
        """Its step is the slowest generator's: its own work is counted by its updates."""
        return self.updates

    # ----------------------------------------------------------------------------------------------
    # training

    def open(self, board: Board) -> None:
        """D and C as they are, so that in async nobody has to wait for the first answer."""
        if self.tempo == "async" and self.settings.feedback == "weights":
            self.publish(board, self.updates, {})

    def train(self, steps: int, board: Board) -> Report:
        """lockstep: `steps` updates. async: updates until every generator has come `steps` further,
        or nobody comes.
        """
        self.inbox.meet()
        run = self._in_turn if self.tempo == "lockstep" else self._by_news
        report = run(steps, board)
        return {**report, "updates": float(self.updates)}

    def _in_turn(self, steps: int, board: Board) -> Report:
        meter = Meter()
        for _ in range(steps):
            slots = self.inbox.exactly(board, self.step)
            with self.streams.for_layers(self.updates):
                meter.add(**self.update(slots, board, last=True, meter=meter))
            self.step += 1
        return self.report(meter)

    def _by_news(self, steps: int, board: Board) -> Report:
        meter, inbox, slots = Meter(), self.inbox, self.inbox.slots
        begin, target = self.step, self.step + steps
        heard, wait_s, waited = time.perf_counter(), 0.0, 0.0
        while self.step < target and time.perf_counter() - heard < PATIENCE_S:
            members, looked = inbox.meet(), time.perf_counter()
            # the first look does not wait: what came while nobody listened is there already
            fresh, slots, wait_s = inbox.poll(board, members, wait_s), inbox.slots, LOOK_S
            waited += time.perf_counter() - looked
            # those who have come to their end write no more, and nobody waits for them
            ended = {g for g, slot in slots.items() if slot.version >= self.parts.total_steps}
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
        done = {"steps_done": float(self.step - begin), "wait_s": waited}
        return {**self.report(meter), **done}

    def update(
        self, slots: Mapping[str, Publication], board: Board, last: bool, meter: Meter
    ) -> dict[str, Value]:
        """One step of D on the mixture, one of C, then beta and the answer to everybody."""
        self.set_rates()
        self.opt_c.param_groups[0]["lr"] = self.config.lr_d * self.scheduled.rate(self.step)
        # its streams are counted by its updates: its step may stand still, or leap (async)
        at = self.updates
        extra = self.streams.at("penalty", at)
        data = self.streams.at("data", at, "cpu")
        mixture = Mixture.of(slots, self.batch_size, self.classes, self.device)
        d, c = self.d, self.c
        if self.own_statistics:
            d, c = mixture.by_generator(d), mixture.by_generator(c)
        # K equal shares may be a few more samples than a batch
        count = len(mixture.fake) if self.even else self.batch_size
        losses_d = []
        self.scheduled.set_betas(self.opt_c, self.step)
        for i in range(self.loss.d_steps):
            real = self.blur(self.data.batch(count, data, self.device), extra)
            fake = self.blur(mixture.fake, extra)
            this = At(at * self.loss.d_steps + i, self.scheduled.gamma(self.step))
            clip = self.config.clip_grad_d
            losses_d += [S.d_step(d, self.opt_d, self.loss, real, fake, extra, clip=clip, at=this)]
        loss_d = bad_or_last(losses_d)
        zero_grad(self.opt_c)
        # C on what the slots hold, without noise: generators ask it about their own samples as they
        # are
        crossing = overlap(c(mixture.fake), mixture.labels, mixture.active)
        loss_c = S.update(self.opt_c, self.c, crossing, self.config.clip_grad_d)
        self.bad_steps.note(at + 1, loss_d=loss_d, loss_c=loss_c)
        j_d, j_c = mixture.values(d, c, real, fake)
        self.betas.weigh(mixture.indices, j_d, j_c, self.updates)
        if last:
            meter.look(self.loss, *judged(d, real, fake))
            losses = {"grad_c": loss_c, "grad_d": losses_d[-1]}
            meter.gradients(losses, grad_c=self.c, grad_d=self.d)
        self.updates += 1
        versions = {g: slot.version for g, slot in slots.items()}
        self.inbox.used |= versions
        self.publish(board, self.updates, slots)
        newest, oldest = max(versions.values()), min(versions.values())
        return {
            "loss_d": loss_d, "loss_c": loss_c, "slot_spread": float(newest - oldest),
            **{f"age/{g}": float(newest - v) for g, v in versions.items()},
            **{f"beta/{g}": float(self.betas.now[number_of(g)]) for g in slots},
            **{f"j_d/{g}": float(v) for g, v in zip(slots, j_d, strict=True)},
            **{f"j_c/{g}": float(v) for g, v in zip(slots, j_c, strict=True)},
        }  # fmt: skip

    # ----------------------------------------------------------------------------------------------
    # answers

    def set_members(self, generators: Sequence[str]) -> None:
        """Whose slots count from the next look into the slots on; may be called from another
        thread.
        """
        self.inbox.set_members(generators)

    def publish(self, board: Board, version: int, slots: Mapping[str, Publication]) -> None:
        """D, C and beta to all; or to each generator the gradient of its loss by its samples."""
        seen = np.full(self.classes, -1.0, np.float32)
        active = np.zeros(self.classes, np.float32)
        for g in self.inbox.members:
            seen[number_of(g)] = self.inbox.used.get(g, -1)
            active[number_of(g)] = 1
        common = {"beta": self.betas.now.astype(np.float32), "seen": seen, "active": active}
        if self.settings.feedback == "weights":
            d, c = (
                self.discriminator_vector(),
                finite(self.name, self.step, flatten(self.c), self.c),
            )
            of = self.settings.publish
            arrays = {"D": narrow(self.d, d, of), "C": narrow(self.c, c, of), **common}
            board.publish(Publication(JUDGE, version, arrays))
            return
        # feedback gradients: each generator's loss is computed here, and only its slope goes back
        on = torch.from_numpy(active > 0).to(self.device)
        for g, slot in slots.items():
            x = torch.from_numpy(whole(slot.arrays["samples"])).to(self.device).requires_grad_(True)
            weight = float(common["beta"][number_of(g)])
            own = Streams(self.streams.seed, g, self.device)
            own.take_turn(self.streams.turn)
            blurred = self.blur(x, noise_of(own, slot.version))
            with S.frozen(self.d), S.frozen(self.c):
                total, (value, adversarial, crossing) = generator_loss(
                    self.loss_of(g), self.d, self.c, x, blurred, number_of(g), weight, on
                )
            (gradient,) = torch.autograd.grad(total, x)
            loss_g = adversarial if math.isfinite(value) else math.nan
            arrays = {
                "gradient": gradient.cpu().numpy(),
                "losses": np.array([loss_g, crossing], np.float32),
                **common,
            }
            board.publish(Publication(f"{JUDGE}/{g}", version, arrays))

    # ----------------------------------------------------------------------------------------------
    # state

    def state(self) -> State:
        """D, C, their optimizers, beta; what the slots hold is the generators' to write again."""
        out = super().state()
        # its G takes no step: bytes of a checkpoint for nothing
        unused = ("g.", "opt_g", "ema.", "ema_float32.")
        keep = {k: v for k, v in out.items() if not k.startswith(unused)}
        return {
            **keep,
            "signature_c": signature_hash(self.c),
            "updates": self.updates,
            "used": self.inbox.as_text(),
            "learned": torch.from_numpy(self.betas.learned.copy()),
            "beta": torch.from_numpy(self.betas.now.copy()),
            **state_on_host({**network_state("c", self.c), **optimizer_state("opt_c", self.opt_c)}),
        }

    def undo(self, state: State, board: Board) -> None:
        """async: its answers are counted on, since nobody takes up one that is older than the last;
        and it has used no slot yet, since the answer to the last ones may never have come.
        """
        updates = self.updates
        self.restore(state)
        if self.tempo == "async":
            self.updates = updates
            self.inbox.used = dict.fromkeys(self.inbox.used, -1)

    def restore(self, state: State) -> None:
        """Take up a state."""
        # its G is never trained, and not saved: what the state lacks of it is this player's own
        mine = {**network_state("g", self.g), **optimizer_state("opt_g", self.opt_g)}
        if self.average is not self.g:
            mine |= network_state("ema", self.average)
        super().restore({**mine, **state})
        load_network("c", self.c, state)
        load_optimizer("opt_c", self.opt_c, state)
        self.updates = int(str(state["updates"]))
        if self.tempo == "lockstep":  # in async a part may be older than what we had used of it
            self.inbox.restore(str(state["used"]))
        for key, own in (("learned", self.betas.learned), ("beta", self.betas.now)):
            value = state[key]
            assert isinstance(value, Tensor)
            own[:] = value.numpy()

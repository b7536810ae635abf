"""beta_k: how much each generator is to avoid the others, from one snapshot of D and C
(`gan.balance`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from raygan.gan.balance import Values, beta, dual_ascent

if TYPE_CHECKING:
    from raygan.strategies.pmgan.settings import PmganSettings


class Betas:
    """Of all classes that there may ever be, (classes,)."""

    def __init__(self, settings: PmganSettings, classes: int) -> None:
        self.settings = settings
        self.now = np.zeros(classes)
        """beta_k; 0 for those who do not take part."""
        self.learned = np.full(classes, math.exp(settings.diversity))
        """Multipliers of balance = "learned", from the paper's beta on."""

    def weigh(self, who: Sequence[int], j_d: Values, j_c: Values, updates: int) -> None:
        """beta of the classes `who`, from their J_k^D and J_k^C, (K,) each."""
        s, index = self.settings, list(who)
        if not (np.isfinite(j_d).all() and np.isfinite(j_c).all()):
            return  # the last beta stays; the step was counted as bad
        if s.balance == "learned":
            self.learned[index] = dual_ascent(
                self.learned[index], j_c, s.balance_target, s.balance_lr
            )
        own = self.learned[index]
        self.now[:] = 0  # those who have left
        self.now[index] = beta(
            j_d, j_c, s.balance, s.diversity, s.decay, updates, s.balance_scale, own
        )

"""R3GAN: the relativistic pairing loss with R1 and R2 (Huang, Gokaslan, Kuleshov, Tompkin, NeurIPS
2024, eq. 2 and 4).

Together they converge locally, which none of the three does alone (section 2.2). The paper's other
settings are a run's own: Adam with `pair.beta1` 0, no norm layers, and `pair.schedule` for rates,
beta2, gamma and EMA.
"""

from __future__ import annotations

from pydantic import Field

from raygan.losses.relativistic import Relativistic


class R3gan(Relativistic):
    """gamma is `r1` and `r2`, which the paper keeps equal; 0.05 .. 15 on images there, .1 on
    two-dimensional toys.
    """

    r1: float = Field(
        0.1, ge=0, description="gamma of R1, gamma/2 E |grad D(x)|^2 on real samples."
    )
    r2: float = Field(0.1, ge=0, description="The same on generated samples: R2.")

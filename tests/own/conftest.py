"""Users' files: one that works of each kind, written where a test wants them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.own import find, installed, trust
from raygan.own.source import PREFIX, SOURCES

PARTS = {
    "network": (
        """
from torch import nn

class Net:
    '''Two small MLPs.'''

    def __init__(self, width: int = 8):
        self.width = width

    def generator(self, shape, z_dim):
        last = nn.Linear(self.width, shape[0])
        return nn.Sequential(nn.Linear(z_dim, self.width), nn.ReLU(), last)

    def discriminator(self, shape, outputs=1):
        last = nn.Flatten(0) if outputs == 1 else nn.Identity()
        first = nn.Linear(shape[0], self.width)
        return nn.Sequential(first, nn.ReLU(), nn.Linear(self.width, outputs), last)
"""
    ),
    "loss": (
        """
import torch.nn.functional as F
from raygan.losses.base import LossComponent

class Scaled(LossComponent):
    '''The non-saturating loss, scaled.'''

    scale: float = 1.0

    def d_loss(self, real, fake):
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def g_loss(self, fake, real=None):
        return self.scale * F.softplus(-fake).mean()
"""
    ),
    "data": (
        """
import torch

class Points(torch.utils.data.Dataset):
    def __init__(self, count: int = 300):
        self.points = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        return self.points[index]
"""
    ),
    "strategy": (
        """
from raygan.strategies.independent import Independent

class Alone(Independent):
    '''Independent, under a name of its own.'''

    patience: int = 3
"""
    ),
    "metric": (
        """
def spread(samples, held_out, power: float = 1.0):
    return {"fake": samples.std() ** power, "real": float(held_out.std())}
"""
    ),
    "listener": (
        """
heard = []

def note(controller, done):
    heard.append(done)
"""
    ),
}
NAMES = {
    "network": "Net",
    "loss": "Scaled",
    "data": "Points",
    "strategy": "Alone",
    "metric": "spread",
    "listener": "note",
}
CANARY = "\nimport pathlib\npathlib.Path({!r}).write_text('executed')\n"


def as_elsewhere() -> None:
    """From here on this process knows no own part: as another one, or another machine."""
    SOURCES.clear()
    for module in [m for m in sys.modules if m.startswith(PREFIX)]:
        del sys.modules[module]
    trust.CLAIMS.clear()
    trust._TRUSTED.clear()
    find._component.cache_clear()
    installed._points.cache_clear()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    as_elsewhere()
    yield
    as_elsewhere()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """kind -> its file below parts/ of the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    out = {}
    for kind, text in PARTS.items():
        out[kind] = tmp_path / "parts" / f"{kind}s.py"
        out[kind].write_text(text)
    return out

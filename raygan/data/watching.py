"""Who is told while a large source is read; apart from what reads it, so that a verb's help needs
no numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

Told = Callable[[str, int, int], None]
WATCH: ContextVar[Told | None] = ContextVar("WATCH", default=None)
"""Called (what, samples read, samples in all)."""

"""Which processes there are: who must live together, who may train together, who has help."""

from __future__ import annotations

from typing import Any

from raygan.config import Component, Config
from raygan.strategies.base.setup import Setup


class Processes(Component):
    """What a strategy says of the processes that its players live in. Asked by the executors."""

    def together(self, config: Config) -> list[list[str]]:
        """Players that must live in one process."""
        return []

    @property
    def packs(self) -> bool:
        """Are the locals whole pairs, several of which can be one batched model?"""
        return True

    @property
    def deputies(self) -> int:
        """Processes beside the players' own that work for one of them (`Setup.deputies`)."""
        return 0

    @property
    def deputised(self) -> str | None:
        """The player that deputies work for."""
        return None

    def deputy(self, setup: Setup) -> Any:
        """What such a process holds."""
        raise NotImplementedError(f"{self.name} has no deputies")

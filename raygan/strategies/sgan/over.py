"""Locals with a strategy of their own: what is asked of SGAN about them is theirs to answer."""

from __future__ import annotations

from raygan.config import Config
from raygan.strategies.base import Plan
from raygan.strategies.sgan.settings import SganSettings


class OverLocals(SganSettings):
    """The answers of the locals' strategy, as they are: the locals know of no global pair. Where
    one has to do with the global pair as well, `Sgan` says so.
    """

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """Those of the locals' strategy."""
        return self.inner.notes(plan)

    def together(self, config: Config) -> list[list[str]]:
        """Those of the locals' strategy."""
        return self.inner.together(config)

    @property
    def packs(self) -> bool:
        """Where the locals' strategy has whole pairs."""
        return self.inner.packs

    @property
    def swaps(self) -> bool:
        """Where the locals' strategy does."""
        return self.inner.swaps

    @property
    def elastic(self) -> bool:
        """Where the locals' strategy is."""
        return self.inner.elastic

    @property
    def mingles(self) -> bool:
        """Where the locals' strategy does."""
        return self.inner.mingles

    def locals(self, config: Config) -> list[str]:
        """The locals' names."""
        return self.inner.locals(config)

    def follows(self, player: str) -> bool:
        """Who does in the locals' strategy."""
        return self.inner.follows(player)

    def answers(self, config: Config) -> list[str]:
        """Whoever does among the locals."""
        return self.inner.answers(config)

    def readers(self, config: Config, player: str) -> int:
        """Among the locals."""
        return self.inner.readers(config, player)

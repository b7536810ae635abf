"""Who of a run lives where: its actors and their processes, made and ended.

homes, deputies, the evaluator     in bundles of the run's placement group (reservation.py)
the board, the matchmaker, spares  beside the controller: they hold no bytes, and are lost with
                                   no other node (decision 44)
joiners                            anywhere; with a GPU in a bundle that was left, if there is one
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import ray

from raygan.actors.board import BoardActor
from raygan.actors.evaluator import EvaluatorActor
from raygan.actors.liveness import end_process
from raygan.actors.matchmaker import MatchmakerActor
from raygan.actors.messenger_worker import MessengerWorkerActor
from raygan.actors.player import player_class
from raygan.actors.process import actor_class, put
from raygan.actors.reservation import Reservation
from raygan.actors.spares import Spares, beside, most_on_a_node
from raygan.strategies.base import Setup, StrategyComponent, strategy_of, with_data
from raygan.strategies.sources import sources_of

BOARD = "board"
EVALUATOR = "evaluator"
MATCHMAKER = "matchmaker"


class WorkerGroup:
    """Makes the actors of a run and ends them; Ray is up already."""

    def __init__(self, run: str, setup: Setup) -> None:
        self.run = run
        self.config = setup.config
        self.data = setup.data
        self.sourced = bool(sources_of(setup.config))
        """Do pairs read SOURCEs of their own?"""
        self.actors: dict[str, Any] = {}
        """Each player's actor; players that live together have one."""
        self.helpers: dict[str, Any] = {}
        """The board, the evaluator, deputies, and the matchmaker where there are swaps."""
        self.deputies: list[str] = []
        """Helpers with bundles like players', which work for `deputised`."""
        self.deputised: str | None = None
        self.registrars = [BOARD]
        """Helpers that have to know the players' handles."""
        self.bundles: dict[Any, int | None] = {}
        """Bundle of the reservation, by actor; None: outside it."""
        self.places: dict[str, tuple[str, int]] = {}
        """(node, process) of each player's actor and each helper: what to kill when it does not
        answer.
        """
        self.lost: set[str] = set()
        """Players and helpers that were found dead or hung since the last start."""
        self.room = Reservation()
        self.spares = Spares(run)
        self.shared: list[Any] = []
        """What players get: the data set's reference, in a list so that it travels unresolved; of
        data in parts the outline's.
        """
        self.whole: list[Any] = []
        """What the evaluator gets: the data set's."""

    def suit(self, strategy: StrategyComponent) -> None:
        """Which helpers this strategy needs; a matchmaker only where networks are swapped."""
        self.deputised = strategy.deputised
        self.deputies = [f"deputy-{i + 1}" for i in range(strategy.deputies)]
        self.registrars = [BOARD, MATCHMAKER] if strategy.swaps else [BOARD]

    def reserve(self, homes: int) -> None:
        """Room for so many actors with players, and for deputies and the evaluator; and the data in
        the object store, once. Raises InfeasibleError.
        """
        self.room.take(homes, len(self.deputies), self.config)
        # in a list, a reference travels as it is: each actor gets it once, zero-copy (player.py)
        self.whole = self.shared = [ray.put(self.data)]
        if self.data.parts:
            self.shared = [ray.put(self.data.outline)]

    def make_player(self, home: list[str], joins: bool = False) -> Any:
        """An actor for players that live together: a spare, or a new one; in a free bundle, a
        joiner outside the group unless it needs a GPU.
        """
        placement = self.room.placement
        # the group holds the GPU of who has died or left: outside it would be waited for in vain.
        # CPUs are shared more thinly there, and none is waited for
        outside = joins and not placement.gpus
        free = [] if outside else self.room.free(self.bundles.values())
        bundle = free[0] if free else None
        readers = max(strategy_of(self.config).readers(self.config, p) for p in home)
        # a spare has one thread for readers, and that cannot be changed later
        actor = self.spares.take() if readers == 1 else None
        if actor is None:
            where, cpus = self.room.at(bundle, placement.cpus)
            made = put(
                player_class(readers, sourced=self.sourced), self.run, home[0], where, cpus,
                placement.gpus, scrubs=self.sourced
            )  # fmt: skip
            label = home[0] + (f"..{home[-1]}" if len(home) > 1 else "")
            actor = made.remote(self.run, label, self.shared)
        self.bundles[actor] = bundle
        return actor

    @property
    def holders(self) -> dict[str, Any]:
        """The actors of the members' parts, where nobody holds the whole; None: not there now."""
        asked = () if self.data.whole else with_data(self.config)
        return {pair: self.actors.get(pair) for pair in asked}

    def make_helper(self, name: str) -> Any:
        """The board's, the matchmaker's, the evaluator's or a deputy's actor."""
        placement, run = self.room.placement, self.run
        if name == MATCHMAKER:
            return put(actor_class(MatchmakerActor), run, name, beside(), 0).remote(run)
        if name == BOARD:
            return put(actor_class(BoardActor), run, name, beside(), 0).remote()
        # in the last of the bundles that are as large as players'
        if name in self.deputies:
            bundle = placement.players - 1 - self.deputies.index(name)
            where, cpus = self.room.at(bundle, placement.cpus)
            made = put(actor_class(MessengerWorkerActor), run, name, where, cpus, placement.gpus)
            return made.remote(run, name, self.shared)
        where, cpus = self.room.at(placement.players, placement.evaluator_cpus)
        evaluator = put(actor_class(EvaluatorActor), run, name, where, cpus)
        return evaluator.remote(run, self.config, self.whole)

    def keep_spares(self) -> None:
        """As many as `resources.spares` says; `auto`: as many as the fullest other node hosts. None
        where players have GPUs: a process cannot be moved to another GPU.
        """
        placement, asked = self.room.placement, self.config.resources.spares
        if placement.gpus:
            return
        nodes = {actor: self.places[p][0] for p, actor in self.actors.items() if p in self.places}
        count = most_on_a_node(nodes) if asked == "auto" else asked
        self.spares.keep(count, placement.cpus, self.config, self.shared, self.sourced)

    def along(self, player: str) -> list[str]:
        """Others that live in its process."""
        actor = self.actors.get(player)
        return [p for p, a in self.actors.items() if a is actor and p != player]

    def end_players(self, players: Collection[str]) -> None:
        """End their processes, with all that live there."""
        for player in players:
            # one may be gone already with another of its home
            if player in self.actors:
                self.end_player(player)

    def end_player(self, player: str) -> None:
        """End a player's process, also one that does not listen, so that its place is free."""
        actor = self.actors[player]
        home = [player, *self.along(player)]
        ray.kill(actor)
        # Ray only asks the process to end itself, which a stopped one never does (decision 24); its
        # bundle would stay taken
        if player in self.places:
            end_process(*self.places[player])
        for name in home:
            del self.actors[name]
            self.places.pop(name, None)
        self.bundles.pop(actor, None)

    def end_helper(self, name: str) -> None:
        """End a helper's actor and the process that it ran in."""
        ray.kill(self.helpers.pop(name))
        if name in self.places:
            end_process(*self.places.pop(name))

    def clear(self) -> None:
        """Kill the actors by handle and give the reservation back."""
        # who is hung first: `ray.kill` alone would leave its process behind the run
        self.end_players([p for p in self.actors if p in self.lost])
        there = [*dict.fromkeys(self.actors.values()), *self.helpers.values(), *self.spares.there]
        for actor in there:
            ray.kill(actor)
        self.room.give_back()
        self.forget()

    def forget(self) -> None:
        """Everything that was on a Ray that is no more."""
        kept = (self.actors, self.helpers, self.bundles, self.places, self.spares.there, self.lost)
        for each in kept:
            each.clear()
        self.room.forget()

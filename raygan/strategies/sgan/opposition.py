"""All opponents of the global pair, wherever they are: who has whom, which version each one's copy
is of, and what is read of them.

lockstep: iteration i uses version i + 1 of every local, read in portions, the next on its way while
this one is used. async: the newest version, of a copy that has lived its life or lags too far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from raygan.config import Tempo
from raygan.gan.types import Board, State
from raygan.gan.weights import Publication
from raygan.strategies.roles import number_of
from raygan.strategies.sgan.deputies import Answer, Deputy, Task
from raygan.strategies.sgan.opponents import Opponents

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings

PORTION_BYTES = 16e6
"""Of publications that are read at once (lockstep)."""
Fetched = tuple[dict[str, list[Publication]], dict[str, list[int]]]
"""What was published, here; versions that deputies have read."""


class Opposition:
    """Those in this process (`here`), and with each deputy its share."""

    def __init__(
        self,
        here: Opponents,
        deputies: Sequence[Deputy],
        settings: SganSettings,
        locals_: Sequence[str],
        tempo: Tempo,
        bytes_a_step: float,
    ) -> None:
        self.here = here
        self.deputies = list(deputies)
        self.settings = settings
        self.tempo = tempo
        self.bytes_a_step = bytes_a_step
        """What one local publishes, for each of its steps."""
        self.locals: list[str] = []
        self.wanted = list(locals_)
        self.elsewhere: dict[str, int] = {}
        """Versions of the copies that deputies hold."""
        self.coming: dict[str, list[int]] = {}
        """lockstep: the versions that deputies have read and not used yet."""
        self.progress: dict[str, int] = {}
        """async: the newest versions, as of the last look."""
        self.meet()

    def set_members(self, members: Sequence[str]) -> None:
        """Whom to learn from, from the next iteration on; may be called from another thread."""
        self.wanted = list(members)

    def meet(self) -> bool:
        """Each that came gets a messenger, here or with a deputy; has anybody come or gone?"""
        if self.wanted == self.locals:
            return False
        self.locals = list(self.wanted)
        # by its number alone, not by its place in the list: a member that comes or goes leaves
        # all others' messengers, and what these have learned, where they are
        crews = 1 + len(self.deputies)
        shares = [[n for n in self.locals if number_of(n) % crews == i] for i in range(crews)]
        self.here.have(shares[0])
        for deputy, share in zip(self.deputies, shares[1:], strict=True):
            deputy.have(share)
        self.elsewhere = {n: v for n, v in self.elsewhere.items() if n in self.locals}
        return True

    def version(self, name: str) -> int:
        """Of the copy of a local; 0: there is none yet."""
        if name in self.here.by_name:
            return self.here.by_name[name].version
        return self.elsewhere.get(name, 0)

    @property
    def met(self) -> list[str]:
        """Locals of which there is a copy, in their order."""
        return [n for n in self.locals if self.version(n) > 0]

    @property
    def times(self) -> float:
        """By what a mean over those that were met becomes what `combine` says: their sum, or the
        mean.
        """
        return float(len(self.met)) if self.settings.combine == "sum" else 1.0

    # ------------------------------------------------------------------------------------------
    # what was published

    def portions(self, step: int, steps: int, board: Board) -> Iterator[int]:
        """lockstep: iterations for which all publications are here; meanwhile those of the next are
        on their way.
        """
        size = max(1, int(PORTION_BYTES / (self.bytes_a_step * len(self.locals))))
        end = step + steps
        ends = [*range(step + size, end, size), end]

        def fetch(after: int, upto: int) -> Fetched:
            # the deputies first: they read while this process does
            elsewhere = [d.read(after, upto, board) for d in self.deputies]
            here = board.between(list(self.here.by_name), after, upto)
            return here, {n: versions for found in elsewhere for n, versions in found().items()}

        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(fetch, step, ends[0])
            for this, following in zip(ends, [*ends[1:], end], strict=True):
                here, self.coming = coming.result()
                self.here.keep(here)
                if following > this:
                    coming = reader.submit(fetch, this, following)
                yield this - step
                step = this

    def due(self, step: int, board: Board) -> tuple[dict[str, Publication], list[str]]:
        """Whose copies are to be made anew: publications for those here, and (async) the names of
        those elsewhere.

        async: the newest of each local whose copy has lived its life, or lags more than `max_lag`.
        """
        if self.tempo == "lockstep":
            # a deputy refreshes by itself what it has read; here only the version is noted
            self.elsewhere |= {n: step + 1 for n, vs in self.coming.items() if step + 1 in vs}
            return self.here.due(), []
        at = self.progress = board.progress(self.locals)
        ended = step % self.settings.messenger_lifetime == 0
        behind = {n: at[n] - self.version(n) for n in self.locals}
        old = [n for n, b in behind.items() if b > 0 and (ended or b > self.settings.max_lag)]
        fresh = self.here.newer(board, [n for n in old if n in self.here.by_name])
        return fresh, [n for n in old if n not in self.here.by_name]

    def lag(self, step: int) -> float:
        """How far the copies in use are behind, at most: in lockstep behind this iteration, in
        async behind what was the newest publication when this iteration began. The publisher may
        be `messenger_lifetime` - 1 steps further: only what it has published is known here.
        """
        if self.tempo == "lockstep":
            lags = [step - self.version(n) for n in self.met]
        else:
            lags = [max(0, self.progress.get(n, 0) - self.version(n)) for n in self.met]
        return float(max(lags, default=0))

    def ask(self, task: Task, board: Board) -> Callable[[], list[Answer]]:
        """Every deputy begins its part; a function that waits for the answers."""
        asked = [deputy.carry_out(task, board) for deputy in self.deputies]

        def answers() -> list[Answer]:
            found = [answer() for answer in asked]
            for answer in found:
                self.elsewhere |= answer.versions
            return found

        return answers

    # ------------------------------------------------------------------------------------------
    # state

    def state(self) -> State:
        """Of all opponents that were met, where they live longer than one iteration."""
        out = self.here.state()
        for deputy in self.deputies:
            out |= deputy.state()
        return out

    def restore(self, state: State) -> None:
        """The inverse; each process takes its own out of all."""
        held = {k: v for k, v in state.items() if k.startswith("opponent.")}
        self.here.restore(held)
        for deputy in self.deputies:
            deputy.restore(held)
        self.elsewhere = {
            n: int(str(held.get(f"opponent.{n}.version", 0)))
            for n in self.locals
            if n not in self.here.by_name
        }

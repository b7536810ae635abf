"""A process's own shelves, and rounds that are undone."""

from typing import Any, cast

import pytest

from raygan.controller import worker as hosting
from raygan.controller.async_record import Recording
from raygan.controller.worker import MIN_ROUND, Packs, Shelves, Worker, host, host_all
from raygan.errors import NonFiniteError
from raygan.gan.pair import Pair
from raygan.gan.trainer import Trainer
from raygan.gan.weights import Publication
from raygan.strategies.orders import Swap, Train
from tests.conftest import setup_of, state_digest, tiny_config


def shelves(*versions: int) -> Shelves:
    out = Shelves()
    for version in versions:
        out.publish(Publication("gen-00", version))
        out.publish(Publication("gen-00/slot", version))
    return out


def test_the_newest_stays_however_much_is_forgotten() -> None:
    board = shelves(1, 3, 5)
    board.publish(Publication("gen-001", 0))
    board.publish(Publication("gen-001", 1))
    board.forget("gen-00", 3)
    assert [p.version for p in board.between(["gen-001"], -1, 9)["gen-001"]] == [0, 1], "not theirs"
    assert [p.version for p in board.between(["gen-00"], 0, 9)["gen-00"]] == [3, 5]
    board.forget("gen-00", 99)
    assert {
        n: p.version for n, p in board.newest(["gen-00", "gen-00/slot", "gen-001", "none"]).items()
    } == {"gen-00": 5, "gen-00/slot": 5, "gen-001": 1}
    assert [p.version for p in board.between(["gen-00/slot"], 0, 9)["gen-00/slot"]] == [5]
    board.forget("gen-0", 99)


def test_a_reader_gets_exactly_the_versions_that_it_asks_for() -> None:
    board = shelves(5, 3, 1)
    assert [p.version for p in board.between(["gen-00"], 1, 5)["gen-00"]] == [3, 5]
    assert board.between(["none"], 0, 9) == {"none": []}
    assert board.progress(["gen-00", "none"]) == {"gen-00": 5, "none": 0}


def test_only_what_is_newer_is_news() -> None:
    board = shelves(0, 3)
    assert board.peek(["gen-00"], {"gen-00": 3}) == {}
    assert board.peek(["gen-00"], {"gen-00": 4}) == {}
    assert board.peek(["gen-00"], {"gen-00": 2})["gen-00"].version == 3
    assert shelves(0).peek(["gen-00"], {})["gen-00"].version == 0


@pytest.mark.parametrize("steps", [MIN_ROUND, MIN_ROUND + 2])
def test_a_round_of_a_pack_with_nan_is_repeated_by_each_pair_from_where_it_began(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(strategy="independent")

    def two() -> dict[str, Pair]:
        setup = setup_of(config)
        return {n: Pair(n, setup.parts(n)) for n in ("pair-00", "pair-01")}

    ours, alone = two(), two()
    orders = [Train(n, steps) for n in ours]
    packs = Packs(True)
    pack = packs.of(list(ours.values()))
    assert pack is not None
    real = pack.train

    def poisoned(steps: int, board: Shelves) -> list[dict[str, float]]:
        out = real(steps, board)
        next(ours["pair-01"].d.parameters()).data[0] = float("nan")
        return out

    monkeypatch.setattr(pack, "train", poisoned)
    reports = host_all(ours, orders, Shelves(), 2, packs)
    host_all(alone, orders, Shelves(), 2, Packs(False))
    assert {n: state_digest(p.state()) for n, p in ours.items()} == {
        n: state_digest(p.state()) for n, p in alone.items()
    }
    assert [p.step for p in ours.values()] == [steps, steps]
    assert all(r["seconds"] > 0 for r in reports)


class Player:
    """Fails its first `bad` rounds, in training or when it is looked at; remembers what was done
    with it.
    """

    name = "pair-00"

    def __init__(self, bad: int = 0, found_by: str = "train") -> None:
        self.bad, self.found_by = bad, found_by
        self.calls: list[Any] = []

    def state(self) -> dict[str, Any]:
        self.calls.append("state")
        return {"turn": 5, "weights": "as they were"}

    can_undo = True

    def undo(self, state: dict[str, Any], board: Shelves) -> None:
        self.calls.append(state)

    def _fail(self, where: str) -> None:
        if self.found_by == where and self.bad:
            self.bad -= 1
            raise NonFiniteError(self.name, "loss_d")

    def train(self, steps: int, board: Shelves) -> dict[str, float]:
        self.calls.append(steps)
        self._fail("train")
        return {"steps_done": float(steps)}

    def check(self) -> None:
        self._fail("check")


class Board(Shelves):
    """Remembers what was to be forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[tuple[str, int]] = []

    def forget(self, player: str, before: int) -> None:
        self.forgotten.append((player, before))


@pytest.mark.parametrize("found_by", ["train", "check"])
def test_a_round_with_nan_is_undone_and_repeated_with_other_numbers(found_by: str) -> None:
    player: Any = Player(2, found_by)
    report = host(player, Train("pair-00", MIN_ROUND), Shelves(), 2)
    again = [{"turn": 5 + n, "weights": "as they were"} for n in (1, 2)]
    assert player.calls == ["state", MIN_ROUND, again[0], MIN_ROUND, again[1], MIN_ROUND]
    assert (report["rollbacks"], report["steps_done"]) == (2.0, 10.0)
    assert report["seconds"] > 0


def test_a_player_that_was_never_undone_has_no_turn_yet() -> None:
    player: Any = Player(1)
    player.state = lambda: {"weights": "as they were"}
    host(player, Train("pair-00", MIN_ROUND), Shelves(), 2)
    assert player.calls[1] == {"turn": 1, "weights": "as they were"}


@pytest.mark.parametrize("found_by", ["train", "check"])
def test_past_the_rollbacks_nan_is_told(found_by: str) -> None:
    player: Any = Player(3, found_by)
    with pytest.raises(NonFiniteError):
        host(player, Train("pair-00", MIN_ROUND), Shelves(), 2)
    assert player.calls.count(MIN_ROUND) == 3


@pytest.mark.parametrize(("steps", "rollbacks"), [(MIN_ROUND - 1, 2), (MIN_ROUND, 0)])
def test_of_a_short_round_or_without_rollbacks_no_copy_is_made(steps: int, rollbacks: int) -> None:
    player: Any = Player(1)
    with pytest.raises(NonFiniteError):
        host(player, Train("pair-00", steps), Shelves(), rollbacks)
    assert player.calls == [steps]
    whole: Any = Player(1, "check")
    report = host(whole, Train("pair-00", steps), Shelves(), rollbacks)
    assert whole.calls == [steps], "nor is it looked at"
    assert "rollbacks" not in report


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    board, player = Board(), Player()
    for before in (0, 7):
        host(player, Train("pair-00", 1, forget_before=before), board, 0)  # type: ignore[arg-type]
    assert board.forgotten == [("pair-00", 7)]


def test_nobody_spins_while_there_is_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(hosting.time, "sleep", slept.append)
    board = shelves(3)
    board.peek(["gen-00"], {"gen-00": 3}, 0.25)
    board.peek(["gen-00"], {"gen-00": 2}, 0.5)
    assert slept == [0.25], "only where nothing was there"


class OnePack:
    """Trains all at once; NaN in its first `bad` rounds."""

    def __init__(self, bad: int = 0) -> None:
        self.bad = bad
        self.calls: list[Any] = []

    def of(self, players: list[Player]) -> "OnePack":
        return self

    def snapshot(self) -> Any:
        self.calls.append("snapshot")
        return lambda: self.calls.append("put back")

    def train(self, steps: int, board: Shelves) -> list[dict[str, float]]:
        self.calls.append(steps)
        return [{"steps_done": float(steps)}, {"steps_done": float(steps)}]

    def check(self) -> None:
        if self.bad:
            raise NonFiniteError("pair-00", "loss_d")


def all_of(pack: OnePack, *steps: int, rollbacks: int = 2) -> tuple[list[Any], list[Player], Board]:
    players, board = [Player(), Player()], Board()
    orders = [Train(f"pair-0{i}", n, forget_before=i) for i, n in enumerate(steps)]
    here: Any = {o.player: p for o, p in zip(orders, players, strict=True)}
    return host_all(here, orders, board, rollbacks, pack), players, board  # type: ignore[arg-type]


def test_players_that_do_as_many_steps_train_as_one_and_share_the_seconds() -> None:
    pack = OnePack()
    reports, players, board = all_of(pack, 12, 12)
    assert pack.calls == ["snapshot", 12]
    assert [p.calls for p in players] == [[], []]
    assert [r["steps_done"] for r in reports] == [12.0, 12.0]
    assert reports[0]["seconds"] == reports[1]["seconds"] > 0
    assert board.forgotten == [("pair-01", 1)]


def test_players_that_do_not_train_one_after_the_other() -> None:
    pack = OnePack()
    reports, players, _ = all_of(pack, 12, 11)
    assert pack.calls == []
    assert [p.calls for p in players] == [["state", 12], ["state", 11]]
    assert [r["steps_done"] for r in reports] == [12.0, 11.0]


def test_of_a_short_round_of_a_pack_no_copy_is_made() -> None:
    pack = OnePack()
    all_of(pack, MIN_ROUND - 1, MIN_ROUND - 1)
    all_of(pack, MIN_ROUND, MIN_ROUND, rollbacks=0)
    assert pack.calls == [MIN_ROUND - 1, MIN_ROUND]


def test_nan_in_a_round_of_a_pack_that_was_not_copied_is_told() -> None:
    pack = OnePack()

    def fails(steps: int, board: Shelves) -> Any:
        raise NonFiniteError("pair-00", "loss_d")

    pack.train = fails  # type: ignore[method-assign]
    with pytest.raises(NonFiniteError):
        all_of(pack, MIN_ROUND - 1, MIN_ROUND - 1)
    assert pack.calls == []


def test_a_swap_is_taken_up_once_however_often_it_is_told() -> None:
    """A reply that was lost is asked for again; by then the network may have trained on."""
    setup = setup_of(tiny_config(strategy={"name": "gap", "swap_every": 3}))
    worker = Worker(setup, Shelves())
    for name in ("pair-00", "pair-01"):
        worker.build(name)
    swap = Swap(3, (("pair-00", "pair-01"), ("pair-01", "pair-00")))
    parcels = worker.offer(["pair-00", "pair-01"], swap, stay=[])
    worker.adopt(["pair-00", "pair-01"], swap, parcels)
    worker.players["pair-00"].train(2, worker.board)
    trained = state_digest(worker.players["pair-00"].state())
    worker.adopt(["pair-00", "pair-01"], swap, parcels)
    assert state_digest(worker.players["pair-00"].state()) == trained


def test_of_two_swaps_with_one_step_both_are_taken_up() -> None:
    """async: a swap's step is that of whoever is further, so that the next one may have it too."""
    setup = setup_of(tiny_config(strategy={"name": "gap", "swap_every": 3}, num_pairs=3))
    worker = Worker(setup, Shelves())
    for name in ("pair-00", "pair-01", "pair-02"):
        worker.build(name)
    # pair-00 at 100 meets pair-01 at 120; then, at 120, pair-02 at 100
    for other in ("pair-01", "pair-02"):
        swap = Swap(120, (("pair-00", other), (other, "pair-00")))
        worker.offer(["pair-00", other], swap, stay=["pair-00", other])
        worker.adopt(["pair-00", other], swap, {})
    held = {n: cast(Trainer, p).identity["D"] for n, p in worker.players.items()}
    assert held == {"pair-00": "pair-02", "pair-01": "pair-00", "pair-02": "pair-01"}


def test_a_player_is_made_at_its_state_opens_trains_and_tells_what_it_is() -> None:
    setup = setup_of(tiny_config(strategy="independent"))
    first = Worker(setup, Shelves())
    first.build("pair-00")
    assert first.open("pair-00") == 0
    ((report, as_it_went),) = first.train([Train("pair-00", 3)])
    assert report["seconds"] > 0
    assert as_it_went is None, "in lockstep nothing is recorded"
    second = Worker(setup, Shelves())
    second.build("pair-00", first.state("pair-00"))
    assert second.state("pair-00") == first.state("pair-00")
    assert second.open("pair-00") == 3
    second.build("pair-01")
    assert second.open("pair-01", 7) == 7, "a joiner counts from there"
    assert [r["seconds"] > 0 for r, _ in second.train([Train("pair-00", 2), Train("pair-01", 2)])]
    assert {n: p.step for n, p in second.players.items()} == {"pair-00": 5, "pair-01": 9}


@pytest.mark.parametrize(("bad", "again"), [(0, False), (1, False), (0, True)])
def test_of_a_run_that_is_recorded_each_round_is_told_and_whether_it_was_undone(
    bad: int, again: bool
) -> None:
    class Reads(Player):
        step = beats = 0

        def train(self, steps: int, board: Any) -> dict[str, float]:
            board.peek(["pair-01"], {})
            return super().train(steps, board)

    board, recording = Shelves(), Recording()
    board.publish(Publication("pair-01", 4))
    order = Train("pair-00", MIN_ROUND)
    host(Reads(bad), order, board, 2, recording, again)  # type: ignore[arg-type]
    (told,) = recording.take()
    assert told.again is (bad > 0 or again)
    assert told.of == ("pair-01",), "through what notes its looks"


def test_without_a_recording_the_board_is_the_player_s_own() -> None:
    boards: list[Any] = []

    class Sees(Player):
        def train(self, steps: int, board: Any) -> dict[str, float]:
            boards.append(board)
            return super().train(steps, board)

        def undo(self, state: dict[str, Any], board: Any) -> None:
            boards.append(board)

    board = Shelves()
    host(Sees(bad=1), Train("pair-00", MIN_ROUND), board, 2)  # type: ignore[arg-type]
    assert [b is board for b in boards] == [True, True, True], "trained, undone, trained"

"""Going on: never from less than was committed without a word, never as another run; and what a run
knows outlives its lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import raygan
from raygan.cli import main
from raygan.config import resolve
from raygan.controller import log_writer, storage
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.evaluator import Evaluator
from raygan.controller.inline import InlineExecutor
from raygan.controller.listener import Listener, Running
from raygan.controller.orders import Done, Scored
from raygan.controller.run_folder import RunFolder
from raygan.controller.run_log import RunLog
from raygan.errors import ConfigError, Interrupted, NonFiniteError, PlayerDied, RayganError
from raygan.gan.bundle import unpack
from raygan.gan.pair import Pair
from raygan.gan.weights import digest
from raygan.service import training
from raygan.service.resuming import resume_run
from raygan.service.runs.alive import running
from raygan.service.runs.naming import point_latest
from raygan.service.runs.run import Run
from raygan.service.scores.compare import compare_runs
from raygan.service.training import train
from raygan.service.views.follow import FolderFeed, stop
from raygan.service.views.report import write_report
from raygan.service.views.state import state, state_text
from raygan.strategies.base import Setup, load_data
from raygan.strategies.orders import Train
from tests.conftest import TINY

SMALL: dict[str, Any] = {
    **TINY,
    "strategy": "independent",
    "evaluation": {**TINY["evaluation"], "mixture": False},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raygan.train(
        None, run_dir=tmp_path_factory.mktemp("runs"), name="run", inline=True, **SMALL
    ).path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run", symlinks=True))


def warned(path: Path) -> list[str]:
    """Of checkpoints."""
    return [
        e["name"]
        for e in Run.load(path).events
        if e["kind"] == "warning" and e["name"].startswith("W202")
    ]


# -------------------------------------------------------------------------------------------------
# where it lies


class Once(Listener):
    """Does something at the first order of a run."""

    def __init__(self, what: Callable[[], object]) -> None:
        self.what: Callable[[], object] | None = what

    def __call__(self, run: Running, done: Done) -> None:
        if self.what is not None:
            what, self.what = self.what, None
            what()


@pytest.mark.parametrize("by", ["resume", "train"])
def test_latest_is_the_run_that_it_was_when_that_was_resumed(
    finished: Path, tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        shutil.copytree(finished, tmp_path / "runs" / name, symlinks=True)
    point_latest(Path("runs/a"))
    other = {p: p.read_bytes() for p in Path("runs/b").rglob("*") if p.is_file()}
    moves = Once(lambda: point_latest(Path("runs/b")))
    if by == "resume":
        done = resume_run("latest", extra_steps=8, listeners=[moves])
    else:
        done = train(
            resolve(flags={**SMALL, "steps": 20}), inline=True, resume="latest", listeners=[moves]
        )
    assert Path("runs/latest").resolve().name == "b"
    assert {p: p.read_bytes() for p in Path("runs/b").rglob("*") if p.is_file()} == other
    assert (done.name, done.info["status"], done.info["steps"]["pair-00"]) == ("a", "done", 20)
    checkpoint, problems = newest_valid(Path("runs/a"))
    assert checkpoint is not None
    assert (checkpoint.step, problems) == (20, [])


@pytest.mark.parametrize("how", ["train", "resume", "start"])
def test_a_run_stays_where_it_began_when_its_process_moves(
    finished: Path, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    moves = Once(lambda: os.chdir(tmp_path / "elsewhere"))
    if how == "resume":
        shutil.copytree(finished, tmp_path / "runs/mine", symlinks=True)
        done = resume_run("runs/mine", extra_steps=8, listeners=[moves])
    elif how == "train":
        done = train(resolve(flags=SMALL), name="mine", inline=True, listeners=[moves])
    else:
        begun = raygan.start(None, name="mine", inline=True, **SMALL)
        os.chdir("elsewhere")  # as %cd does in a notebook, before the thread has made the folder
        done = begun.wait(120)
    assert done.path == tmp_path / "runs/mine"
    assert done.info["status"] == "done"
    checkpoint, problems = newest_valid(done.path)
    assert checkpoint is not None
    assert (checkpoint.step, problems) == (done.info["total_steps"], [])
    assert len(list((done.path / "samples").iterdir())) >= 4
    assert list((tmp_path / "elsewhere").iterdir()) == []


# -------------------------------------------------------------------------------------------------
# what others see and ask of it


def test_a_life_that_begins_is_starting_and_not_as_the_one_before_has_ended(run: Path) -> None:
    seen = list[dict[str, Any]]()

    class Looks(Listener):
        def begin(self, run: Running) -> None:
            seen.append(Run.load(run.log.folder.path).info)

    resume_run(run, extra_steps=4, listeners=[Looks()])
    (info,) = seen
    assert (info["status"], info["exit_code"], info["pid"]) == ("starting", None, os.getpid())
    assert info["epoch"] == 2
    assert running(info)
    (run / "run.json").write_text(json.dumps({**info, "process_start": "1/another/1"}))
    resume_run(run, listeners=[Looks()])
    assert [i["epoch"] for i in seen] == [2, 3], "killed as it began: it is gone on with"
    assert Run.load(run).info["status"] == "done"


@pytest.mark.parametrize("asked", [{"epoch": 1}, {"epoch": 7}])
def test_a_stop_that_an_earlier_life_was_asked_for_does_not_stop_the_next(
    run: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    (run / "stop.json").write_text(json.dumps({"verb": "stop", **asked}))

    class Asks(Listener):
        def begin(self, run: Running) -> None:
            run.asked({"verb": "stop", **asked})  # what a hub passes on

    assert resume_run(run, extra_steps=4, listeners=[Asks()]).info["status"] == "done"
    assert not (run / "stop.json").exists()


@pytest.mark.parametrize("raw", [None, "{}", '{"verb": "stop"}', "[", ""])
def test_a_stop_for_this_life_or_for_whoever_finds_it_is_obeyed(
    run: Path, raw: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """raw: as an older raygan asks, or by hand."""
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)

    class Asks(Listener):
        def begin(self, run: Running) -> None:
            path = run.log.folder.path
            if raw is None:
                asked: list[Any] = []
                monkeypatch.setattr(FolderFeed, "ask", lambda feed, request: asked.append(request))
                with contextlib.suppress(ConfigError):  # nobody answers
                    stop(FolderFeed(path), timeout_s=0.0)
                run.asked(asked[0])
            else:
                (path / "stop.json").write_text(raw)

    with pytest.raises(Interrupted):
        resume_run(run, extra_steps=4, listeners=[Asks()])
    assert not (run / "stop.json").exists()


# -------------------------------------------------------------------------------------------------
# what was committed


def lose_all(checkpoints: Path) -> None:
    shutil.rmtree(checkpoints)
    checkpoints.mkdir()


def link_all(checkpoints: Path) -> None:
    checkpoints.rename(checkpoints.parent / "elsewhere")
    checkpoints.symlink_to(checkpoints.parent / "elsewhere")


def link_each(checkpoints: Path) -> None:
    (checkpoints.parent / "elsewhere").mkdir()
    for path in list(checkpoints.iterdir()):
        path.rename(checkpoints.parent / "elsewhere" / path.name)
        path.symlink_to(checkpoints.parent / "elsewhere" / path.name)


def half_copied(checkpoints: Path) -> None:
    for part in checkpoints.rglob("pair-01.safetensors"):
        part.write_bytes(part.read_bytes()[:100])


def nothing_at_all(checkpoints: Path) -> None:
    shutil.rmtree(checkpoints)
    shutil.rmtree(checkpoints.parent / "journal")


@pytest.mark.parametrize(
    "lose", [lose_all, shutil.rmtree, link_all, link_each, half_copied, nothing_at_all]
)
def test_a_run_whose_checkpoints_are_all_lost_is_an_error_and_stays_as_it_is(
    run: Path, lose: Callable[[Path], None]
) -> None:
    lose(run / "checkpoints")
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    with pytest.raises(RayganError, match=r"No other checkpoint in .* is whole|is a link"):
        resume_run(run, extra_steps=4)
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_a_lost_newest_checkpoint_is_told_and_the_one_before_is_used(run: Path) -> None:
    shutil.rmtree(run / "checkpoints/00000012")
    again = resume_run(run, extra_steps=4)
    assert [e["step"] for e in again.events if e["kind"] == "resume"] == [8]
    assert warned(run) == ["W202 damaged-checkpoint"]
    assert again.info["steps"] == {"pair-00": 16, "pair-01": 16}


def test_a_lost_journal_is_told_and_the_run_goes_on_and_stays_resumable(run: Path) -> None:
    shutil.rmtree(run / "journal")
    again = resume_run(run, extra_steps=1)
    assert [e["step"] for e in again.events if e["kind"] == "resume"] == [12]
    assert warned(run) == ["W202 damaged-checkpoint"]
    checkpoint, problems = newest_valid(run)
    assert checkpoint is not None
    assert (checkpoint.step, problems) == (13, [])


def test_a_lost_newest_journal_file_is_told(run: Path) -> None:
    resume_run(run, extra_steps=4)
    (run / "journal/00000002.jsonl").unlink()
    _, problems = newest_valid(run)
    assert problems == ["journal/00000002.jsonl: it was there, and is gone."]


# --------------------------------------------------------------------------------------------------
# being made


def in_a_child(work: Callable[[], object]) -> int:
    """Its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("start_from", [False, True])
def test_a_run_that_was_killed_at_any_file_of_its_making_is_begun_again_as_asked(
    finished: Path, tmp_path: Path, start_from: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**SMALL, "steps": 4, **({"start_from": [str(finished)]} if start_from else {})}
    resolved = resolve(None, flags=asked)
    whole = train(resolved, run_dir=tmp_path, name="whole", inline=True)
    parts = newest_valid(whole.path)[0].parts  # type: ignore[union-attr]
    expected = {p: digest(unpack(raw)) for p, raw in parts.items()}
    left = 0

    def killed_at(real: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)
            return real(*args, **kwargs)

        return write

    def begin() -> None:
        for thing, name in ((log_writer, "write_within"), (RunFolder, "_append"),
                            (storage.LocalStorage, "write"),
                            (storage.LocalStorage, "append"),
                            (storage.LocalStorage, "create")):  # fmt: skip
            monkeypatch.setattr(thing, name, killed_at(getattr(thing, name)))
        monkeypatch.setattr(training, "drive", lambda *args: None)
        train(resolved, run_dir=tmp_path, name="run", inline=True, resume="auto")

    killed = 0
    for allowed in range(40):
        left = allowed
        if in_a_child(begin) == 0:
            break
        killed += 1
        assert not (tmp_path / "run").exists(), "there whole, or not at all"
    assert killed >= 6, (
        "config.yaml, config.json, command.txt, run.json, the journal and its first record"
    )
    done = train(resolved, run_dir=tmp_path, name="run", inline=True, resume="auto")
    found, problems = newest_valid(done.path)
    assert problems == []
    assert found is not None
    assert {p: digest(unpack(raw)) for p, raw in found.parts.items()} == expected
    assert not list(tmp_path.glob(".*making")), "what the killed ones had left is cleared away"


# --------------------------------------------------------------------------------------------------
# all lives


def stop_at(step: int) -> Any:
    def listen(controller: Controller, done: Done) -> None:
        if max(controller.state.done.values()) >= step:
            controller.stop(15)

    return listen


def test_what_a_run_has_spent_and_told_is_of_all_its_lives(tmp_path: Path) -> None:
    gap = {**SMALL, "strategy": {"name": "gap", "swap_every": 2}, "steps": 24}
    with pytest.raises(Interrupted):
        train(
            resolve(None, flags=gap),
            run_dir=tmp_path,
            name="run",
            inline=True,
            listeners=[stop_at(12)],
        )
    first = Run.load(tmp_path / "run").info
    again = resume_run(tmp_path / "run")
    assert len(again.info["lives"]) == 2
    assert (
        again.info["swaps"]
        == len([e for e in again.events if e["kind"] == "swap"])
        > first["swaps"]
        > 0
    )
    assert again.info["elapsed"] > first["elapsed"] > 0
    for player, seconds in first["busy_seconds"].items():
        assert again.info["busy_seconds"][player] > seconds
    elapsed = [r["elapsed"] for r in again.rows]
    assert elapsed == sorted(elapsed), "the clock of a run does not go back"


def test_a_life_that_was_killed_is_counted_as_far_as_it_has_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(controller: Controller, done: Done) -> None:
        if controller.state.done["pair-00"] >= 11:  # the last checkpoint is of step 8
            raise Killed

    monkeypatch.setattr(RunLog, "end", lambda *args: None)
    monkeypatch.setattr(
        RunFolder, "status", lambda self, **facts: RunFolder.write(self, "run.json", json.dumps({
            "status": "running", "executor": "inline", "epoch": 1, "shape": [2], "alphabet": "",
        })))  # fmt: skip
    one_by_one = {**SMALL, "round_steps": 1}
    with pytest.raises(Killed):
        train(
            resolve(None, flags=one_by_one),
            run_dir=tmp_path,
            name="run",
            inline=True,
            listeners=[kill],
        )
    monkeypatch.undo()
    rows = [
        r
        for r in Run.load(tmp_path / "run").rows
        if r["kind"] == "train" and r["player"] == "pair-00"
    ]
    again = resume_run(tmp_path / "run")
    assert again.info["busy_seconds"]["pair-00"] == pytest.approx(
        sum(r["seconds"] for r in again.rows if r["kind"] == "train" and r["player"] == "pair-00"),
        abs=1e-3,
    )
    assert again.rows[-1]["elapsed"] > rows[-1]["elapsed"]


def test_the_best_checkpoint_stays_over_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Evaluator.evaluate

    def evaluate(self: Evaluator, player: str, step: int, *args: Any) -> Scored:
        out = original(self, player, step, *args)
        for row in out.rows:
            row["high_quality"] = 0.9 if step == 4 else 0.1
        return out

    monkeypatch.setattr(Evaluator, "evaluate", evaluate)
    often = {**SMALL, "evaluation": {**SMALL["evaluation"], "every_steps": 4}}
    path = train(resolve(None, flags=often), run_dir=tmp_path, name="run", inline=True).path
    resume_run(path, extra_steps=12)
    assert sorted(p.name for p in (path / "checkpoints").iterdir()) == [
        "00000004",
        "00000020",
        "00000024",
    ]


def test_a_member_that_was_lost_in_an_earlier_life_still_means_degraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = InlineExecutor._train

    def strike(self: InlineExecutor, order: Train) -> list[Done]:
        if "pair-01" in self.players and self.players["pair-01"].step >= 5:
            raise NonFiniteError("pair-01", "loss_d is NaN")
        return original(self, order)

    monkeypatch.setattr(InlineExecutor, "_train", strike)
    asked = {**SMALL, "num_pairs": 3}
    first = train(resolve(None, flags=asked), run_dir=tmp_path, name="run", inline=True)
    assert first.info["exit_code"] == 4
    monkeypatch.undo()
    again = resume_run(first.path, extra_steps=4)
    assert (again.info["status"], again.info["exit_code"]) == ("degraded", 4)
    assert list(again.info["degraded"]) == ["pair-01"]


def digests(run: Run) -> dict[str, str]:
    """Of each player's networks in the newest checkpoint."""
    parts = newest_valid(run.path)[0].parts  # type: ignore[union-attr]
    states = {player: unpack(raw) for player, raw in parts.items()}
    return {
        player: digest({k: v for k, v in state.items() if k.startswith(("g.", "d."))})
        for player, state in states.items()
    }


def test_what_was_spent_of_a_budget_stays_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**SMALL, "num_pairs": 3, "failures": {"budget": 1}}

    def strike(self: InlineExecutor, order: Train) -> list[Done]:
        raise PlayerDied("pair-01", "killed")

    monkeypatch.setattr(InlineExecutor, "_train", strike)
    with pytest.raises(PlayerDied, match="number 2 of its kind"):
        train(resolve(None, flags=asked), run_dir=tmp_path, name="run", inline=True)
    with pytest.raises(PlayerDied, match="number 3 of its kind"):
        resume_run(tmp_path / "run")


def test_a_run_that_was_stopped_by_its_budget_goes_on_with_a_larger_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a policy: no bit of the run hangs on it."""
    struck = [4]

    def strike(self: InlineExecutor, order: Train) -> list[Done]:
        struck[0] -= 1
        if struck[0] >= 0:
            raise PlayerDied("pair-01", "killed")
        return original(self, order)

    original = InlineExecutor._train
    monkeypatch.setattr(InlineExecutor, "_train", strike)
    asked = {**SMALL, "failures": {"budget": 1}}
    with pytest.raises(PlayerDied, match="number 2 of its kind"):
        train(resolve(None, flags=asked), run_dir=tmp_path, name="run", inline=True)
    larger = resolve(None, flags={"failures": {"budget": 6}})
    again = train(larger, run_dir=tmp_path, resume=str(tmp_path / "run"), inline=True)
    assert again.info["status"] == "done"
    assert again.config.failures.budget == 6
    whole = train(resolve(None, flags=asked), run_dir=tmp_path, name="whole", inline=True)
    assert digests(again) == digests(whole)


@pytest.mark.parametrize("decay", ["linear", "constant"])
def test_what_is_told_to_make_a_run_longer_makes_it_learn(
    decay: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {**SMALL, "pair.lr_decay": decay}
    first = train(resolve(None, flags=flags), run_dir=tmp_path, name="run", inline=True)
    before = digests(first)
    with pytest.raises(SystemExit, match="0"):
        main(["resume", str(first.path), "--plain"])
    said = capsys.readouterr().out
    words = said.rpartition("To go on: raygan ")[2].splitlines()[0].split()
    assert ("--pair.schedule.steps" in words) == (decay == "linear")
    least = [w.replace("1000", "3").replace("1012", "15") for w in words]
    inline = ["--inline"] if least[0] == "train" else []
    with pytest.raises(SystemExit, match="0"):
        main([*least, *inline, "--quiet"])
    assert all(digests(Run.load(first.path))[p] != before[p] for p in before)


def test_steps_at_a_rate_of_0_are_said_to_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = {**SMALL, "pair.lr_decay": "linear"}
    first = train(resolve(None, flags=flags), run_dir=tmp_path, name="run", inline=True)
    longer = resume_run(first.path, extra_steps=3)
    (text,) = [e["text"] for e in longer.events if e.get("name") == "W109 schedule-over"]
    assert "a rate of 0: nothing is learned there" in text


def test_a_run_that_is_done_is_not_started_again_and_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from raygan.cli import main

    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and "report" not in p.parts}
    with pytest.raises(SystemExit) as end:
        main(["resume", str(run), "--plain"])
    assert end.value.code == 0
    assert (
        f"run {run} is done: 12 of 12 steps. To go on: raygan train --resume {run} --steps 1012"
        in capsys.readouterr().out
    )
    assert {
        p: p.read_bytes() for p in run.rglob("*") if p.is_file() and "report" not in p.parts
    } == before


def test_fewer_steps_than_were_done_are_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"steps = 5: the run is at 12 already"):
        raygan.train(resume=str(run), inline=True, steps=5)


# --------------------------------------------------------------------------------------------------
# async


@pytest.mark.parametrize("slow", ["global", "pair-00"])
def test_async_stopped_with_one_behind_and_resumed_has_its_last_checkpoint_and_its_scores(
    tmp_path: Path, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = InlineExecutor.wait

    def wait(self: InlineExecutor, timeout_s: float) -> list[Done]:
        for order in [o for o in self.queue if getattr(o, "player", slow) != slow][
            :1
        ]:  # the slow one's turn comes last
            self.queue.remove(order)
            self.queue.appendleft(order)
        return original(self, timeout_s)

    monkeypatch.setattr(InlineExecutor, "wait", wait)
    asked = {
        **TINY,
        "tempo": "async",
        "steps": 24,
        "round_steps": 2,
        "evaluation": {**TINY["evaluation"], "every_steps": 24},
    }
    path = tmp_path / "run"
    ahead = "pair-01"
    with pytest.raises(Interrupted):
        train(resolve(None, flags=asked), run_dir=tmp_path, name="run", inline=True, listeners=[
            lambda c, d: c.stop(15) if c.state.done[ahead] >= 20 and c.state.done[slow] > 0
            else None])  # fmt: skip
    stopped, _ = newest_valid(path)
    assert stopped is not None
    assert stopped.steps == Run.load(path).info["steps"]
    assert stopped.steps[slow] < stopped.steps[ahead]
    done = resume_run(path)
    final, problems = newest_valid(path)
    assert problems == []
    assert final is not None
    assert final.steps == done.info["steps"] == {"pair-00": 24, "pair-01": 24, "global": 24}
    table = {(r["player"], r["step"]) for r in done.rows if r["kind"] == "score"}
    assert {
        ("pair-00", 24),
        ("pair-01", 24),
        ("global", 24),
    } <= table, "the table's scores are of these very weights"


def test_the_lives_of_a_run_are_told(run: Path, tmp_path: Path) -> None:
    """By status, report and compare: when each began, where from, how the one before had ended, on
    what.
    """
    alone = Path(shutil.copytree(run, tmp_path / "alone", symlinks=True))
    assert state(Run.load(alone))["lives"] == []
    assert "from step" not in state_text(state(Run.load(alone)))
    resume_run(run, extra_steps=10)
    first, second = state(Run.load(run))["lives"]
    steps = Run.load(alone).config.steps
    assert (first[:3:2], second[0], second[2]) == (["1", "0"], "2", str(steps))
    assert second[3].startswith("done, ")
    assert first[5] == torch.__version__
    assert "from step" in state_text(state(Run.load(run)))
    assert "<h2>Lives</h2>" in write_report(Run.load(run)).read_text()
    assert "<h2>Lives</h2>" not in write_report(Run.load(alone)).read_text()
    assert "of training in 2 lives" in compare_runs([str(run), str(alone)])


# ---------------------------------------------------------------------------------------- longer
# than it was begun

FALLS: list[dict[str, Any]] = [
    {"lr_decay": "linear"},
    {"schedule": {"lr": 0.1}},
    {"schedule": {"beta2": 0.5, "gamma": 0.1, "shape": "linear"}},
    {"schedule": {"lr": 0.1, "steps": 6}},
]


def told(run: Run) -> list[str]:
    return [
        e["name"] for e in run.events if e["kind"] == "warning" and e["name"].startswith("W109")
    ]


def followed(run: Run, step: int) -> tuple[Any, ...]:
    """Rates, betas, gamma of the run's first and last pair at a step."""
    setup = Setup(run.config, load_data(run.config), torch.device("cpu"))
    out = []
    for name in (run.pairs[0], run.pairs[-1]):
        pair = Pair(name, setup.parts(name))
        pair.step = step
        pair.set_rates()
        group = pair.opt_d.param_groups[0]
        out.append((group["lr"], group["betas"], pair.update_of_d(0, 1).gamma))
    return tuple(out)


@pytest.mark.parametrize(
    "whose", ["the run's", pytest.param("a group's", marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize("fall", FALLS, ids=str)
def test_nothing_that_a_schedule_moved_jumps_when_a_run_is_made_longer(
    fall: dict[str, Any], whose: str, tmp_path: Path
) -> None:
    """Twice longer: its values at each step are those of before, its end values stay, and it is
    told with a way to stretch it.
    """
    own = (
        {f"pair.{k}": v for k, v in fall.items()}
        if whose == "the run's"
        else {"pairs": [{"count": 1}, {"count": 1, "pair": fall}]}
    )
    first = train(
        resolve(None, flags={**SMALL, "pair.lr_decay": "constant", **own}),
        run_dir=tmp_path,
        name="run",
        inline=True,
    )
    steps = first.config.steps
    before = [followed(first, step) for step in range(steps + 1)]
    for more in (1, 2):
        run = resume_run(first.path, extra_steps=3)
        assert [followed(run, step) for step in range(steps + 1)] == before
        assert followed(run, steps + 3 * more) == before[-1]
        assert told(run) == ["W109 schedule-over"] * more
    stretch = [
        "train",
        "--resume",
        str(run.path),
        "--steps",
        "30",
        "--pair.schedule.steps",
        "30",
        "--quiet",
        "--inline",
    ]
    with pytest.raises(SystemExit, match="0"):
        main(stretch)
    longer = Run.load(run.path)
    fixed = whose == "a group's" and "steps" in fall.get("schedule", {})
    assert (followed(longer, steps) == before[-1]) == fixed, (
        "stretched, where a group has no length of its own"
    )


def test_what_does_not_move_is_made_longer_without_a_word(tmp_path: Path) -> None:
    run = train(
        resolve(None, flags={**SMALL, "pair.lr_decay": "constant"}),
        run_dir=tmp_path,
        name="run",
        inline=True,
    )
    assert told(resume_run(run.path, extra_steps=3)) == []

"""Who met whom, from journals written by hand and from real runs."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import raygan
from raygan.cli import main
from raygan.config import resolve
from raygan.controller.history import read_journal
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError, ConfigError
from raygan.service.runs.lineage import lineage, replay
from raygan.service.runs.repair import repair
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import fork
from raygan.service.scores.gam2 import gam2
from raygan.service.views.report import write_report
from raygan.strategies.roles import Role
from tests.conftest import TINY


def swap(step: int, *couples: tuple[str, str], what: str = "D") -> dict[str, Any]:
    moves = [m for a, b in couples for m in ({"player": a, "from": b}, {"player": b, "from": a})]
    return {"kind": "swap", "step": step, "moves": [{**m, "what": what, "at": step} for m in moves]}


def met(found: frozenset[str]) -> set[str]:
    return {name.rpartition("/")[2] for name in found}


ABC = dict.fromkeys("abc", Role())
PAIRS = dict.fromkeys(("pair-00", "pair-01"), Role())
JUDGE = Role(pair=False, scored=False, judges=True)
KEPT = dict.fromkeys(ABC, 99)


def test_a_discriminator_remembers_every_seat_that_it_sat_at() -> None:
    found = replay("run", ABC, [swap(5, ("a", "b")), swap(10, ("b", "c"))], KEPT)
    assert met(found.discriminators["a"]) == {"a", "b"}, "b's D, now at a"
    assert met(found.discriminators["b"]) == {"b", "c"}, "c's D, now at b"
    assert met(found.discriminators["c"]) == {"a", "b", "c"}, "a's D, by way of b"
    assert found.generators == {p: frozenset({f"run/{p}"}) for p in ABC}


def test_when_generators_move_they_take_their_names_along() -> None:
    found = replay("run", ABC, [swap(5, ("a", "b"), what="G")], KEPT)
    assert met(found.generators["a"]) == {"b"}
    assert met(found.discriminators["a"]) == {"a", "b"}


def test_swaps_that_a_restart_undid_do_not_count() -> None:
    undone = [
        swap(5, ("a", "b")),
        {"kind": "restart", "step": 4, "swapped": {}},
        swap(5, ("a", "c")),
    ]
    assert met(replay("run", ABC, undone, KEPT).discriminators["b"]) == {"b"}
    kept = [swap(5, ("a", "b")), {"kind": "resume", "step": 5, "swapped": {"a": 5, "b": 5}}]
    assert met(replay("run", ABC, kept, KEPT).discriminators["b"]) == {"a", "b"}
    assert met(replay("run", ABC, [swap(5, ("a", "b"))], {"a": 4, "b": 4}).discriminators["b"]) == {
        "b"
    }, "after the cut"


def test_a_global_pair_has_met_everybody_and_a_judge_all_generators() -> None:
    found = replay("run", {**PAIRS, "global": Role(pair=False, main=True)}, [], {})
    assert met(found.discriminators["global"]) == {"pair-00", "pair-01", "global"}
    assert met(found.discriminators["pair-00"]) == {
        "pair-00",
        "global",
    }, "a copy of it has trained against G0"
    judged = replay("run", {**PAIRS, "judge": JUDGE}, [], {})
    assert set(judged.discriminators) == {"judge"}
    assert met(judged.discriminators["judge"]) == set(judged.generators) == set(PAIRS)


def test_another_player_is_no_pair_but_takes_along_whom_it_met() -> None:
    """A teacher that is neither scored nor a pair is not in the answer; a D that comes from it has
    met it.
    """
    roles = {**ABC, "teacher": Role(pair=False, scored=False)}
    found = replay("run", roles, [swap(5, ("a", "teacher"))], {**KEPT, "teacher": 99})
    assert set(found.generators) == set(found.discriminators) == set(ABC)
    assert met(found.discriminators["a"]) == {"a", "teacher"}
    assert met(found.discriminators["b"]) == {"b"}


def test_a_fork_of_judged_generators_has_met_whom_its_source_had() -> None:
    origins = [
        {"kind": "origin", "player": p, "generator": g, "discriminator": d}
        for p, g, d in (("pair-00", ["old/x"], []), ("judge", [], ["old/x", "old/y"]))
    ]
    found = replay("run", {**PAIRS, "judge": JUDGE}, origins, {})
    assert found.discriminators["judge"] == {"old/x", "old/y", "run/pair-00", "run/pair-01"}


def small(tmp_path: Path, name: str, **changes: Any) -> Run:
    settings = {**TINY, "evaluation": {"every_steps": 12, "samples": 1600}, **changes}
    return raygan.train("ring8-gap", run_dir=tmp_path, name=name, inline=True, **settings)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("runs")
    gap = small(folder, "gap", strategy={"name": "gap", "swap_every": 4}, num_pairs=3)
    return gap, small(folder, "alone", strategy="independent", num_pairs=3, seed=1)


def test_the_matrix_leaves_out_exactly_who_has_met(
    runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    out = gam2([str(r.path) for r in runs], 500, 0)
    history = {r.name: lineage(r) for r in runs}
    for d, row in zip(out["discriminators"], out["rates"], strict=True):
        for g, rate in zip(out["generators"], row, strict=True):
            (rd, pd), (rg, pg) = d.split("/"), g.split("/")
            known = bool(history[rd].discriminators[pd] & history[rg].generators[pg])
            assert (rate is None) == known
    assert all(out["rates"][i][i] is None for i in range(6))
    assert not out["protocol"]["quotable"]
    assert set(out["verdicts"]) == {"gap against alone"}
    assert runs[0].best in runs[0].pairs
    html = write_report(runs[0]).read_text()
    assert "GAM-II" in html
    assert "by GAM-II" in html
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *(str(r.path) for r in runs), "--metrics", "gam2", "--samples", "200"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "gap against alone: " in text
    assert "not to be quoted" in text


def test_a_gap_run_alone_is_refused_once_all_have_met(tmp_path: Path) -> None:
    run = small(tmp_path, "two", strategy={"name": "gap", "swap_every": 4})
    with pytest.raises(ConfigError, match="no discriminator is left"):
        gam2([str(run.path)], 100, 0)
    judged = gam2([str(run.path)], 100, 0, judges=3)
    assert [d for d in judged["discriminators"] if d.startswith("held-out")]
    controlled = gam2([str(run.path)], 100, 0, control=2)
    assert (tmp_path / "two-control-2/run.json").exists()
    other = gam2([str(run.path)], 100, 0, control=3)
    assert len([g for g in other["generators"] if g.startswith("two-control-3/")]) == 3
    assert "two against two-control-2" in controlled["verdicts"]


def test_fine_tuning_goes_on_from_other_runs_and_remembers_them(
    runs: tuple[Run, Run], tmp_path: Path
) -> None:
    gap, alone = runs
    sources = [f"{alone.path}:pair-01", str(gap.path)]
    run = small(
        tmp_path,
        "fine",
        strategy={"name": "gap", "swap_every": 4},
        num_pairs=4,
        start_from=sources,
        steps=2,
    )
    origins = [e for e in run.events if e["kind"] == "origin"]
    assert [(e["player"], Path(e["run"]).name, e["pair"]) for e in origins] == [
        ("pair-00", "alone", "pair-01"), ("pair-01", "gap", "pair-00"),
        ("pair-02", "gap", "pair-01"), ("pair-03", "gap", "pair-02"),
    ]  # fmt: skip
    found = lineage(run)
    assert f"{alone.info['id']}/pair-01" in found.generators["pair-00"]
    assert lineage(gap).discriminators["pair-02"] < found.discriminators["pair-03"]
    with pytest.raises(ConfigError, match="start_from: 1 trained pairs for 2"):
        small(tmp_path, "few", num_pairs=2, start_from=[f"{alone.path}:pair-01"])
    with pytest.raises(ConfigError, match=r"start_from: .*pair-1"):
        small(tmp_path, "typo", num_pairs=2, start_from=[f"{alone.path}:pair-1"])


def test_a_source_that_cannot_be_gone_on_from_is_told_before_anything_is_written(
    tmp_path: Path,
) -> None:
    alone = small(tmp_path, "alone", num_pairs=2, strategy="independent", steps=2)
    with pytest.raises(CheckpointError, match="has other networks than this config builds"):
        small(
            tmp_path,
            "wider",
            num_pairs=2,
            start_from=[str(alone.path)],
            network={"name": "mlp", "hidden": 24, "z_dim": 2},
        )
    shutil.rmtree(alone.path / "checkpoints")
    with pytest.raises(CheckpointError, match="has no usable checkpoint"):
        small(tmp_path, "none", num_pairs=2, start_from=[str(alone.path)])
    assert sorted(p.name for p in tmp_path.iterdir() if not p.is_symlink()) == ["alone"]


# -------------------------------------------------------------------------------------------------
# one truth


def everything(run: Run) -> tuple[Any, ...]:
    return lineage(run), [tuple(r) for r in run.swaps[["step", "player", "from"]].to_numpy()]


def test_who_met_whom_does_not_hang_on_what_is_not_protected(
    runs: tuple[Run, Run],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """events.jsonl cut off after each of its lines, and gone: the same answer, and it is told and
    can be mended.
    """
    whole = everything(runs[0])
    run = Run.load(shutil.copytree(runs[0].path, tmp_path / "copy", symlinks=True))
    events = run.path / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    swaps = [i for i, line in enumerate(lines) if b'"swap"' in line]
    for keep in range(len(lines)):
        events.write_bytes(b"".join(lines[:keep]))
        caplog.clear()
        assert everything(Run.load(run.path)) == whole
        lost = sum(i >= keep for i in swaps)
        assert (f"lacks {lost} of the journal's records" in caplog.text) == (lost > 0)
    events.unlink()
    assert everything(Run.load(run.path)) == whole
    for told in (f"{len(swaps)} swap written again", "has all that the journal says"):
        with pytest.raises(SystemExit) as stop:
            main(["runs", "--repair", str(run.path)])
        assert stop.value.code == 0
        assert told in capsys.readouterr().out
    again = [e for e in Run.load(run.path).events if e["kind"] == "swap"]
    assert [e["moves"] for e in again] == [
        e["moves"] for e in runs[0].events if e["kind"] == "swap"
    ]


def test_what_was_written_is_not_lost_by_a_repair(runs: tuple[Run, Run], tmp_path: Path) -> None:
    """One line of the middle is gone: it comes back in its place, and all others stay."""
    run = Run.load(shutil.copytree(runs[0].path, tmp_path / "copy", symlinks=True))
    before = run.events
    (gone,) = [i for i, e in enumerate(before) if e["kind"] == "swap"][1:2]
    lines = (run.path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "events.jsonl").write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
    assert repair(Run.load(run.path)) == {"swap": 1}
    facts = [{k: v for k, v in e.items() if k != "time"} for e in Run.load(run.path).events]
    assert facts == [{k: v for k, v in e.items() if k != "time"} for e in before]


def test_a_repair_after_the_clock_went_back_keeps_what_was_right(
    runs: tuple[Run, Run], tmp_path: Path
) -> None:
    run = Run.load(shutil.copytree(runs[0].path, tmp_path / "copy", symlinks=True))
    before = run.events
    swaps = [i for i, e in enumerate(before) if e["kind"] == "swap"]
    # From the second swap on an hour earlier; the first is lost.
    turned = [e | {"time": e["time"] - 3600 * (i >= swaps[1])} for i, e in enumerate(before)]
    del turned[swaps[0]]
    (run.path / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in turned))
    assert repair(Run.load(run.path)) == {"swap": 1}
    facts = [{k: v for k, v in e.items() if k != "time"} for e in Run.load(run.path).events]
    assert facts == [{k: v for k, v in e.items() if k != "time"} for e in before]


def test_a_damaged_journal_is_an_error_and_not_another_answer(
    runs: tuple[Run, Run], tmp_path: Path
) -> None:
    run = Run.load(shutil.copytree(runs[0].path, tmp_path / "copy", symlinks=True))
    file = run.path / "journal/00000001.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if b'"swap"' in line)
    file.write_bytes(
        b"".join([*lines[:at], lines[at].replace(b'"swap"', b'"swop"'), *lines[at + 1 :]])
    )
    for question in (lineage, repair):
        with pytest.raises(CheckpointError, match="is damaged"):
            question(Run.load(run.path))


def test_of_an_older_release_the_events_count_and_that_is_told(
    runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its journal's resumes do not say which swaps they kept."""
    old = read_journal(LocalStorage(runs[0].path))
    for record in old.of("resume"):
        record.pop("swapped")
    monkeypatch.setattr("raygan.service.runs.lineage.read_journal", lambda _: old)
    assert lineage(runs[0]) == everything(runs[0])[0]
    assert "read from its events.jsonl, which nothing protects" in caplog.text


def test_a_fork_has_met_whom_its_source_had_met(runs: tuple[Run, Run], tmp_path: Path) -> None:
    gap = runs[0]
    resolved = resolve(
        "ring8-gap",
        flags={**TINY, "strategy": {"name": "gap", "swap_every": 4}, "num_pairs": 3, "steps": 14},
    )
    fork(gap.path, tmp_path / "fork", resolved)
    before, after = lineage(gap), lineage(Run.load(tmp_path / "fork"))
    assert all(before.discriminators[p] < after.discriminators[p] for p in gap.pairs)
    assert all(before.generators[p] < after.generators[p] for p in gap.pairs)


# --------------------------------------------------------------------------------- against a run
# that is played through


@dataclass
class Played:
    """A run in small: who holds which networks, whom they have met, and what its journal says of
    it.
    """

    now: dict[str, tuple[str, frozenset[str], int]]
    """pair -> its generator, whom its discriminator has met, its own step at its last swap."""
    journal: list[dict[str, Any]] = field(default_factory=list)
    saved: list[dict[str, tuple[str, frozenset[str], int]]] = field(default_factory=list)
    step: int = 0

    def train(self) -> None:
        self.step += 1
        self.now = {p: (g, met | {g}, at) for p, (g, met, at) in self.now.items()}

    def swap(self, takes: Mapping[str, str], what: str) -> None:
        before, moves = dict(self.now), list[dict[str, Any]]()
        for p, q in takes.items():
            g, d = (before[p][0], before[q][1]) if what == "D" else (before[q][0], before[p][1])
            self.now[p] = g, d, self.step
            moves.append({"player": p, "from": q, "what": what, "at": self.step})
        self.journal.append({"kind": "swap", "step": self.step, "moves": moves})

    def go_back(self, to: int) -> None:
        del self.saved[to + 1 :]
        self.now = dict(self.saved[-1])
        self.journal.append(
            {"kind": "resume", "step": 0, "swapped": {p: at for p, (_, _, at) in self.now.items()}}
        )


DEEDS = st.one_of(
    st.tuples(st.just("swap"), st.permutations(range(4)), st.integers(2, 4), st.sampled_from("DG")),
    st.tuples(st.just("save")),
    st.tuples(st.just("back"), st.integers(0, 3)),
)


@given(st.lists(DEEDS, max_size=25))
@settings(max_examples=150, deadline=None)
def test_lineage_of_the_journal_is_who_met_whom_in_the_run(deeds: list[tuple[Any, ...]]) -> None:
    """Swaps of some or all, of D or G, in cycles; checkpoints; returns to one of them, over and
    over.
    """
    names = [f"pair-{i:02d}" for i in range(4)]
    run = Played({p: (f"r/{p}", frozenset(), -1) for p in names})
    run.train()
    run.saved.append(dict(run.now))
    for deed in deeds:
        if deed[0] == "swap":
            some = [names[i] for i in deed[1]][: deed[2]]
            run.swap(dict(zip(some, some[1:] + some[:1], strict=True)), deed[3])
            run.train()
        elif deed[0] == "save":
            run.saved.append(dict(run.now))
        else:
            run.go_back(min(deed[1], len(run.saved) - 1))
    for checkpoint in run.saved:  # the newest, and what `fork` asks of older ones that still count
        kept = {p: at for p, (_, _, at) in checkpoint.items()}
        found = replay("r", dict.fromkeys(names, Role()), run.journal, kept)
        assert found.generators == {p: frozenset({g}) for p, (g, _, _) in checkpoint.items()}
        assert found.discriminators == {p: met for p, (_, met, _) in checkpoint.items()}


def test_a_long_journal_is_read_in_time_that_grows_with_it() -> None:
    """Twice as many in at most three times the time, however often the run has gone back."""
    names = [f"pair-{i:03d}" for i in range(100)]
    took = []
    for count in (10_000, 20_000):
        events = [
            swap(n, (names[n % 100], names[(7 * n + 1) % 100]))
            for n in range(count)
            if n % 100 != (7 * n + 1) % 100
        ]
        back = {"kind": "resume", "step": 0, "swapped": dict.fromkeys(names, count)}
        events = [
            e for i, event in enumerate(events) for e in ([event, back] if i % 50 == 0 else [event])
        ]
        began = time.process_time()
        found = replay("run", dict.fromkeys(names, Role()), events, dict.fromkeys(names, count))
        took.append(time.process_time() - began)
    assert took[1] < 3 * took[0] + 0.2
    assert all(found.generators[p] < met for p, met in found.discriminators.items())

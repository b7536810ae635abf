"""A strategy of one file says itself who its players are; nobody else tests a strategy's name."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

import raygan
from raygan.cli import main
from raygan.config import Config, resolve
from raygan.data.given import spec_of
from raygan.errors import RayganError
from raygan.own.objects import named
from raygan.service.plan import plan_text
from raygan.service.runs.lineage import lineage
from raygan.service.runs.run import Run
from raygan.service.sweeps.costs import costs
from raygan.service.sweeps.file import scored
from raygan.service.verify import verify_config
from raygan.service.views import colours, diagnostics
from raygan.strategies.base import load_data
from raygan.strategies.roles import Role, label_of, ordered, with_verdicts
from tests.conftest import TINY

TEACHER = """
from raygan.gan.pair import Pair
from raygan.strategies.orders import Train
from raygan.strategies.base import StrategyComponent

class Taught(StrategyComponent):
    def players(self, config):
        return [*self.locals(config), "teacher"]

    def build(self, name, setup, sharing=None):
        return Pair(name, setup.parts(name), sharing)

    def decide(self, ready, progress, plan):
        done = progress.done
        return [Train(p, plan.next_stop(done[p]) - done[p]) for p in ready if done[p] < plan.steps]
"""
STRANGER = TEACHER.replace("Train(p, ", 'Train("nobody-here", ')
NOBODY = TEACHER.replace("if done[p] < plan.steps", "if False")


def own(folder: Path, text: str) -> Config:
    file = folder / "taught.py"
    file.write_text(text)
    settings = {**TINY, "strategy": str(file), "num_pairs": 2, "steps": 20}
    settings["evaluation"] = {"every_steps": 20, "samples": 1600}
    return resolve(None, (), named(settings, spec_of)).config


def test_a_player_of_its_own_counts_as_no_pair_and_is_not_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = own(tmp_path, TEACHER)
    spec = str(tmp_path / "taught.py")
    evaluation = {"every_steps": 20, "samples": 1600}
    settings = {**TINY, "num_pairs": 2, "steps": 20, "strategy": spec, "evaluation": evaluation}
    run = raygan.train(None, run_dir=tmp_path / "runs", name="t", inline=True, **settings)
    run = Run.load(run.path)
    assert run.players == ["pair-00", "pair-01", "teacher"]
    assert run.pairs == ["pair-00", "pair-01"]
    assert set(run.scores()) == {"pair-00", "pair-01", "mixture"}
    assert "teacher" not in scored(config)
    assert (
        set(lineage(run).generators) == set(lineage(run).discriminators) == {"pair-00", "pair-01"}
    )
    assert ordered(run.players, run.roles) == run.players
    assert {colours.colour(p, run.roles) for p in run.pairs}.isdisjoint(
        {colours.colour("teacher", run.roles)}
    )
    drawn = list[list[str]]()
    monkeypatch.setattr(
        diagnostics, "ordered", lambda who, roles: drawn.append(ordered(who, roles)) or drawn[-1]
    )
    for argv in (
        "status",
        "report",
        "evaluate --samples 1500",
        "evaluate --metrics gam2 --samples 50",
    ):
        verb, *flags = argv.split()
        with pytest.raises(SystemExit, match="0"):
            main([verb, str(run.path), *flags])
    assert drawn
    assert not any("teacher" in who for who in drawn), "it is asked for no verdict and no sample"
    assert label_of("teacher", run.roles) == "other"


def test_an_own_strategy_names_its_main_player_and_its_judge_as_it_likes() -> None:
    roles = {
        "a": Role(),
        "chief": Role(pair=False, main=True),
        "umpire": Role(pair=False, scored=False, judges=True),
    }
    assert ordered([*roles, "mixture"], roles) == ["chief", "a", "umpire", "mixture"]
    assert with_verdicts(roles, roles) == ["chief", "umpire"]
    assert with_verdicts(roles, {**roles, "chief": Role(pair=False, verdicts=False)}) == ["umpire"]
    assert [label_of(p, roles) for p in roles] == ["generator", "global", "judge"]
    assert [colours.colour(p, roles) for p in ("chief", "umpire")] == [
        colours.MAIN,
        colours.JUDGING,
    ]


def test_plan_verify_and_costs_take_it_and_say_what_they_do_not_know(tmp_path: Path) -> None:
    config = own(tmp_path, TEACHER)
    assert "does not say" in plan_text(
        resolve(None, (), named({**TINY, "strategy": str(tmp_path / "taught.py")}, spec_of)),
        "local",
    )
    assert math.isnan(costs(config, 1, 0.0, load_data(config))["megabytes"])
    results = verify_config(config, 4, "local", inline_only=True)
    assert [r.promised for r in results] == [False, False, True]
    assert all(r.ok for r in results)


@pytest.mark.parametrize(
    ("text", "says"),
    [(STRANGER, "orders nobody-here, who is no player"), (NOBODY, "orders nobody")],
)
@pytest.mark.parametrize("verb", ["train", "verify", "plan"])
def test_an_order_that_cannot_be_carried_out_is_one_line_and_nothing_hangs(
    tmp_path: Path, text: str, says: str, verb: str
) -> None:
    config = own(tmp_path, text)
    settings = {**TINY, "num_pairs": 2, "steps": 20, "strategy": str(tmp_path / "taught.py")}
    with pytest.raises(RayganError, match=says) as caught:  # noqa: PT012
        if verb == "train":
            raygan.train(None, run_dir=tmp_path / "runs", name="t", inline=True, **settings)
        elif verb == "verify":
            verify_config(config, 4, "local", inline_only=True)
        else:
            plan_text(resolve(None, (), named(settings, spec_of)), "local")
    assert "taught" in str(caught.value)
    assert "\n" not in str(caught.value)


NAMED = re.compile(
    r"\b(?:GLOBAL|JUDGE|ROLES)\b|isinstance\([^)]*\b(?:Sgan|Gap|Pmgan)\b"
    r"|[!=]= \"(?:independent|sgan|gap|pmgan|global|judge|dcgan|mlp)\"|startswith\(\"(?:pair|gen)"
    r"|=== \"(?:global|judge)\"|tr\.global"
)


def test_nobody_else_knows_a_player_or_a_strategy_by_its_name() -> None:
    root = Path(raygan.__file__).parent
    files = [f for kind in ("py", "js", "css", "j2") for f in root.rglob(f"*.{kind}")]
    own = ("gap.py", "independent.py", "roles.py")  # and those in the folders of strategies
    folders = ("sgan", "pmgan", "federated", "papers")  # what a paper claims names what it is about
    strangers = [f for f in files if f.parent.name not in folders and f.name not in own]
    assert [str(f.relative_to(root)) for f in strangers if NAMED.search(f.read_text())] == []

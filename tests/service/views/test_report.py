"""A report says first what it found, and is as long for 128 pairs as for eight."""

import itertools
import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from raygan.config import full_dump, resolve
from raygan.controller import bucket_copies
from raygan.controller.run_folder import RunFolder
from raygan.service.runs.run import Run
from raygan.service.views.colours import JUDGING, MAIN, MIXED, OTHER, PAIRS, REAL, shade
from raygan.service.views.drawings import entry_of
from raygan.service.views.report import write_report
from raygan.service.views.standing import FEW, Standing, actors, answers, cost_line, standing
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import MIXTURE
from tests.browser import Browser

KEEP = os.environ.get("RAYGAN_TEST_PICTURES", "")
"""Where to keep what the browser saw, for people to look at."""
STEPS = (200, 400, 600, 800, 1000)
PROTOCOL = {
    "data": "ring8 (8 modes)", "split": "fresh draws", "n_real": 2500, "n_fake": 2500,
    "floor": {"modes": 8.0, "modes@10%": 0.0, "high_quality": 0.01, "reverse_kl": 2.0},
    "ceiling": {"modes": 8.0, "modes@10%": 8.0, "high_quality": 0.99, "reverse_kl": 0.001},
}  # fmt: skip


def written(parent: Path, pairs: int, strategy: str = "sgan") -> Run:
    """A run of so many pairs as its files tell it; nobody has trained it. The last pair is bad."""
    flags = {"num_pairs": pairs, "steps": STEPS[-1], "strategy": strategy, "data": "ring8"}
    config = resolve(None, (), flags).config
    folder = RunFolder.create(parent, f"of-{pairs}")
    plan = strategy_of(config)
    players = plan.players(config)
    folder.write("config.json", json.dumps(full_dump(config)))
    folder.write("config.yaml", resolve(None, (), flags).yaml())
    folder.write("command.txt", "raygan train\n")
    rng = np.random.default_rng(0)
    means = np.array([(np.cos(t), np.sin(t)) for t in np.arange(8) * np.pi / 4])
    scored = plan.scored(config) + ([MIXTURE] if pairs > 1 else [])
    for step in STEPS:
        for i, player in enumerate(players):
            folder.metric(
                kind="train", player=player, step=step, steps=200, elapsed=step / 10,
                loss_d=1.3 + 0.01 * i, loss_g=0.7, d_accuracy=0.6, grad_d=0.1, grad_g=0.1,
            )  # fmt: skip
        for player in scored:
            bad = player == f"pair-{pairs - 1:02d}" and pairs > 2
            good = (0.1 if bad else 0.7 + 0.2 * rng.random()) * step / 1000
            folder.metric(
                kind="score", player=player, step=step, elapsed=step / 10, protocol="abc",
                modes=8.0, high_quality=good, reverse_kl=1 - good,
                **{"modes@10%": 2.0 if bad else 8.0},
            )  # fmt: skip
        folder.event("resume", step, players=players, swapped={p: p for p in players})
        points = means[rng.integers(0, 8, 300)] + rng.normal(0, 0.02, (300, 2))
        folder.samples(step, {p: points.astype(np.float32) for p in scored})
    roles = {p: vars(role) for p, role in plan.roles(config).items()}
    folder.status(
        name=f"of-{pairs}", status="done", exit_code=0, protocols={"abc": PROTOCOL}, elapsed=100.0,
        busy_seconds=dict.fromkeys(players, 80.0), roster=players, roles=roles,
        versions={"raygan": "0"}, machine={"cpus": 2, "processor": "x"}, warnings={}, git=None,
        error=None, created=0.0, shape=[2], executor="inline", cpus_per_player=1.0,
    )  # fmt: skip
    folder.close()
    return Run.load(folder.path)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Run, Path]]:
    parent = tmp_path_factory.mktemp("reports")
    runs = {n: written(parent, n) for n in (1, 8, 32, 128)}
    return {n: (run, write_report(run)) for n, run in runs.items()}


@pytest.mark.parametrize("pairs", [1, 8, 32, 128])
def test_a_report_is_small_at_any_number_of_pairs(
    pairs: int, reports: dict[int, tuple[Run, Path]]
) -> None:
    run, path = reports[pairs]
    html = path.read_text()
    assert path.stat().st_size < 3 << 20
    assert html.index("In short") < html.index("<h2>Result") < html.index("<img")
    assert ("All pairs" in html) is (pairs > FEW)
    images = re.findall(r'<img\s+alt="([^"]*)"', html)
    assert images
    assert all(images)
    assert next(int(n) for n in re.findall(r"<h([1-6])", html)) == 1
    assert all(f">{p}</th>" in html for p in run.pairs), "each pair's scores are there, if folded"


def test_the_answers_name_the_bad_pair(reports: dict[int, tuple[Run, Path]]) -> None:
    run, path = reports[128]
    found = standing(run, entry_of(run))
    assert found.bad == ["pair-127"]
    assert found.order[-1] == "pair-127"
    assert set(found.chosen().values()) == {"best", "median", "worst"}
    html = path.read_text()
    assert re.search(r"Which pair is bad\?</dt><dd>pair-127 \(\d+ %\)", html)
    assert "127 of 128 pairs have all 8 by themselves" in html


@pytest.mark.parametrize("strategy", ["federated", "mdgan", "sgan"])
def test_who_has_no_generator_is_not_judged(strategy: str, tmp_path: Path) -> None:
    run = written(tmp_path, 3, strategy)
    found = standing(run, entry_of(run))
    said = dict(answers(run, entry_of(run), found))
    assert ("Which pair is bad?" in said) == (strategy == "sgan")
    assert ("pairs have all" in said["Is a mode lost?"]) == (strategy == "sgan")
    assert said["Is a mode lost?"].startswith("global 8")
    assert "global" in said["Who is best?"]
    many = standing(written(tmp_path, 12, strategy), entry_of(run))
    shown = many.of(run.players, run.roles)
    assert "global" in shown
    assert len(many.of(many.gone, run.roles)) == 3, "of many that are shown a few stand for all"
    named = {many.told(p) for p in many.chosen()}
    assert any("(best)" in name for name in named) == (strategy == "sgan")


@pytest.mark.parametrize("status", ["done", "running"])
@pytest.mark.parametrize("place", ["elsewhere", "with spaces, and 'quotes'", "bucket"])
def test_the_commands_that_it_tells_can_be_typed_anywhere(
    place: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name alone is found below ./runs only."""
    (tmp_path / place).mkdir()
    run, there = written(tmp_path / place, 2), tmp_path / place / "of-2"
    told = str(there.resolve())
    if place == "bucket":
        told = "s3://bucket/runs/of-2"
        monkeypatch.setattr(bucket_copies, "address_of", lambda path: told)
    # as `Run.info` of one with swaps, whose comparison is a command too
    (there / "run.json").write_text(json.dumps({**run.info, "swaps": 3, "status": status}))
    said = dict(answers(run, entry_of(run), standing(run, entry_of(run))))
    for question in ("What next?", "Did swapping help?"):
        command = shlex.split(said[question][said[question].index("raygan ") :])
        assert command[2] == told, question
    assert all(p in run.players for p in re.findall(r"--from (\S+)", said["What next?"]))


def test_few_pairs_are_all_shown() -> None:
    assert Standing("m", {"a": 0.1, "b": float("nan")}).chosen() == {"a": "", "b": ""}
    many = Standing(None, {f"p{i}": float("nan") for i in range(20)})
    assert many.chosen() == {"p0": "best", "p10": "median", "p19": "worst"}
    assert len({many.dashes(p) for p in many.chosen()}) == 3, "told apart in one colour too"
    assert Standing("m", {}).chosen() == {}


def test_costs_count_actors_that_exist(reports: dict[int, tuple[Run, Path]]) -> None:
    run, _ = reports[32]
    assert actors(run) == 1
    assert cost_line(run.info, actors(run)).endswith("reserved: 0.03 CPU-hours.")


def test_a_pairs_colour_does_not_depend_on_who_else_is_shown() -> None:
    names = [f"pair-{i:02d}" for i in range(20)]
    assert shade("pair-03", names) == shade("pair-03", names[:5]) == PAIRS[3]


def _linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _deuteranope(colour: str) -> np.ndarray:
    """In CIE Lab, as Machado et al. (2009) simulate it."""
    seen = np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ]) @ _linear(colour)  # fmt: skip
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ seen.clip(0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("colour", [*PAIRS, MAIN, MIXED, JUDGING, OTHER, REAL])
def test_colours_stand_out_from_white(colour: str) -> None:
    assert 1.05 / (_linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3.0


def test_colours_are_apart_for_the_colour_blind() -> None:
    for a, b in [*itertools.combinations(PAIRS, 2), (MAIN, MIXED), (MAIN, REAL)]:
        assert np.linalg.norm(_deuteranope(a) - _deuteranope(b)) >= 20, (a, b)


CHECKS = """(() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const linear = (x) => (x /= 255) <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4;
  const light = (c) => {
    const [r, g, b] = parts(c).map(linear);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (parts(c)[3] !== 0) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [], text = (n) => n.nodeType === 3 && n.data.trim();
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(text) || !e.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push([e.tagName, e.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  const page = document.documentElement, all = (what) => [...document.querySelectorAll(what)];
  return {
    poor, high: page.scrollHeight, wide: page.scrollWidth, lang: page.lang,
    levels: all("h1, h2, h3").map((h) => +h.tagName[1]),
    mute: all("img").filter((i) => !i.alt).length,
    unreachable: all(".scroll").filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth
      && e.tabIndex < 0).length,
  };
})()"""
"""Contrast, size, headings, alt texts, keyboard: what axe-core would ask of such a page."""


@pytest.mark.exhaustive
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(
    width: int, reports: dict[int, tuple[Run, Path]], tmp_path: Path
) -> None:
    browser = Browser(width, 900, phone=width < 600)
    try:
        for pairs, (_, path) in reports.items():
            browser.go(path.as_uri())
            browser.until(
                f"document.readyState == 'complete' && document.title.startsWith('of-{pairs} ')"
            )
            for scheme in ("light", "dark"):
                look = {"name": "prefers-color-scheme", "value": scheme}
                browser.call("Emulation.setEmulatedMedia", features=[look])
                found = browser.js(CHECKS)
                assert found["poor"] == [], (pairs, scheme)
            assert found["high"] <= 4000, pairs
            assert found["wide"] <= width, pairs
            assert (found["mute"], found["unreachable"], found["lang"]) == (0, 0, "en")
            assert (found["levels"][0], set(found["levels"][1:])) == (1, {2})
        if KEEP:
            for pairs, (_, path) in reports.items():
                for scheme in ("light", "dark"):
                    look = {"name": "prefers-color-scheme", "value": scheme}
                    browser.call("Emulation.setEmulatedMedia", features=[look])
                    browser.go(path.as_uri())
                    browser.until("document.readyState == 'complete'")
                    browser.screenshot(Path(KEEP) / f"report-{pairs}-{width}-{scheme}.png")
    finally:
        browser.close()

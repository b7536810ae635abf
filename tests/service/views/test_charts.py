"""The curves of a report answer to a pointer, to keys and to one filter, offline in one file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raygan.service.runs.downsampling import Curve
from raygan.service.runs.identity import known_data
from raygan.service.runs.run import Run
from raygan.service.views.chart import Band, Chart, Line, Panel, band, line_of
from raygan.service.views.chart_data import LEAST, NUMBERS, ChartData, thinned
from raygan.service.views.drawings import drawings, pictured
from raygan.service.views.report import write_report
from tests.browser import Browser
from tests.service.views.test_report import PROTOCOL, written

BAD = "</script><script>document.title = 'bad'</script><!--<script>"
"""What a stranger may have written where a name stands."""


def told(path: Path) -> dict[str, Any]:
    """What the page's script is given."""
    found = re.search(r'id="chart-data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    out: dict[str, Any] = json.loads(found[1])
    return out


def rows_of(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def told_again(run: Run, rows: list[dict[str, Any]]) -> Path:
    """The report of a run whose log says this."""
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return write_report(Run.load(run.path))


def many(players: int, points: int, panels: int, axes: int = 2) -> Chart:
    """Each curve has one peak and one gap."""
    at = {f"x{i}": [float(n) for n in range(points)] for i in range(axes)}
    out = []
    for p in range(panels):
        lines = []
        for n in range(players):
            values = [math.sin(i + n) for i in range(points)]
            values[(7 * n + 3 * p + 5) % (points // 2)], values[points // 2] = 99.0, math.nan
            look = {"player": f"pair-{n:03d}", "colour": "#0072b2", "named": n < 4}
            lines.append(Line(f"pair-{n:03d}", at=at, values=values, **look))
        out.append(Panel(f"panel {p}", {x: x for x in at}, lines))
    return Chart(out, 2.0)


def test_the_chart_has_what_the_picture_has(report: Path) -> None:
    run, found = Run.load(report.parents[1]), told(report)
    assert [p["name"] for p in found["players"]] == [
        "global", "mixture", "pair-00", "pair-01", "pair-02"
    ]  # fmt: skip
    scores, training = found["charts"]
    panel = next(p for p in scores if p["name"].startswith("high_quality"))
    for line in panel["lines"]:
        mine = [r for r in rows_of(run) if r["kind"] == "score" and r["player"] == line["player"]]
        assert line["values"] == [float(f"{r['high_quality']:.5g}") for r in mine]
        for x in ("step", "elapsed"):
            assert panel["places"][line["at"][x]] == [r[x] for r in mine]
    assert {level["value"] for level in panel["levels"]} == {0.99, 0.01}
    assert [p["log"] for p in training] == [False, False, False, True, True]
    colours = {(m["player"], m["colour"]) for c in found["charts"] for p in c for m in p["lines"]}
    assert len(colours) == len(dict(colours)), "one colour a player"


def test_what_is_no_number_is_a_gap(tmp_path: Path) -> None:
    run = written(tmp_path, 3)
    rows = rows_of(run)
    for row in rows:
        if row["player"] == "pair-01" and row["step"] in (400, 600):
            row["high_quality"] = math.nan if row["step"] == 400 else math.inf
    path = told_again(run, rows)
    assert not re.search(r"\b(NaN|Infinity)\b", json.dumps(told(path)))
    panel = next(p for p in told(path)["charts"][0] if p["name"].startswith("high_quality"))
    (line,) = [m for m in panel["lines"] if m["player"] == "pair-01"]
    assert [v is None for v in line["values"]] == [False, True, True, False, False]


def test_of_a_step_that_was_repeated_the_last_row_counts() -> None:
    rows = [{"step": s, "a": v} for s, v in ((5, 1), (10, 2), (15, 3), (10, 4), ("x", 5))]
    line = line_of([*rows, {"step": 20}], ["step"], "a", label="", colour="")
    assert (line.at["step"], line.values) == ([5, 10, 15], [1.0, 4.0, 3.0])


@pytest.mark.parametrize("count", [50, 997])
def test_thinned_curves_keep_their_ends_peaks_and_gaps(count: int) -> None:
    for peak in range(count):
        values = [0.1 * (i % 3) for i in range(count)]
        values[peak] = -9.0
        values[count // 3] = math.nan if peak != count // 3 else -9.0
        kept = thinned(values, 20)
        assert {0, count - 1, peak, count // 3} <= {*kept}
        assert len(kept) <= 22


def test_a_long_runs_peaks_are_not_passed_over() -> None:
    for peak in (1, 4999, 7777, 9999):
        curve = Curve(100)
        for i in range(10_000):
            loss = 1.0 if i != peak else 50.0
            curve.add({"step": i, "loss": loss, "grad": math.nan if i == 321 else 0.1, "who": "a"})
        steps = [row["step"] for row in curve.peaks()]
        assert {0, peak, 321, 9999} <= {*steps}
        assert steps == sorted(set(steps))
        assert len(steps) <= 250


def test_peaks_widen_a_band_and_move_no_quartile() -> None:
    curves = {f"pair-{n:02d}": Curve(100) for n in range(20)}
    for i in range(5000):
        for n, curve in enumerate(curves.values()):
            curve.add({"step": i, "loss": 99.0 if (n, i) == (3, 2345) else n / 20})
    found = band(curves, "step", "loss")
    assert found is not None
    low, first, middle, third, high = found.quantiles
    assert max(high) == 99.0
    assert sum(v > 1 for v in high) == 1
    assert ({*low}, max(third) < 0.75, min(first) > 0.2) == ({0.0}, True, True)
    assert {*middle} == {0.475}


def test_many_pairs_have_room_and_what_has_none_is_said() -> None:
    found = ChartData()
    for panels in (4, 5, 2):
        chart = many(132, 1500, panels)
        number = found.add(chart, [line.player for line in chart.panels[0].lines])
        for panel in found.charts[number]:
            assert len(panel["lines"]) == 132
            assert all(99.0 in line["values"] for line in panel["lines"]), "each peak is there"
            assert all(None in line["values"] for line in panel["lines"]), "and each gap"
        assert "least and its greatest" in found.notes[number]
        assert "left out" not in found.notes[number]
    size = len(json.dumps(found.dump(), separators=(",", ":")))
    assert size < 2_000_000, "beside less than a MB of pictures"

    crowd, players = ChartData(), 3000
    order = [f"pair-{n:03d}" for n in reversed(range(players))]
    number = crowd.add(many(players, LEAST, 2), order)
    there = {line["player"] for line in crowd.charts[number][0]["lines"]}
    left = players - len(there)
    assert {"pair-000", "pair-003", order[0]} <= there, "who is shown at first, and the best"
    assert f"the curves of the {left} worst pairs are left out" in crowd.notes[number]
    assert sum(len(m["values"]) * 3 for p in crowd.charts[0] for m in p["lines"]) <= NUMBERS


def test_one_pair_is_told_whole() -> None:
    found = ChartData()
    found.add(many(1, 2000, 5), [])
    assert found.notes == [""]
    assert all(len(p["lines"][0]["values"]) == 2000 for p in found.charts[0])


def test_a_chart_of_a_thousand_pairs_is_as_large_as_is_said() -> None:
    chart = many(1000, 100, 5, axes=1)
    # async: each has steps of its own, which are told a curve
    panels = [
        replace(panel, lines=[
            replace(line, at={x: [137.0 * v + n for v in at] for x, at in line.at.items()})
            for n, line in enumerate(panel.lines)
        ])
        for panel in chart.panels
    ]  # fmt: skip
    found = ChartData()
    found.add(replace(chart, panels=panels), [])
    assert len(json.dumps(found.charts, separators=(",", ":"))) < 1_100_000


def test_rows_of_a_fast_run_stay_apart() -> None:
    seconds = [1000.001, 1000.002, 1000.003, 1001.0]
    line = Line("a", "#000000", {"elapsed": seconds, "step": [1, 2, 3, 4]}, [1.0, 9.0, 2.0, 3.0])
    middle = Band(1, seconds, [[1.0] * 4] * 5)
    panel = Panel("loss", {"elapsed": "seconds"}, [line], bands={"elapsed": middle})
    found = ChartData()
    found.add(Chart([panel], 2.0), [])
    (out,) = found.charts[0]
    assert out["places"][out["lines"][0]["at"]["elapsed"]] == seconds
    assert out["bands"]["elapsed"]["at"] == seconds


def test_of_fields_that_raygan_does_not_know_there_is_no_chart(tmp_path: Path) -> None:
    """A strategy of one's own logs by its own names."""
    run = written(tmp_path, 3)
    known = ("loss_d", "loss_g", "d_accuracy", "grad_d", "grad_g")
    rows = [{k: v for k, v in row.items() if k not in known} for row in rows_of(run)]
    path = told_again(run, [row | {"energy": 1.0} for row in rows])
    assert len(told(path)["charts"]) == 1, "scores"
    assert "<h3>Training" not in path.read_text()
    found, show = pictured(Run.load(run.path))
    made = {d.key: d for d in drawings(Run.load(run.path), known_data(run.info, run.config), found,
                                       show)}  # fmt: skip
    assert made["training"].draw() is None, "nor on the live page"


def test_uplot_is_in_the_page_with_its_licence_and_nothing_is_fetched(report: Path) -> None:
    html = report.read_text()
    assert "Copyright (c) 2022 Leon Sorokin" in html
    assert not re.search(r'(src|href)="(?!data:)', html)


# --------------------------------------------------------------------------------------------------
# in a browser


class Page:
    """A report as a reader handles it."""

    def __init__(self, path: Path) -> None:
        self.browser = Browser(1280, 900)
        self.open(path)

    def open(self, path: Path, drawn: bool = True) -> None:
        self.browser.go("about:blank")
        self.browser.until("location.href == 'about:blank'")
        self.browser.go(path.as_uri())
        self.browser.until("document.readyState == 'complete' && location.href != 'about:blank'")
        self.browser.js("document.querySelectorAll('details.card').forEach((d) => d.open = true)")
        if drawn:
            self.browser.until(
                "(() => { const all = [...document.querySelectorAll('.frame')];"
                " return all.length && all.every((f) => f.querySelector('canvas')) })()"
            )

    def mouse(self, kind: str, number: int, x: float, y: float = 0.5) -> None:
        """x, y: shares of a panel's width and height."""
        left, top, wide, high = self.browser.js(
            f"(() => {{ const e = document.querySelectorAll('.u-over')[{number}];"
            " e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            " return [r.x, r.y, r.width, r.height] })()"
        )
        at = {"x": left + x * wide, "y": top + y * high}
        more = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        if kind == "mouseDragged":
            kind, more = "mouseMoved", {"button": "left", "buttons": 1}
        self.browser.call("Input.dispatchMouseEvent", type=kind, **at, **more)

    def hover(self, number: int, x: float, y: float = 0.5) -> str:
        """What a panel tells of the point there."""
        self.mouse("mouseMoved", number, 0.5, -0.3)
        hint = f"document.querySelectorAll('.u-over')[{number}].querySelector('.hint')"
        self.browser.until(f"{hint}.hidden")
        self.mouse("mouseMoved", number, x, y)
        text: str = self.browser.until(f"{hint}.hidden ? '' : {hint}.innerText")
        return text

    def drag(self, number: int, start: float, end: float) -> None:
        self.mouse("mouseMoved", number, start)
        self.mouse("mousePressed", number, start)
        for share in (0.5, 1):
            self.mouse("mouseDragged", number, start + share * (end - start))
        self.mouse("mouseReleased", number, end)

    def type(self, text: str) -> None:
        """Into the filter, in place of what is there."""
        word = "document.querySelector('#filter input')"
        self.browser.js(
            f"{word}.value = ''; {word}.focus(); {word}.dispatchEvent(new Event('input'))"
        )
        self.browser.call("Input.insertText", text=text)

    def key(self, name: str) -> None:
        text = {"text": name} if len(name) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=name, **text)

    def shown(self) -> str:
        out: str = self.browser.js("document.querySelector('#filter output').textContent")
        return out


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(written(tmp_path_factory.mktemp("report"), 3))


@pytest.fixture
def page(report: Path) -> Iterator[Page]:
    out = Page(report)
    yield out
    complaints = out.browser.complaints
    out.browser.close()
    assert complaints == []


LAST = 0.985
"""Where the last of a chart's points lies."""


@pytest.mark.exhaustive
def test_hovering_tells_step_pair_and_value(page: Page) -> None:
    step, *lines = page.hover(0, LAST, 0.9).split("\n")
    assert step == "step 1,000"
    assert lines[0] == "pair-02 0.1", "the nearest first"
    assert {line.split(" ")[0] for line in lines[1:5]} == {
        "global", "mixture", "pair-00", "pair-01"
    }  # fmt: skip
    assert lines[5:] == ["ceiling (real data) 0.99", "floor (noise) 0.01"]
    page.browser.js(
        "(() => { const s = document.querySelector('.tools select'); s.value = 'elapsed';"
        " s.dispatchEvent(new Event('change')) })()"
    )
    assert page.hover(0, LAST, 0.9).split("\n")[:2] == ["seconds 100", "pair-02 0.1"]


@pytest.mark.exhaustive
def test_one_filter_hides_a_pair_in_every_chart(page: Page) -> None:
    panels = page.browser.js("document.querySelectorAll('.frame').length")
    assert panels == 9
    scored, trained = range(4), range(4, 9)
    assert all("pair-02 " in page.hover(n, LAST) for n in (*scored, *trained))
    box = "[...document.querySelectorAll('#filter label')].find((l) => l.innerText == 'pair-02')"
    page.browser.js(f"{box}.querySelector('input').focus()")
    page.key(" ")
    assert page.shown() == "4 of 5 shown"
    assert not any("pair-02 " in page.hover(n, LAST) for n in (*scored, *trained))
    page.type("PAIR-02, glob")
    assert page.shown() == "2 of 5 shown"
    for n in (*scored, *trained):
        said = page.hover(n, LAST)
        assert "pair-02 " in said
        assert "global " in said
        assert "pair-00 " not in said
    page.type("nobody")
    assert page.shown() == "0 of 5 shown"
    page.type("")
    assert page.shown() == "5 of 5 shown"


@pytest.mark.exhaustive
def test_dragging_zooms_and_a_button_resets(page: Page) -> None:
    reset = "[...document.querySelectorAll('.tools button')].find((b) => b.title == 'Reset zoom')"
    assert page.browser.js(f"{reset}.disabled")
    assert page.hover(0, 0.0).startswith("step 200\n")
    page.drag(0, 0.5, 0.995)
    page.browser.until(f"!{reset}.disabled")
    for n in range(4):
        assert page.hover(n, 0.0).startswith("step 600\n"), "panels of a picture zoom together"
    assert page.hover(4, 0.0).startswith("step 200\n"), "another picture does not"
    page.browser.js(f"{reset}.click()")
    assert all(page.hover(n, 0.0).startswith("step 200\n") for n in range(4))


@pytest.mark.exhaustive
def test_keys_do_what_a_mouse_does(page: Page) -> None:
    live = "document.querySelector('.plot [aria-live]').textContent"
    page.browser.js("document.querySelector('.frame').focus()")
    page.key("ArrowRight")
    page.key("ArrowRight")
    assert re.fullmatch(r"global, step 400: 0\.\d+", page.browser.js(live))
    page.key("ArrowDown")
    assert page.browser.js(live).startswith("pair-00, step 400: ")
    page.key("+")
    page.key("+")
    page.browser.until("!document.querySelector('[title=\"Reset zoom\"]').disabled")
    assert page.hover(1, 0.0).startswith("step 400\n")
    page.browser.js("document.querySelector('.frame').focus()")
    page.key("0")
    assert page.hover(1, 0.0).startswith("step 200\n")


INK = """((number, share) => {
  const over = document.querySelectorAll('.u-over')[number], r = over.getBoundingClientRect();
  const canvas = over.parentElement.querySelector('canvas'), c = canvas.getBoundingClientRect();
  const x = Math.round((r.x - c.x + share * r.width) * devicePixelRatio);
  const { data } = canvas.getContext('2d').getImageData(x - 1, 0, 3, canvas.height);
  let out = 0;
  for (let i = 0; i < data.length; i += 4)
    out += Math.max(...data.slice(i, i + 3)) - Math.min(...data.slice(i, i + 3)) > 60;
  return out;
})(%d, %f)"""
"""Coloured pixels of a panel's column."""


@pytest.mark.exhaustive
def test_a_gap_is_empty_and_a_hidden_curve_leaves_no_ink(page: Page, tmp_path: Path) -> None:
    run = written(tmp_path / "gaps", 3)
    rows = rows_of(run)
    for row in rows:
        if row["step"] in (400, 600) and row["kind"] == "score":
            row["high_quality"] = math.nan
    page.open(told_again(run, rows))
    page.browser.until(f"{INK % (0, 0.88)} > 0")
    assert page.browser.js(INK % (0, 0.5)) == 0, "nothing between steps 400 and 600"
    assert page.browser.js(INK % (0, 0.14)) == 0, "nor towards the gap"
    page.browser.js("document.querySelector('[data-do=none]').click()")
    page.browser.until(f"{INK % (0, 0.88)} == 0")


@pytest.mark.exhaustive
def test_names_are_text_whatever_is_in_them(page: Page, tmp_path: Path) -> None:
    run = written(tmp_path / "bad", 3)
    rows = rows_of(run)
    for row in rows:
        if row["player"] == "pair-01":
            row["player"] = BAD
        if row["kind"] == "score":
            row[BAD] = 0.5
    protocol = {**PROTOCOL, "ceiling": {BAD: 1.0}, "floor": {BAD: 0.0}}
    (run.path / "run.json").write_text(json.dumps({**run.info, "protocols": {"abc": protocol}}))
    moved = run.path.rename(run.path.parent / "<script>document.title = 'bad'<")
    page.open(told_again(Run.load(moved), rows))
    assert page.browser.js("document.title").startswith("<script>document.title = 'bad'<")
    assert page.browser.js("document.querySelectorAll('script').length") == 2
    assert page.browser.js(f"[...document.querySelectorAll('.name')].some((n) => "
                           f"n.textContent.includes({json.dumps(BAD)}))")  # fmt: skip
    page.type("</script>")
    assert page.shown() == "1 of 5 shown"
    assert BAD in page.hover(0, LAST)


@pytest.mark.exhaustive
def test_without_a_script_and_on_paper_there_are_pictures(page: Page, report: Path) -> None:
    seen = """(() => {
      const on = (e) => e.checkVisibility(), all = (what) => [...document.querySelectorAll(what)];
      return [all('.drawable').filter((e) => e.querySelector('[data-chart]'))
        .every((e) => on(e.querySelector('img'))), all('.frame, #filter').some(on)] })()"""
    assert page.browser.js(seen) == [False, True]
    page.browser.call("Emulation.setEmulatedMedia", media="print")
    assert page.browser.js(seen) == [True, False]
    page.browser.call("Emulation.setEmulatedMedia", media="")
    page.browser.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(report, drawn=False)
    assert page.browser.js(seen) == [True, False]


@pytest.mark.exhaustive
def test_of_many_pairs_each_can_be_brought_up(page: Page, tmp_path: Path) -> None:
    page.open(write_report(written(tmp_path / "many", 128)))
    assert page.shown() == "5 of 130 shown"
    assert "pair-77 " not in page.hover(0, LAST)
    page.type("pair-77")
    assert page.shown() == "1 of 130 shown"
    for n in range(9):
        assert "pair-77 " in page.hover(n, LAST)
    page.browser.js("document.querySelector('[data-do=all]').click()")
    assert page.shown() == "130 of 130 shown"
    page.browser.js("document.querySelector('[data-do=first]').click()")
    assert page.shown() == "5 of 130 shown"

"""`raygan dashboards draw`: what Prometheus says of a panel is what its picture shows."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from PIL import Image

from raygan.cli import main
from raygan.errors import ConfigError
from raygan.service.cluster.dashboards import ONE_RUN, SWEEP
from raygan.service.cluster.grafana import Panel, Query
from raygan.service.cluster.panel_pictures import draw, lines_of, seconds_of

NOW = 1_800_000_000.0


class Prometheus(HTTPServer):
    """Answers as Prometheus 2 does, from what `series` says of an expression."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, str]] = []
        self.series: dict[str, list[dict[str, Any]]] = {}
        """Part of an expression -> what it gives."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Prometheus

    def do_GET(self) -> None:
        question = {k: v[0] for k, v in parse_qs(urlparse(self.path).query).items()}
        self.server.asked.append(question)
        result: Any = [NOW, str(NOW)]
        if question["query"] != "time()":
            found = (v for k, v in self.server.series.items() if k in question["query"])
            result = next(found, [])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "success", "data": {"result": result}}).encode())

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    server = Prometheus()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def drawn(*flags: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["dashboards", "draw", *flags])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def series(player: str, *values: str) -> dict[str, Any]:
    points = [[NOW - 100 + 10 * i, value] for i, value in enumerate(values)]
    return {"metric": {"run": "mine", "player": player}, "values": points}


def test_a_panel_s_lines_are_what_was_answered_under_the_names_of_grafana(
    prometheus: Prometheus,
) -> None:
    prometheus.series = {"loss": [series("pair-01", "1.5", "NaN"), series("pair-00", "2", "3")]}
    panel = Panel("?", "", (Query('max (loss{run=~"$run"})', "{{run}} {{player}} D"),))
    lines = lines_of(prometheus.address, panel, r'a"\.b', NOW - 600, NOW)
    assert [label for label, _ in lines] == ["mine pair-00 D", "mine pair-01 D"]
    assert lines[0][1] == [(NOW - 100, 2.0), (NOW - 90, 3.0)]
    (question,) = prometheus.asked
    assert question["query"] == r'max (loss{run=~"a\"\\.b"})', "the expression is a string of it"
    assert (question["start"], question["end"]) == (f"{NOW - 600:.3f}", f"{NOW:.3f}")
    assert float(question["step"]) == 2.5


def test_pictures_of_both_pages_and_which_panels_are_empty(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prometheus.series = {"ray_raygan_": [series("pair-00", "1", "2", "+Inf", "3")]}
    flags = ["--prometheus", prometheus.address, "--to", str(tmp_path / "new")]
    assert drawn(*flags, "--run", "mine", "--last", "10m") == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / f"new/{d.uid}.png") for d in (ONE_RUN, SWEEP)
    ]
    assert {q["start"] for q in prometheus.asked if "start" in q} == {f"{NOW - 600:.3f}"}
    for dashboard in (ONE_RUN, SWEEP):
        with Image.open(tmp_path / f"new/{dashboard.uid}.png") as picture:
            assert picture.width > 1000
    asked = {q["query"] for q in prometheus.asked}
    assert {
        q.expr.replace("$run", "mine")
        for d in (ONE_RUN, SWEEP)
        for p in d.panels
        for q in p.queries
    } <= asked, "every panel's queries, as Grafana asks them"
    prometheus.series = {"ray_raygan_score": [series("pair-00", "1")]}
    _, empty = draw(SWEEP, prometheus.address)
    assert empty == [p.title for p in SWEEP.panels if p.title != "Which trial leads?"]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--to", "x", "--last", "0m"], "--last '0m' is no span of time"),
        (["--to", "x", "--last", "soon"], "--last 'soon' is no span of time"),
        ([], "where to?"),
        (["--to", "x"], "Prometheus has no series of a run '.*' in the last 1800 s"),
        (["--to", "x", "--prometheus", "file:///etc/passwd"], "is not an http address"),
        (["--to", "x", "--prometheus", "http://127.0.0.1:9"], "no Prometheus answers there"),
    ],
)
def test_mistakes_are_a_line_and_leave_nothing(
    prometheus: Prometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], flags: list[str], line: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    flags = flags if "--prometheus" in flags else ["--prometheus", prometheus.address, *flags]
    assert drawn(*flags) == 2
    assert line in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5h", 5400), ("1d", 86400)])
def test_spans_as_prometheus_writes_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
    with pytest.raises(ConfigError):
        seconds_of(f"{text} ago")

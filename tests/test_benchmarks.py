"""The benchmarks' runner and the scoreboard, as a stranger uses them."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks import common, scoreboard
from benchmarks.claims import Source


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "WRITTEN", set[Path]())
    monkeypatch.setattr(scoreboard, "HERE", tmp_path)
    monkeypatch.setattr(scoreboard, "PAGE", tmp_path / "RESULTS.md")
    return tmp_path / "results"


def test_who_asks_what_a_benchmark_does_does_not_start_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runpy.run_module", lambda *_, **__: pytest.fail("it was started"))
    for name in ("fig2d", "federated", "gap-r15"):
        assert runner.main([name, "--help"]) == 0
        assert "python -m benchmarks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "argument", "right"),
    [
        ("goodput", "asinc", "async"),
        ("goodput", "Q=16", "K=16"),
        ("federated", "ods", "odds"),
        ("seeds", "ring8-sgam", "ring8-sgan"),
        ("chaos", "--new", "--anew"),
        ("simulate", "too", "two"),
        ("lifetime", "5x", "5"),
        ("stacked", "mlp,dcgam", "200"),
        ("picture", "no-such-run", "tests"),
        ("swap-cost", "toi", "toy"),
    ],
)
def test_a_misspelt_argument_does_not_start_all_of_it(
    name: str, argument: str, right: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    started: list[str] = []
    monkeypatch.setattr("runpy.run_module", lambda module, **_: started.append(module))
    monkeypatch.setattr(runner.sys, "argv", ["benchmarks"])
    assert runner.main([name, argument]) == 2
    assert f"it takes no {argument!r}" in capsys.readouterr().err
    assert not started
    assert runner.main([name, right]) == 0
    assert len(started) == 1


def test_what_a_benchmark_misses_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.main(["nosuch"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    file = tmp_path / "data_gone.py"
    file.write_text("")
    monkeypatch.setattr(runner, "found", lambda: {"data-gone": file})
    monkeypatch.setattr(runner, "HERE", tmp_path / "benchmarks")

    def run(*_: object, **__: object) -> None:
        from raygan.errors import DataError

        raise DataError("mnist: no such folder.")

    monkeypatch.setattr("runpy.run_module", run)
    assert runner.main(["data-gone"]) == 2
    assert capsys.readouterr().err == "data-gone: mnist: no such folder.\n"


def test_a_result_that_is_replaced_is_kept(results: Path) -> None:
    common.write("x", {"seeds": 5})
    common.WRITTEN.clear()  # as a later process
    assert common.gone_on("x", ["a"], 2, lambda what, seed: seed) == {"a": [0, 1]}
    assert json.loads((results / "before/x.json").read_text())["seeds"] == 5
    assert common.kept("x")["results"] == {"a": [0, 1]}
    assert {p.name for p in results.iterdir()} == {"x.json", "before"}, "nothing half-written"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "x.json is not there. Make it: python -m benchmarks x 5"),
        ('{"cond', "x.json is damaged"),
        ("{}", "x.json is damaged"),
        ('{"conditions": {"date": "", "commit": "", "machine": ""}}', "has nothing for 'It is so'"),
    ],
)
def test_a_result_that_no_page_can_be_made_from_is_one_line(
    text: str | None, told: str, results: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = Source("x", "python -m benchmarks x 5", "x", {"It is so": lambda p: (p["seeds"], "")})
    monkeypatch.setattr(scoreboard, "GROUPS", {"All": [source]})
    results.mkdir()
    if text is not None:
        (results / "x.json").write_text(text)
    assert scoreboard.main([]) == 1
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not scoreboard.PAGE.exists()


def test_a_check_that_is_misspelt_writes_no_page(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scoreboard.main(["--chek"]) == 2
    assert "it knows --check alone" in capsys.readouterr().err
    assert not scoreboard.PAGE.exists()

"""`--json`: every line is JSON that a strict parser takes, whatever the scores are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.cli import main
from raygan.visible import as_json, finite


def strictly(text: str) -> Any:
    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_scores_that_are_no_numbers_are_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a step no sample lies at a mode: no width, no divergence."""
    flags = [
        "--steps", "1", "--num-pairs", "2", "--network.hidden", "8", "--evaluation.samples", "1600",
        "--data.train", "400", "--data.held-out", "200",
    ]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main(["train", "--inline", "--json", "--run-dir", str(tmp_path), "--name", "mine", *flags])
    assert ended.value.code == 0
    told = [strictly(line) for line in capsys.readouterr().out.splitlines()]
    assert told[-1]["kind"] == "end"
    assert any(value is None for row in told[-1]["scores"].values() for value in row.values())
    with pytest.raises(SystemExit):
        main(["evaluate", str(tmp_path / "mine"), "--json"])
    assert "null" in (text := capsys.readouterr().out)
    assert strictly(text)


def test_numbers_of_numpy_stay_numbers_and_what_is_none_becomes_text() -> None:
    told = {
        "a": np.float32(0.5),
        "b": np.int64(3),
        "c": np.float64("inf"),
        "d": True,
        "e": Path("x"),
    }
    assert strictly(as_json(told)) == {"a": 0.5, "b": 3, "c": None, "d": True, "e": "x"}
    assert finite((1, float("nan"))) == [1, None]


def test_there_is_one_way_out_for_json() -> None:
    cli = Path(__file__).parents[2] / "raygan/cli"
    assert not [p.name for p in cli.rglob("*.py") if "json.dumps" in p.read_text()]

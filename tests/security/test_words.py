"""Words that a user or a stranger chose, where others read them: terminal, model card, HTML."""

import re
from pathlib import Path

import pytest

from raygan.cli import main
from raygan.config import resolve
from raygan.service.runs.run import Run
from raygan.service.scores.export import export
from raygan.service.training import train
from raygan.visible import code, markdown, say, visible
from tests.conftest import TINY

NASTY = [
    "\x1b[2J\x1b]0;owned\x07", "a\rb", "\x9b31m", "x\u202ey", "\u2066z", "\udcff", "[red]x[/red]",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](http://evil/x.png)",
    "[x](javascript:alert(1))", "a|b", "`x` <b>", "``` \n<b>", "\n---\nlicense: mit\n---\n",
    "\n# Heading", "$$\\evil$$", "<!--", "&lt;b&gt;", "https://evil.example", "www.evil.example",
    "*b* _i_ ~~s~~",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_nothing_steers_a_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    shown = capsys.readouterr().out
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize("text", NASTY)
def test_nothing_is_markup_in_a_card(text: str) -> None:
    line, quoted = markdown(text), code(text)
    assert "\n" not in line + quoted
    assert "<" not in line
    assert not re.search(r"(?<!\\)[\[\]`|*~$]", line)
    assert not re.search(r"https?:|www\.", line)
    fence = re.match("`+", quoted)
    assert fence is not None
    assert fence[0] not in quoted[len(fence[0]) : -len(fence[0])], "nothing within ends it"


def test_plain_words_stay_as_they_are() -> None:
    for text in ("raygan: gap (lockstep), 4 pairs -> runs/mine", "caf\xe9", "\u30c7\u30fc\u30bf"):
        assert visible(text) == text
    assert markdown("ring (8 modes, radius 1, std 0.02)") == "ring (8 modes, radius 1, std 0.02)"


def test_an_error_about_an_odd_path_is_one_harmless_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["report", "no\x1b[2J[red]where"])
    text = capsys.readouterr().err
    assert "\x1b" not in text
    assert text.count("\n") == 1


def test_a_card_takes_no_markup_from_the_command_line(tmp_path: Path) -> None:
    evil = (
        "raygan train --data 'folder:<img src=x"
        " onerror=alert(1)>`</code>\n\n<script>x</script>\n---\nlicense: mit\n---'"
    )
    run = train(
        resolve("ring8-gap", flags={**TINY, "strategy": "independent"}),
        run_dir=tmp_path,
        name="r",
        inline=True,
        command=evil,
    )
    run.info["versions"]["<b>torch</b>"] = "[x](http://evil)"
    card = (export(Run.load(run.path), "pair:0", tmp_path / "model") / "README.md").read_text()
    assert card.startswith("# r: pair:0\n"), "no front matter"
    assert not re.search(r"^---$", card, re.MULTILINE)
    outside = re.sub(r"(`+)[^`].*?\1", "", card)
    assert "<" not in outside.replace("<script>x</script>", "<") or "onerror" not in outside
    assert "<img" not in outside
    assert "<script" not in outside

"""Help and completion are made from what there is: nothing without a text, nor the reverse."""

import re
import subprocess
from pathlib import Path

import pytest

from raygan.cli import VERBS, main, verbs
from raygan.cli.completion import flags_of, script
from raygan.cli.flags import parse
from raygan.cli.settings import component_settings, settings_of, text_of
from raygan.cli.shared_flags import Flag
from raygan.cli.usage import help_text
from raygan.components import KINDS, names
from raygan.config import Config, PairGroup, full_dump, presets, resolve
from raygan.errors import ConfigError

SETTINGS = [
    *settings_of(Config),
    *settings_of(PairGroup),
    *(told for kind in KINDS for name in names(kind) for told in component_settings(kind, name)),
]


def shown(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_each_flag_its_text_and_an_example(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(getattr(verbs, verb))
    out = shown([verb, "--help"], capsys)
    assert out.startswith(f"usage: raygan {verb}")
    assert f"example: {VERBS[verb].example}" in out
    for name, flag in VERBS[verb].flags.items():
        assert flag.text.endswith(".")
        assert f"--{name} {flag.value} {flag.text}".replace("  ", " ") in out


@pytest.mark.parametrize("verb", VERBS)
def test_no_usage_line_breaks_within_brackets(verb: str) -> None:
    for width in (60, 80, 100):
        head = help_text(verb, width).partition("\n\n")[0]
        assert all(line.count("[") == line.count("]") for line in head.splitlines()), head


@pytest.mark.parametrize("verb", VERBS)
def test_examples_are_command_lines_that_the_parser_takes(verb: str) -> None:
    words = re.sub(r'^eval "\$\((.*)\)"$', r"\1", VERBS[verb].example).split()
    assert words[:2] == ["raygan", verb]
    rest = words[2 : words.index("--") if "--" in words else None]
    parse(verb, rest)
    if verb == "train":
        resolve("ring8-gap", (), parse(verb, rest).settings)


def test_no_setting_is_without_a_text() -> None:
    assert [path for path, info in SETTINGS if not text_of(path, info).strip()] == []


def test_texts_name_settings_and_components_that_there_are() -> None:
    known = {part for path, _ in SETTINGS for part in (path, path.rpartition(".")[2])}
    words = {*VERBS, *(f"raygan {verb}" for verb in VERBS)}
    for path, info in SETTINGS:
        for quoted in re.findall(r"`([^`]+)`", info.description or ""):
            assert quoted.removesuffix(".SETTING") in known | words, f"{path} speaks of `{quoted}`"
    for verb in VERBS.values():
        for flag in verb.flags.values():
            for asked in re.findall(r"(?<!\w)--([a-z-]+)", flag.text):
                assert any(asked in other.flags for other in VERBS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_all_components_of_a_kind_are_listed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(["train", "--help"], capsys)
    assert f"One of {', '.join(names(kind))}" in out.replace("- ", "-")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--strategy", "gap"], "--strategy.swap-every 50.0 Period K between two swaps"),
        (["--preset", "ring8-gap", "--strategy", "gap"], "default 50"),
        (["--loss", "wgan_gp"], "--loss.weight"),
        (["--network=dcgan"], "[whole number, > 0]"),
        (["--data", "grid25"], "--data.modes 25"),
    ],
)
def test_a_named_component_tells_its_settings_and_nothing_else(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(["train", *argv, "--help"], capsys)
    assert told in out
    assert "--checkpoint.every-steps" not in out


def test_help_shows_the_presets_value_and_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(["train", "--preset", "mnist-gap", "--help"], capsys)
    assert "--strategy.swap-every 0.1 Period K" in out
    assert "preset mnist-gap; default 50" in out


def test_help_of_what_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "--strategy", "gpa", "--help"])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_preset_is_shown_with_texts_and_is_still_a_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["presets", "ring8-gap"])
    out = capsys.readouterr().out
    assert re.search(r"swap_every: .* # preset ring8-gap: Period K", out)
    (tmp_path / "it.yaml").write_text(out)
    assert full_dump(resolve(None, [tmp_path / "it.yaml"]).config) == full_dump(
        resolve("ring8-gap").config
    )


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("raygan tra", "train"),
        ("raygan train --strategy ga", "gap"),
        ("raygan train --preset ring8-pm", "ring8-pmgan"),
        ("raygan train --strategy.swap-ev", "--strategy.swap-every"),
        ("raygan resume --ste", "--steps"),
        ("raygan report mi", "mine"),
        ("raygan completion z", "zsh"),
    ],
)
def test_bash_completes(line: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "runs/mine").mkdir(parents=True)
    words = " ".join(f"'{word}'" for word in line.split())
    last = len(line.split()) - 1
    asked = (
        f"{script('bash')}\n"
        f"COMP_WORDS=({words}); COMP_CWORD={last}; _raygan; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True)
    assert wanted in done.stdout.split(), done.stderr


def test_completion_knows_all_and_refuses_other_shells() -> None:
    text = script("zsh")
    assert all(name in text for name in [*VERBS, *presets()])
    assert set(flags_of("data")) >= {"--out", "--data.size", "--help"}
    with pytest.raises(ConfigError, match="'fish'"):
        script("fish")


def test_a_flag_without_a_value_takes_none() -> None:
    assert VERBS["train"].flags["inline"] == Flag(VERBS["train"].flags["inline"].text)
    with pytest.raises(ConfigError, match="takes no value"):
        parse("train", ["--inline=yes"])

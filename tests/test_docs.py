"""The pages: the site is built strictly, loads nothing from elsewhere, says what the code says."""

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import BaseModel

from benchmarks import scoreboard
from benchmarks.claims import GROUPS
from raygan.cli import VERBS, main
from raygan.cli.settings import component_settings, settings_of
from raygan.components import KINDS, names
from raygan.config import Config, presets
from raygan.metrics import groups
from raygan.metrics.ranking import METRICS
from raygan.service.sweeps.draws import DRAWS
from raygan.service.sweeps.file import Budget, Sweep

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
]
USE = [p for p in PAGES if p.parent.name != "benchmarks"]
"""Pages whose commands a reader types."""
LOADED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=\"?(?:https?:)?//[^\" >]*"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(out)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert LOADED.findall(page.read_text()) == [], page.name
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text().replace('"', ""), style.name
    assert 'class="mermaid"' not in "".join(p.read_text() for p in pages), (
        "it would be drawn by a script from elsewhere"
    )


def test_every_command_setting_warning_and_module_has_its_place(site: Path) -> None:
    def page(name: str) -> str:
        return (site / f"{name}.html").read_text()

    assert all(f'id="raygan-{verb}"' in page("reference/cli") for verb in VERBS)
    settings = page("reference/settings")
    assert all(f"<code>{path}</code>" in settings for path in paths(Config))
    assert all(f"{kind} <code>{name}</code>" in settings for kind in KINDS for name in names(kind))
    assert all(f"<td><code>{name}</code>" in page("reference/scores") for name in METRICS)
    for warning in (ROOT / "docs/warnings").glob("W*.md"):
        assert f'href="{warning.stem}.html"' in page("warnings/index")
    modules = Counter(re.findall(r"<td><code>(\w+\.py)</code>", page("reference/modules")))
    there = [p.name for p in (ROOT / "raygan").rglob("*.py") if not p.name.startswith("__")]
    assert modules == Counter(there), "each module once"


def paths(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every setting of a config, dotted."""
    found = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        inner = isinstance(kind, type) and issubclass(kind, BaseModel)
        found += paths(kind, f"{prefix}{name}.") if inner else [prefix + name]
    return found


def test_the_scoreboard_is_what_the_results_say() -> None:
    assert scoreboard.PAGE.read_text() == scoreboard.page(), "run: python -m benchmarks scoreboard"
    claimed = [source.file for sources in GROUPS.values() for source in sources]
    assert len(claimed) == len(set(claimed)), "one place for what a file says"
    for path in (ROOT / "benchmarks/results").glob("*.json"):
        assert path.stem in claimed or f"`{path.name}`" in scoreboard.page(), (
            "no result is left out"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_are_at_most_100_columns_wide(page: Path) -> None:
    assert [line for line in page.read_text().splitlines() if len(line) > 100] == []


def test_decisions_have_numbers_that_stay_and_a_status() -> None:
    text = (ROOT / "docs/decisions.md").read_text()
    numbers = [int(n) for n in re.findall(r"^### (\d+)\. ", text, re.M)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert [int(n) for n in re.findall(r'<a id="d(\d+)">', text)] == numbers
    for part in re.split(r"^### ", text, flags=re.M)[1:]:
        assert re.match(r"\d+\. .+\n\n\*(In force|Rejected)", part), part[:80]


def commands() -> list[list[str]]:
    """Every `raygan VERB ...` in the pages' code, lines that go on joined."""
    found: dict[str, list[str]] = {}
    for page in USE:
        for block in page.read_text().split("```")[1::2]:
            for line in block.replace("\\\n", " ").splitlines() if block.startswith("\n") else []:
                for part in line.partition("#")[0].split("&&"):
                    if part.strip().startswith("raygan "):
                        found.setdefault(part.strip(), shlex.split(part))
    return list(found.values())


def usage(verb: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    return capsys.readouterr().out.partition("\n\n")[0]


def test_pages_show_every_verb_with_flags_that_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands()
    assert {c[1] for c in shown} == set(VERBS)
    for command in shown:
        if "train" not in command:  # settings are flags there: the next test
            told = usage(command[1], capsys)
            for flag in (a for a in command[2:] if a.startswith("--") and len(a) > 2):
                assert flag in told, shlex.join(command)


TRAINED = [c[c.index("train") + 1 :] for c in commands() if "train" in c]


@pytest.mark.parametrize("arguments", TRAINED, ids=" ".join)
def test_trained_commands_are_configs(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Presets, settings, own parts: all that is checked before a run begins."""
    (tmp_path / "my.yaml").write_text("steps: 50\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/focal.py").write_text((ROOT / "examples/focal.py").read_text())
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["train", *arguments, *([] if "--dry-run" in arguments else ["--dry-run"])])
    assert end.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", USE, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_in_pages_names_what_there_is(page: Path) -> None:
    text = page.read_text()
    for block in text.split("```")[1::2]:
        if block.startswith("python\n"):
            compile(block.removeprefix("python\n"), page.name, "exec")
    for module, name in re.findall(r"\b(raygan(?:\.testing)?)\.([A-Z]\w+|train\b|check_\w+)", text):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_examples_in_what_makes_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs/hooks"))
    for name in ("benchmarks.scoreboard", "benchmarks.claims", "made"):
        found = doctest.testmod(importlib.import_module(name))
        assert found.attempted, name
        assert not found.failed, name


ELSEWHERE = (ROOT / "docs/expectations.md").read_text()
ROW = re.compile(r"^- \*\*([^*]+)\*\*\. \*\*([^*]+)\*\*(.*?)(?=^- |^$|\Z)", re.M | re.S)


def test_every_row_of_what_others_expect_is_yes_or_argued() -> None:
    parts = re.split(r"^## ", ELSEWHERE, flags=re.M)[1:]
    assert len(parts) == 4
    for part in parts:
        rows = ROW.findall(part)
        assert len(rows) == len(re.findall(r"^- ", part, re.M)) >= 8
        for what, answer, way in rows:
            assert answer in {"yes", "in part", "no"}, what
            assert answer == "yes" or "Instead" in way, f"{what}: what is to be done instead?"


def unknown(span: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a piece of code names that raygan has not."""
    kinds = {kind: names(kind) for kind in KINDS}
    settings = {path for path, _ in settings_of(Config)}
    settings |= {p for k, of in kinds.items() for n in of for p, _ in component_settings(k, n)}
    words, found = shlex.split(span), list[str]()
    at = words.index("raygan") + 1 if "raygan" in words[:-1] else None
    verb = words[at] if at is not None else "train"
    if verb not in VERBS:
        return [verb]
    told = re.findall(r"\[(--[\w-]+)", usage(verb, capsys))
    for flag, value in zip(words, [*words[1:], ""], strict=True):
        if not flag.startswith("--"):
            continue
        name = flag[2:].replace("-", "_")
        if name not in settings | kinds.keys() and flag not in told:
            found.append(flag)
        if name in kinds and re.fullmatch(r"[a-z]\w*", value) and value not in kinds[name]:
            found.append(f"{flag} {value}")
        if (name, verb) == ("metrics", "evaluate"):
            found += [m for m in value.split(",") if m not in {*groups.GROUPS, *groups.ALONE}]
    if re.fullmatch(rf"({'|'.join(settings_groups(settings))})\.[\w.]+", span):
        found += [] if span in settings or span.endswith(".png") else [span]
    if key := re.fullmatch(r"(\w+):( \w+)?", span):
        # of a sweep file: its own word for it is checked by the model
        field = Sweep.model_fields.get(key[1])
        known = field is not None and (not key[2] or repr(key[2].strip()) in str(field.annotation))
        found += [] if known else [span]
    if re.fullmatch(r"[a-z]+\d*(-[a-z0-9]+)+", span):
        found += [] if span in presets() else [span]
    if attribute := re.match(r"raygan\.(\w+)", span):
        found += [] if hasattr(importlib.import_module("raygan"), attribute[1]) else [span]
    return found


def settings_groups(settings: set[str]) -> set[str]:
    """First words of dotted settings."""
    return {path.partition(".")[0] for path in settings if "." in path}


def test_what_others_expect_is_answered_by_names_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    prose = re.sub(r"```.*?```", "", ELSEWHERE, flags=re.S)
    spans = dict.fromkeys(re.findall(r"`([^`\n]+)`", prose))
    assert len(spans) > 80
    assert {span: bad for span in spans if (bad := unknown(span, capsys))} == {}
    drawn = re.search(r"\*\*Search spaces\*\*.*?in `space:`", ELSEWHERE, re.S)
    assert drawn is not None
    assert {*DRAWS} == {*re.findall(r"`(\w+)`", drawn[0])}
    assert {*Budget.model_fields} <= {*spans}


@pytest.mark.parametrize(
    ("span", "bad"),
    [
        ("--pair.clip-grad-d", []),
        ("--pair.clip", ["--pair.clip"]),
        ("--loss hinges", ["--loss hinges"]),
        ("raygan evalute RUN", ["evalute"]),
        ("raygan sweep FILE --time-budget 3", ["--time-budget"]),
        ("raygan evaluate RUN --metrics fid,is", ["is"]),
        ("scheduler: asha", []),
        ("scheduler: pb2", ["scheduler: pb2"]),
        ("resources.gpus", ["resources.gpus"]),
        ("ring8-stylegan", ["ring8-stylegan"]),
        ("raygan.tune", ["raygan.tune"]),
    ],
)
def test_a_name_that_there_is_not_is_found(
    span: str, bad: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert unknown(span, capsys) == bad

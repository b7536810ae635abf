"""Numbers in texts are those of the code.

A description or a help text takes its number from the constant, as an f-string. A docstring cannot:
there a number that has a name in its module is followed by the name, "the last 64 kB (`WINDOW`)",
and compared here. Pages for users are in `PAGES`.
"""

from __future__ import annotations

import ast
import importlib
import operator
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raygan.actors import evaluator_process
from raygan.cli.settings import text_of
from raygan.config import (
    BATCHED_BELOW,
    KINDS,
    Config,
    ResourcesConfig,
    names,
    preset_values,
    presets,
)
from raygan.controller import evaluator, log_writer, watchdog
from raygan.strategies.sgan import strategy as sgan

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "raygan").rglob("*.py"))
NUMBER = r"(?<![\w.,-])(\d[\d,]*(?:\.\d+)?)"
MARKED = re.compile(NUMBER + r"(?: ?(kB|KiB|MB|MiB|s|ms|%))? \(`([A-Z][A-Z_0-9]+)`\)")
UNITS = {"kB": 1024, "KiB": 1024, "MB": 2**20, "MiB": 2**20, "ms": 1e-3, "%": 0.01}
SMALL = 10
"""Below, a number in a text means something else more often than not."""


def number(text: str) -> float:
    return float(text.replace(",", ""))


def texts(tree: ast.Module) -> Iterator[str]:
    """Docstrings, those of constants and fields too, and plain strings long enough to be prose,
    without their doctests.
    """
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value
            and len(node.value) > 15
        ):
            without = re.sub(r"^\s*>>> .*\n.*$", "", node.value, flags=re.MULTILINE)
            yield " ".join(without.split())


def constants(tree: ast.Module) -> dict[str, float]:
    """A module's own numbers with a name."""
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        pairs = [(node.targets[0], node.value)]
        if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
        for target, value in pairs:
            if (
                isinstance(target, ast.Name)
                and target.id.isupper()
                and (x := computed(value)) is not None
            ):
                found[target.id] = x
    return found


OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Add: operator.add, ast.Sub: operator.sub,
    ast.Pow: operator.pow, ast.LShift: operator.lshift,
}  # fmt: skip


def computed(node: ast.expr) -> float | None:
    """The value of 250_000, 64 << 10, 4 * 60."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = computed(node.left), computed(node.right)
        return None if left is None or right is None else OPERATORS[type(node.op)](left, right)
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def mistakes(source: str) -> list[str]:
    """What in a module's texts is not what its constants are, or does not say which it means."""
    tree = ast.parse(source)
    known, found = constants(tree), []
    for text in texts(tree):
        for told, unit, name in MARKED.findall(text):
            if name not in known:
                found.append(f"{told} (`{name}`): no such constant")
            elif number(told) * UNITS.get(unit, 1) != known[name]:
                found.append(f"{told} {unit} (`{name}`): it is {known[name]:g}")
        for match in re.finditer(NUMBER + r"(?: ?(kB|KiB|MB|MiB|s|ms|%)\b)?", MARKED.sub("", text)):
            value = number(match[1].rstrip(",")) * UNITS.get(match[2] or "", 1)
            if same := [
                n for n, x in known.items() if x == value and number(match[1].rstrip(",")) >= SMALL
            ]:
                found.append(f"{match[0]} is {same[0]}: take it from there, or name it")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_numbers_in_docstrings_are_those_of_the_constants(module: Path) -> None:
    assert mistakes(module.read_text()) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('"""At most 2,000 (`MOST`) points."""\nMOST = 2000', []),
        ('"""At most 1,000 (`MOST`) points."""\nMOST = 2000', ["1,000  (`MOST`): it is 2000"]),
        ('"""The last 64 kB (`WINDOW`) of it."""\nWINDOW = 1 << 16', []),
        ('"""At most 100 (`LEAST`) points."""\nMOST = 2000', ["100 (`LEAST`): no such constant"]),
        (
            '"""At most 2,000 points."""\nMOST, LEAST = 2000, 5',
            ["2,000 is MOST: take it from there, or name it"],
        ),
        (
            'text = "waits for 120 s, not longer"\nDEADLINE_S = 120.0',
            ["120 s is DEADLINE_S: take it from there, or name it"],
        ),
        ('MOST = 2000\ntext = f"at most {MOST:,} points"', []),
    ],
)
def test_a_number_that_is_another_is_found(source: str, said: list[str]) -> None:
    assert mistakes(source) == said


def test_the_help_says_up_to_which_size_pairs_are_batched() -> None:
    assert f"{BATCHED_BELOW:,} numbers" in str(ResourcesConfig.model_fields["batched"].description)


@pytest.mark.parametrize("kind", KINDS)
def test_the_help_names_components_that_there_are(kind: str) -> None:
    """All of them: the sentence is made from what there is."""
    told = text_of(kind, Config.model_fields[kind])
    assert set(names(kind)) <= set(re.findall(r"\b[a-z_0-9]+\b", told))


PAGES = [
    ("W101", r"below (\d+) % at two", 100 * watchdog.COLLAPSED),
    ("W101", r"under (\d+) % at two", 100 * watchdog.FEW),
    ("W101", r"share is below (\d+) %,", 100 * watchdog.NOT_SO_MANY),
    ("W103", r"([\d.]+) % or more", 100 * watchdog.SATURATED),
    ("W103", r"D is right on 100.0% of a batch for (\d+) rows", watchdog.PATIENCE),
    ("W104", r"share of (\d+) samples", evaluator.WATCHED),
    ("W104", r"cosine above ([\d.]+),", watchdog.ALIKE),
    ("W203", r"up to (\d+) MiB a file", log_writer.WAITING_BYTES / 2**20),
    ("W203", r"(\d+) KiB are kept free", log_writer.RESERVED / 2**10),
    ("W207", r"at one score for (\d+) minutes", evaluator_process.SCORE_S / 60),
]


@pytest.mark.parametrize(("page", "pattern", "value"), PAGES)
def test_numbers_on_the_warnings_pages(page: str, pattern: str, value: float) -> None:
    text = " ".join((ROOT / f"docs/warnings/{page}.md").read_text().split())
    told = re.findall(pattern, text)
    assert [float(t) for t in told] == [pytest.approx(value)]


def test_what_sgan_says_of_the_presets_is_so() -> None:
    """How long a messenger lives, in those that are not the paper's own settings."""
    lives = [
        strategy["messenger_lifetime"]
        for preset in presets()
        if isinstance(strategy := preset_values(preset)["strategy"], dict)
        and "messenger_lifetime" in strategy
    ]
    told = re.search(r"`messenger_lifetime` (\d+) to (\d+)", str(sgan.__doc__))
    assert told is not None
    assert [int(t) for t in told.groups()] == [min(lives), max(lives)]


def test_files_that_docstrings_name_are_there() -> None:
    """`sgan_crew.py: Crew.train_messengers`: the file in the package, and in it the class and its
    method.
    """
    files: dict[str, list[Path]] = {}
    for path in MODULES:
        files.setdefault(path.name, []).append(path)
    wrong, members = list[str](), 0
    for module in MODULES:
        for text in (t for t in map(ast.get_docstring, documented(module)) if t):
            for name, member in re.findall(
                r"(?<![/.\w])([a-z_]+\.py)\b(?:: ([A-Z]\w+(?:\.\w+)?))?", text
            ):
                if name not in files and name not in ("raygan.py", "numpy.py", "nets.py"):
                    wrong.append(f"{module.name} names {name}, which is not there")
                elif member:
                    kind = ".".join(files[name][0].relative_to(ROOT).with_suffix("").parts)
                    held: object = importlib.import_module(kind)
                    for part in member.split("."):
                        held = getattr(held, part, None)
                    members += 1
                    wrong += (
                        []
                        if held is not None
                        else [f"{module.name} names {member} of {name}, which is not there"]
                    )
    assert wrong == []
    assert members > 0, "none was found, so that none was looked at"


def documented(path: Path) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef]:
    """What may have a docstring."""
    yield from (
        n
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)
    )

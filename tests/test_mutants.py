"""The bugs that `python -m benchmarks mutants` plants are still bugs of this code: their texts
stand in it, once, and the tests that are to find them are there.
"""

import ast
from pathlib import Path

import pytest

from benchmarks.faults.planted import PLANTED, TARGETS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted[3])
def test_what_is_to_be_replaced_stands_there_once(planted: tuple[str, str, str, str]) -> None:
    file, there, instead, _ = planted
    text = (ROOT / file).read_text()
    assert text.count(there) == 1
    ast.parse(text.replace(there, instead))  # else every test would "find" it


@pytest.mark.parametrize("file", TARGETS)
def test_targets_and_their_tests_are_there(file: str) -> None:
    target = TARGETS[file]
    tests = [t.partition("=")[2] if t.startswith("--") else t for t in target.tests]
    assert all((ROOT / test.partition("::")[0]).exists() for test in tests)
    named = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.ClassDef):
            named |= {node.name}
            named |= {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
        if isinstance(node, ast.FunctionDef):
            named.add(node.name)
    assert set(target.within) <= named

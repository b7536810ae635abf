"""Old names of modules, and what listeners read of a run itself, still lead where they did."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from raygan.controller.controller import BEFORE, Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import RunFolder
from raygan.moved import MOVED, NAMES
from tests.conftest import setup_of, tiny_config


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_module_itself(old: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert importlib.import_module(old) is importlib.import_module(MOVED[old])


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("raygan.controller.never_was")


def test_an_old_listener_still_reads_the_run(tmp_path: Path) -> None:
    seen: list[Any] = []
    config = tiny_config(steps=4, strategy={"name": "independent"})
    setup = setup_of(config)

    def listen(c: Any, done: Any) -> None:
        seen.append((dict(c.done), c.folder.path.name, c.gathering.saved_step))

    run = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: InlineExecutor(setup), [listen], 400
    )
    run.run()
    assert seen[-1] == ({"pair-00": 4, "pair-01": 4}, "run", 4)
    for name in BEFORE:
        assert getattr(run, name) is not None or name == "stop_signal"
    with pytest.raises(AttributeError, match=r"look in run\.state"):
        _ = run.nothing


@pytest.mark.parametrize(
    ("module", "name", "new"),
    [(module, name, new) for module, found in NAMES.items() for name, new in found.items()],
)
def test_an_old_place_of_a_name_still_has_it(module: str, name: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{name} is {new}.{name} now"):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(new), name)
    with pytest.raises(AttributeError, match="has no attribute 'never'"):
        importlib.import_module(module).never  # noqa: B018


def test_a_clone_beside_the_working_directory_is_no_package(tmp_path: Path) -> None:
    """`git clone ...; python -m raygan.cli` where the clone lies."""
    (tmp_path / "raygan").mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "raygan.cli", "--version"], cwd=tmp_path, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout[:7]) == (0, "raygan "), run.stderr[-500:]

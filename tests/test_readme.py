"""README's commands: every line is one that the program takes, and the main job does what README
says.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import found
from raygan.cli import VERBS
from raygan.config import presets, resolve

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    shlex.split(part.partition("#")[0])
    for block in README.split("```")[1::2]
    if block.startswith("\n")
    for line in block.splitlines()
    for part in line.split("&&")
    if part.strip().startswith("raygan ")
]


def test_readme_is_short_and_says_what_raygan_is_for() -> None:
    assert 90 <= len(README.splitlines()) <= 125
    assert "benchmarks/results/fig2d.png" in README, "the picture that answers why"
    assert {c[1] for c in COMMANDS} >= {"train", "sweep", "submit"}, "a run, a sweep, a cluster"
    assert {c[1] for c in COMMANDS} <= set(VERBS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--preset" in c], ids=" ".join)
def test_presets_in_readme_exist(command: list[str]) -> None:
    assert command[command.index("--preset") + 1] in presets()


def test_the_test_command_of_the_gate_is_readmes() -> None:
    gate = (ROOT / ".ci/run").read_text()
    assert "\npytest " in gate
    assert "pip install -q -e '.[test]'" in gate
    assert "pip install -e '.[test]' && raygan train" in README


def test_the_makefile_names_benchmarks_that_exist() -> None:
    make = (ROOT / "Makefile").read_text()
    named = re.search(r"^BENCHMARKS = (.*)$", make, re.MULTILINE)
    assert named
    assert set(named[1].split()) <= set(found())


def test_all_benchmarks_that_are_named_exist() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/claims.py"]
    for page in [*pages, ROOT / "benchmarks/LOG.md"]:
        names = set(re.findall(r"python -m benchmarks ([\w-]+)", page.read_text()))
        assert names <= set(found()), page


def test_the_default_preset_is_sgan_on_ring8() -> None:
    config = resolve().config
    assert (config.strategy["name"], config.data["name"], config.data["modes"]) == (
        "sgan",
        "ring",
        8,
    )
    assert config.num_pairs == 3


@pytest.mark.ray
@pytest.mark.exhaustive
def test_the_main_job(tmp_path: Path) -> None:
    """`raygan train`, as a user starts it: SGAN on Ray actors reaches 8 of 8 modes in a minute or
    so.
    """
    command = [
        sys.executable,
        "-m",
        "raygan.cli",
        "train",
        "--run-dir",
        str(tmp_path),
        "--name",
        "main",
        "--address",
        "local",
    ]
    wanted = ["--require", "modes=8,modes@10%=8,high_quality=0.7,width>=0.8,width<=1.2"]
    done = subprocess.run(
        [*command, *wanted], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    # nothing but what takes long, on a busy machine: "raygan: starting Ray (10 s)"
    slow = re.compile(r"raygan: .* \(?\d+ s(, \d+ s left|\))")
    assert [line for line in done.stderr.splitlines() if not slow.fullmatch(line)] == []
    info = json.loads((tmp_path / "main/run.json").read_text())
    assert (info["status"], info["executor"]) == ("done", "ray")
    assert (tmp_path / "main/report/index.html").exists()
    scores = info["rejected"]["scores"]  # what README promises of `sample --reject`
    assert scores["high_quality"] >= 0.975
    assert 0.8 <= scores["width"] <= 1.1
    # .01 is the mean of ten seeds, of which another processor draws another one
    assert scores["reverse_kl"] <= 0.02
    again = subprocess.run(
        [sys.executable, "-m", "raygan.cli", "sample", str(tmp_path / "main"),
         "-o", str(tmp_path / "x.npz")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "1024 samples" in again.stdout

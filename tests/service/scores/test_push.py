"""`raygan push` and `raygan.load("hf://...")`, against a stub of the Hub's API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import raygan
from raygan.config import read_yaml
from raygan.errors import ConfigError
from raygan.service.runs.run import Run
from raygan.service.scores.push import push
from tests.conftest import TINY
from tests.service.scores.hub import Hub, serving

LOAD = (
    "import sys, json, time, raygan; began = time.monotonic(); g = raygan.load('hf://me/ring');"
    " took = time.monotonic() - began; print(json.dumps([took, g.sample(9, seed=3).tolist()]));"
    " assert 'ray' not in sys.modules"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return raygan.train(
        "ring8-gap", run_dir=tmp_path_factory.mktemp("runs"), name="r", inline=True,
        **{**TINY, "strategy": "independent"},
    )  # fmt: skip


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as found:
        yield found


def done(hub: Hub, tmp_path: Path, *words: str, token: str = "hf_right") -> tuple[int, str, str]:
    """In another process: huggingface_hub reads its settings when it is imported."""
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": token,
           "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
    env.pop("HF_HUB_OFFLINE", None)
    got = subprocess.run(
        [sys.executable, "-P", *words], env=env, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    return got.returncode, got.stdout, got.stderr


@pytest.mark.parametrize("which", ["best", "mixture"])
def test_what_was_pushed_is_loaded_with_the_runs_own_samples(
    which: str, run: Run, hub: Hub, tmp_path: Path
) -> None:
    words = ["-m", "raygan.cli", "push", str(run.path), "hf://me/ring", "--from", which]
    code, out, err = done(hub, tmp_path, *words, "--licence", "mit", "--private")
    assert code == 0, err
    assert "sent to hf://me/ring" in out
    files = hub.repos["me/ring"]
    assert {"config.json", "README.md", "samples.png"} <= set(files)
    assert any(name.endswith(".safetensors") for name in files)
    assert hub.private["me/ring"]
    card = files["README.md"].decode()
    (tmp_path / "front.yaml").write_text(card.split("---\n")[1])
    front = read_yaml(tmp_path / "front.yaml")
    assert front["license"] == "mit"
    assert front["library_name"] == "raygan"
    assert 'raygan.load("hf://me/ring")' in card
    assert "(samples.png)" in card
    code, out, err = done(hub, tmp_path, "-c", LOAD)
    assert code == 0, err
    _, samples = json.loads(out)
    assert np.allclose(samples, run.generator(which).sample(9, seed=3), atol=1e-6)


def test_a_dry_run_asks_nobody(run: Run, hub: Hub, tmp_path: Path) -> None:
    words = ["-m", "raygan.cli", "push", str(run.path), "hf://me/ring", "--dry-run"]
    code, out, err = done(hub, tmp_path, *words)
    assert code == 0, err
    assert "README.md" in out
    assert "nothing was sent" in out
    assert hub.asked == []


def test_a_wrong_token_is_one_line_and_is_not_told(run: Run, hub: Hub, tmp_path: Path) -> None:
    words = ["-m", "raygan.cli", "push", str(run.path), "hf://me/ring"]
    code, _, err = done(hub, tmp_path, *words, token="hf_wrong_canary")
    assert code == 1
    told = [line for line in err.splitlines() if "does not take it" in line]
    assert len(told) == 1
    assert "Traceback" not in err
    assert "hf_wrong_canary" not in err
    assert hub.repos == {}


@pytest.mark.parametrize(
    ("target", "licence", "complaint"),
    [
        ("me/ring", "mit", "hf://ORGANISATION/NAME"),
        ("hf://ring", "mit", "hf://ORGANISATION/NAME"),
        ("hf://me/ring", "MIT: no", "as in apache-2.0"),
        ("hf://me/ring", "mit\ntags: x", "as in apache-2.0"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    run: Run, target: str, licence: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as found:
        push(run, target, "best", licence, dry=True)
    assert "\n" not in str(found.value)


def test_without_the_library_it_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"pip install 'raygan\[hub\]'"):
        push(run, "hf://me/ring", "best", dry=True)

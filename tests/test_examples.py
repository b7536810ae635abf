"""examples/: each file is at most 40 lines, passes raygan.testing, and is taken by every verb with
no edit of the package.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import raygan
from raygan import testing
from raygan.cli import main
from raygan.config import resolve
from raygan.data.given import spec_of
from raygan.own.objects import named
from raygan.service.plan import plan_text
from raygan.service.runs.run import Run
from raygan.service.sweeps.costs import costs
from raygan.service.verify import verify_config
from raygan.strategies.base import load_data
from tests.conftest import TINY

EXAMPLES = Path(__file__).parents[1] / "examples"
CHECKS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "residual.py": ("network", testing.check_network),
    "focal.py": ("loss", testing.check_loss),
    "spirals.py": ("data", testing.check_data),
    "ring_gap.py": ("strategy", testing.check_strategy),
    "fedavg.py": ("strategy", testing.check_strategy),
}


def small(**settings: Any) -> dict[str, Any]:
    return {**TINY, "steps": 60, "evaluation": {"every_steps": 60, "samples": 1600}, **settings}


def test_they_are_short_and_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    files = sorted(p.name for p in EXAMPLES.glob("*.py"))
    assert set(files) == {*CHECKS, "notebook.py"}
    for name in files:
        assert len((EXAMPLES / name).read_text().splitlines()) <= 40, name
        assert f"- `{name}`" in listed


@pytest.mark.parametrize("name", CHECKS)
def test_each_passes_the_checks(name: str) -> None:
    kind, check = CHECKS[name]
    part = resolve(None, (), named({kind: str(EXAMPLES / name)}, spec_of)).config.component(kind)
    assert type(part).__module__ != kind, "of the example's own file"
    assert (check(part) is not None) == (kind == "data"), (
        "it raises where the part is at fault; of data it gives the samples"
    )


def test_they_train_together_and_nothing_of_the_run_is_executed_elsewhere_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All four kinds in one run, in packs; stopped in the middle, resumed; then, without the files,
    as somebody else's run.
    """
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in CHECKS:
        (parts / name).write_text((EXAMPLES / name).read_text() + "# another file\n")
    spec = {"name": str(parts / "ring_gap.py"), "swap_every": 10}
    kinds = {kind: str(parts / name) for name, (kind, _) in CHECKS.items() if kind != "strategy"}
    settings = small(**kinds, strategy=spec, num_pairs=3, resources={"pairs_per_actor": 3})
    run = raygan.train(None, run_dir=tmp_path / "runs", name="mine", inline=True, **settings)
    assert len(run.swaps) > 0
    assert run.generator("best").sample(3).shape == (3, 2)
    for name in CHECKS:
        (parts / name).unlink()
    sample = ["sample", str(run.path), "-n", "4", "-o", str(tmp_path / "x.npz")]
    for argv, code in ((sample, 2), ([*sample, "--trust-code"], 0)):
        done = subprocess.run(
            [sys.executable, "-m", "raygan.cli", *argv],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert code == 0 or "--trust-code" in done.stderr


@pytest.mark.parametrize("name", ["ring_gap.py", "fedavg.py"])
def test_what_a_strategy_does_not_say_is_not_left_out_without_a_word(name: str) -> None:
    """`verify` shortens its period, whatever its name; `plan` and a sweep's costs do not make 0
    bytes of what they do not know.
    """
    own = str(EXAMPLES / name)
    resolved = resolve(None, (), named({**TINY, "num_pairs": 3, "strategy": own}, spec_of))
    results = verify_config(resolved.config, 20, "local", True)
    assert all(r.ok for r in results)
    told = plan_text(resolved, "local")
    cost = costs(resolved.config, 10, 0.0, load_data(resolved.config))
    assert cost["d_updates"] == 30
    if name == "ring_gap.py":
        assert any(r.promised and r.text.startswith("swaps conserve") for r in results)
        assert "a swap  " in told
        assert cost["megabytes"] > 0
    else:
        assert "does not say" in told
        assert cost["megabytes"] != cost["megabytes"], "NaN: not told"


def test_the_notebooks_cells_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "notebook.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "notebook.png").stat().st_size > 10_000
    assert "swapping mixture of all pairs" in done.stdout or "swapping" in done.stdout
    assert {r.name for r in map(Run.load, (tmp_path / "swapping", tmp_path / "alone"))} == {
        "swapping",
        "alone",
    }


@pytest.mark.ray
def test_on_ray(ray_session: None, tmp_path: Path) -> None:
    """The strategy with a player of its own, the network and the loss, each pair in an actor: the
    bits of inline.
    """
    settings = small(
        strategy={"name": str(EXAMPLES / "fedavg.py"), "every": 20},
        network=str(EXAMPLES / "residual.py"),
        loss=str(EXAMPLES / "focal.py"),
        num_pairs=2,
    )
    runs = [
        raygan.train(None, run_dir=tmp_path, name=str(i), inline=bool(i), **settings)
        for i in range(2)
    ]
    a, b = (r.generator("pair:1").sample(8, seed=0) for r in runs)
    assert (a == b).all()
    with pytest.raises(SystemExit) as stop:
        main(["report", str(runs[0].path)])
    assert stop.value.code == 0

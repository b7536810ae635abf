"""Examples and what `raygan new` writes: they run as they are, inline and on Ray, and pass the checks for users' own parts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import raygan
from raygan.cli import main
from raygan.components import load_component
from raygan.errors import ConfigError
from raygan.service.new import TEMPLATES, write_new
from raygan.testing import check_data, check_loss, check_network, check_strategy

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PARTS = {"loss": f"{EXAMPLES}/own_parts.py:Focal", "network": f"{EXAMPLES}/own_parts.py:Small"}
SMALL = {"num_pairs": 3, "evaluation": {"samples": 1500}, "checkpoint": {"every_steps": 4},
         "resources": {"spares": 0, "hub": False}}  # fmt: skip


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_an_example_is_short_and_listed(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 40
    assert f"({path.name})" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("name", ["ring_gap", "fedgan"])
def test_the_strategies_pass_the_checks(name: str) -> None:
    key = "swap_every" if name == "ring_gap" else "every"
    check_strategy(load_component("strategy", _settled("strategy", f"{EXAMPLES}/{name}.py", {key: 2})))


def test_the_other_parts_pass_the_checks() -> None:
    check_loss(load_component("loss", _settled("loss", PARTS["loss"])))
    check_network(load_component("network", _settled("network", PARTS["network"])))
    check_data(load_component("data", _settled("data", f"{EXAMPLES}/moons.py")))


def _settled(kind: str, name: str, settings: dict[str, object] | None = None) -> dict[str, object]:
    from raygan.own.find import settle

    return {"name": settle(kind, name), **(settings or {})}


def test_the_script_trains_samples_and_plots(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "compare.py", tmp_path, "20"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]
    assert (tmp_path / "compare.png").stat().st_size > 1000


def test_killed_resumed_exported_and_sampled_elsewhere(tmp_path: Path) -> None:
    """kill -9 of a driver; the run's own parts go on, and in a fresh process nothing of it runs unless the user says so."""
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("own_parts", "fedgan"):
        (parts / f"{name}.py").write_text((EXAMPLES / f"{name}.py").read_text())
    command = ["train", "--preset", "ring8-sgan", "--inline", "--num-pairs", "3", "--steps", "9", "--evaluation.samples",
               "1500", "--checkpoint.every-steps", "4",
               "--strategy", "./parts/fedgan.py", "--strategy.every", "2", "--name", "x",
               "--loss", "./parts/own_parts.py:Focal", "--network", "./parts/own_parts.py:Small",
               "--listeners", "./kill.py"]  # fmt: skip
    (tmp_path / "kill.py").write_text(
        "import os, pathlib\n\ndef kill(controller, done):\n"
        "    if not pathlib.Path('killed').exists() and any(pathlib.Path('runs/x/checkpoints').glob('*4*/manifest.json')):\n"
        "        pathlib.Path('killed').touch()\n        os.kill(os.getpid(), 9)\n"
    )

    def verb(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "raygan.cli", *args], cwd=tmp_path, capture_output=True, text=True)

    killed = verb(*command)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-800:]
    resumed = verb(*command, "--resume", "auto")
    assert resumed.returncode == 0, resumed.stderr[-800:]
    parts.rename(tmp_path / "gone")
    refused = verb("sample", "runs/x", "-n", "4", "-o", "x.npz")
    assert refused.returncode == 2
    assert "--trust-code" in refused.stderr
    assert not (tmp_path / "x.npz").exists()
    assert verb("sample", "runs/x", "-n", "4", "-o", "x.npz", "--trust-code").returncode == 0
    exported = verb("export", "runs/x", "-o", "model", "--trust-code")
    assert exported.returncode == 0, exported.stderr[-800:]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("name", ["ring_gap", "fedgan"])
def test_on_ray_the_bits_of_inline(name: str, tmp_path: Path) -> None:
    key = "swap_every" if name == "ring_gap" else "every"
    given = SMALL | PARTS | {"data": f"{EXAMPLES}/moons.py", "steps": 7, "run_dir": tmp_path}
    strategy = {"name": f"{EXAMPLES}/{name}.py", key: 3}
    packed = {**SMALL["resources"], "pairs_per_actor": 3}
    there = raygan.train("ring8-gap", **given | {"resources": packed}, strategy=strategy, name="ray")
    here = raygan.train("ring8-gap", **given, strategy=strategy, name="here", inline=True)
    for run in (there, here):
        assert run.info["exit_code"] == 0
    a, b = (run.generator("mixture").sample(64, seed=0) for run in (there, here))
    assert abs(a - b).max() < 1e-3, "packed on Ray, one after the other here"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    for kind in TEMPLATES:
        write_new(kind, f"my_{kind}", folder)
    return folder


def test_what_new_writes_passes_its_test(written: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "."], cwd=written, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:]
    assert f"{len(TEMPLATES)} passed" in done.stdout


def test_what_new_writes_trains(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    parts = {kind: f"./my_{kind}.py" for kind in TEMPLATES if kind != "metric"}
    run = raygan.train(
        "ring8-gap", **SMALL, **parts, metrics=["./my_metric.py"], steps=5, inline=True, run_dir=written / "runs"
    )
    assert "my_metric.mean" in run.scores()["pair-00"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["los", "mine"], "no kind named 'los'"),
        (["loss", "my-loss"], "'my-loss' is no name for a Python module"),
        (["loss", "class"], "'class' is no name"),
        (["loss", "../x"], "is no name"),
        (["loss", "hinge"], "'hinge' is built in already. Use my_hinge."),
        (["data", "json"], "'json' is built in already"),
        (["loss", "taken"], "taken.py exists. Take another name"),
        (["loss", "mine", "--to", "taken.py"], "is a file. Give a folder."),
    ],
)
def test_new_refuses_in_one_line(
    args: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.py").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main(["new", *args])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.strip().count("\n") == 0
    assert [p.name for p in tmp_path.iterdir()] == ["taken.py"]
    assert Path("taken.py").read_text() == "mine"


def test_new_prints_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["new", "loss", "mine", "--to", "parts"])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "pytest parts/test_mine.py",
        "raygan train --loss ./parts/mine.py",
    ]
    with pytest.raises(ConfigError, match="exists"):
        write_new("loss", "mine", tmp_path / "parts")

"""Own parts on real Ray: trained on two actors, killed, resumed elsewhere than their files; a job's
folder has them.
"""

import shutil
from pathlib import Path

import pytest
import ray

import raygan
from raygan.controller.checkpoint import newest_valid
from raygan.errors import ConfigError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.resuming import resume_run
from tests.own.conftest import as_elsewhere

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.usefixtures("ray_session")]


def digests(run: Path) -> dict[str, str]:
    checkpoint, problems = newest_valid(run)
    assert checkpoint is not None
    assert not problems
    return {player: digest(unpack(raw)) for player, raw in checkpoint.parts.items()}


def test_own_parts_on_two_actors_killed_and_resumed(files: dict[str, Path], tmp_path: Path) -> None:
    """A killed driver leaves its last checkpoint; its files are gone by then, the folder's own
    copies go on, to the same bits.
    """
    parts = {kind: f"./parts/{files[kind].name}" for kind in ("network", "loss", "strategy")}
    settings = {**parts, "num_pairs": 2, "evaluation": {"samples": 1500},
                "metrics": "./parts/metrics.py",
                "checkpoint": {"every_steps": 2},
                "resources": {"spares": 0, "hub": False}}  # fmt: skip

    class Killed(BaseException):
        """What a driver is at this step."""

    def kill(controller: object, done: object) -> None:
        folder = tmp_path / "runs" / "mine"
        if (folder / "checkpoints").exists() and newest_valid(folder)[0] is not None:
            raise Killed

    straight = raygan.train(
        "ring8-sgan", **settings, steps=6, inline=True, run_dir=tmp_path / "runs", name="straight"
    )
    listeners: list[object] = [kill]
    from raygan.config import resolve
    from raygan.service.training import train

    with pytest.raises(Killed):
        train(
            resolve("ring8-sgan", flags={**settings, "steps": 6}),
            run_dir=tmp_path / "runs",
            name="mine",
            listeners=listeners,
        )  # type: ignore[arg-type]
    path = Path(shutil.copytree(tmp_path / "runs" / "mine", tmp_path / "there" / "mine"))
    (tmp_path / "parts").rename(tmp_path / "gone")
    as_elsewhere()
    with pytest.raises(ConfigError, match="--trust-code"):
        resume_run(path, inline=False)
    resumed = resume_run(path, inline=False, trust_code=True)
    assert resumed.info["exit_code"] == 0
    assert "spread.fake" in resumed.scores()["pair-00"]
    assert digests(path) == digests(straight.path)


def test_a_module_of_the_driver_alone_is_told_before_a_run_is_made(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files["loss"].rename(files["loss"].with_name("only_here.py"))
    monkeypatch.syspath_prepend(str(tmp_path / "parts"))
    with pytest.raises(
        ConfigError, match=r"'only_here' is on the machine that started the run and not on this one"
    ) as told:
        raygan.train(
            "ring8-sgan", loss="only_here:Scaled", steps=2, num_pairs=2, run_dir=tmp_path / "runs"
        )
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "runs").glob("*"))
    assert ray.is_initialized()

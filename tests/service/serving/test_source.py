"""What is served, without Ray: the samples of `raygan sample`, however requests come together; and
the newest checkpoint.
"""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from raygan.config import Resolved
from raygan.data.record import Scaling
from raygan.errors import ConfigError, RayganError
from raygan.service.resuming import resume_run
from raygan.service.runs.generators import Drawn, Generators, Judge
from raygan.service.runs.run import Run
from raygan.service.scores import rejection
from raygan.service.scores.formats import encoded
from raygan.service.scores.sampling import write_drawn
from raygan.service.serving.source import Model, Rolling, Source, numbers
from raygan.service.training import train
from tests.conftest import tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two swapping pairs, and a global one."""
    config = tiny_config(num_pairs=2, steps=20, checkpoint={"every_steps": 10})
    return train(
        Resolved(config=config, origins={}),
        run_dir=tmp_path_factory.mktemp("runs"),
        name="r",
        inline=True,
    )


@pytest.mark.parametrize("which", ["global", "mixture", "pair:1", None])
def test_requests_that_come_together_get_what_each_asked_for(run: Run, which: str | None) -> None:
    model = Source(str(run.path), which).open()
    asked = [(3, 7), (1, 0), (700, 7), (1, 123), (2, 0)]
    together = model.generators.draw_many(asked)
    for (count, seed), x in zip(asked, together, strict=True):
        alone = run.generator(which or run.main_player).draw(count, seed)
        assert x.shape == alone.shape == (count, 2)
        np.testing.assert_allclose(x, alone, rtol=1e-4, atol=1e-5)


def test_one_request_alone_has_the_bits_of_sample(run: Run) -> None:
    model = Source(str(run.path), "global").open()
    assert np.array_equal(
        model.generators.draw_many([(64, 5)])[0], run.generator("global").draw(64, 5)
    )


def test_a_latent_point_is_the_networks_own(run: Run) -> None:
    model = Source(str(run.path), "global").open()
    z_dim = model.generators.priors["global"][1]
    z = [0.25] * z_dim
    first = model.latent(z).in_units
    assert first.shape == (1, 2)
    assert np.array_equal(first, model.latent(z).in_units)
    assert not np.array_equal(first, model.latent([-0.25] * z_dim).in_units)
    with pytest.raises(ConfigError, match=f"z: 1 numbers, and global takes {z_dim}"):
        model.latent([1.0])


def test_a_newer_checkpoint_takes_its_place_and_a_broken_one_does_not(tmp_path: Path) -> None:
    config = tiny_config(num_pairs=2, steps=20, checkpoint={"every_steps": 10})
    run = train(Resolved(config=config, origins={}), run_dir=tmp_path, name="r", inline=True)
    rolling = Rolling(Source(str(run.path), "global"))
    before, first = rolling.model.checkpoint, rolling.model.generators.draw(8)
    rolling.look()
    assert rolling.model.checkpoint == before
    assert rolling.rolled == 0
    resume_run(run.path, extra_steps=10)
    rolling.look()
    assert rolling.rolled == 1
    assert rolling.model.checkpoint > before
    assert not np.array_equal(rolling.model.generators.draw(8), first)
    now = rolling.model.generators.draw(8)
    resume_run(run.path, extra_steps=10)
    newest = max((run.path / "checkpoints").iterdir())
    for part in newest.iterdir():
        part.write_bytes(part.read_bytes()[:-1])
    rolling.look()
    assert np.array_equal(rolling.model.generators.draw(8), now), (
        "the last one goes on being served"
    )
    assert f"checkpoint {newest.name} cannot be used" in rolling.failed


def test_a_run_that_commits_while_its_d_is_made_ready_is_opened_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Run.load(shutil.copytree(run.path, tmp_path / "r", symlinks=True))
    tries: list[str] = []

    def keeps(d: nn.Module, *rest: object) -> Judge:
        return Judge(d, -1e6, "global")

    # drawn with rejection too: on some CPUs a batch of another size is rounded otherwise
    monkeypatch.setattr(rejection, "calibrated", keeps)
    before = Source(str(there.path), "global", reject=True).open().generators.draw(8)

    def commits(d: nn.Module, *rest: object) -> Judge:
        tries.append("global")
        resume_run(there.path, extra_steps=10, inline=True)
        return keeps(d)

    monkeypatch.setattr(rejection, "calibrated", commits)
    model = Source(str(there.path), "global", reject=True).open()
    assert tries == ["global"]
    assert model.checkpoint == "00000020"
    assert np.array_equal(model.generators.draw(8), before)


def test_a_folder_that_is_gone_is_said_and_the_last_state_is_served(tmp_path: Path) -> None:
    config = tiny_config(num_pairs=2, steps=20, checkpoint={"every_steps": 10})
    run = train(Resolved(config=config, origins={}), run_dir=tmp_path, name="r", inline=True)
    rolling = Rolling(Source(str(run.path)))
    run.path.rename(tmp_path / "elsewhere")
    rolling.look()
    assert "no checkpoint any more" in rolling.failed
    assert rolling.model.generators.draw(3).shape == (3, 2)
    (tmp_path / "elsewhere").rename(run.path)
    rolling.look()
    assert rolling.failed == "", "it is there again"


@pytest.mark.parametrize("error", [OSError("stale handle"), KeyError("global"), ValueError("x")])
def test_what_goes_wrong_once_is_tried_again(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(num_pairs=2, steps=20, checkpoint={"every_steps": 10})
    run = train(Resolved(config=config, origins={}), run_dir=tmp_path, name="r", inline=True)
    rolling = Rolling(Source(str(run.path)))
    before = rolling.model.checkpoint
    resume_run(run.path, extra_steps=10, inline=True)

    def fails(self: Source) -> None:
        raise error

    with monkeypatch.context() as once:
        once.setattr(Source, "open", fails)
        rolling.look()
    assert str(error) in rolling.failed
    assert rolling.model.checkpoint == before
    rolling.look()
    assert rolling.failed == ""
    assert rolling.model.checkpoint > before


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (Source("/nowhere"), "nowhere"),
        (Source("hf://x"), "hf://ORGANISATION/NAME"),
    ],
)
def test_what_cannot_be_served_is_one_line(source: Source, complaint: str) -> None:
    with pytest.raises(RayganError, match=complaint) as found:
        source.open()
    assert "\n" not in str(found.value)


IMAGES = np.linspace(-1, 1, 5 * 3 * 4 * 4, dtype=np.float32).reshape(5, 3, 4, 4)
POINTS = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_formats_hold_what_they_were_given() -> None:
    points, images = Drawn(POINTS), Drawn(IMAGES)
    assert json.loads(encoded(points, "json")) == {"shape": [3, 2], "x": POINTS.tolist()}
    assert np.array_equal(np.load(io.BytesIO(encoded(images, "npy"))), IMAGES)
    assert np.array_equal(np.load(io.BytesIO(encoded(images, "npz")))["x"], IMAGES)
    with pytest.raises(ConfigError, match="not finite"):
        encoded(Drawn(POINTS * np.nan), "json")
    assert Image.open(io.BytesIO(encoded(points, "png"))).format == "PNG"
    sheet = np.asarray(Image.open(io.BytesIO(encoded(images, "png"))))
    assert sheet.shape == (8, 12, 3), "3 across, 2 down"
    first = np.round((IMAGES[0].transpose(1, 2, 0) + 1) * 127.5)
    assert np.abs(sheet[:4, :4] - first).max() <= 1
    text = np.zeros((1, 2, 3), np.float32)
    text[0, [1, 0, 1], [0, 1, 2]] = 1
    assert encoded(Drawn(text, alphabet="ab"), "txt") == b"bab\n"
    assert json.loads(encoded(Drawn(text, alphabet="ab"), "json"))["x"] == ["bab"]


def test_a_picture_is_shown_in_any_units_and_numbers_are_in_them() -> None:
    """Of 0..4095: as a PNG what it is without; the same of points is a plot of their units."""
    plain, scaled = Drawn(IMAGES), Drawn(IMAGES, Scaling((2047.5,), (2047.5,)))
    assert encoded(scaled, "png") == encoded(plain, "png")
    numbers = np.load(io.BytesIO(encoded(scaled, "npy")))
    assert (numbers.min(), numbers.max()) == (0, 4095)
    assert encoded(Drawn(POINTS, Scaling((0.0,), (1000.0,))), "png") != encoded(
        Drawn(POINTS), "png"
    )


@pytest.mark.parametrize("scaling", [None, Scaling((2047.5,), (2047.5,))])
def test_the_page_and_a_file_show_the_same_picture(scaling: Scaling | None, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 16), nn.Unflatten(1, (1, 4, 4)), nn.Tanh())
    made = Generators({"a": network}, {"a": ("gaussian", 2)}, scaling=scaling)
    z = [0.5, -1.0]
    raw = encoded(Model(made, "a", "").latent(z), "png")
    shown = np.asarray(Image.open(io.BytesIO(raw)).convert("L"))
    with torch.no_grad():
        expected = (network(torch.tensor([z]))[0, 0].numpy() + 1) * 127.5
    assert np.abs(shown - expected).max() <= 1
    write_drawn(made, "run", 4, 0, tmp_path / "scaled.png")
    write_drawn(replace(made, scaling=None), "run", 4, 0, tmp_path / "plain.png")
    assert (tmp_path / "scaled.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


@pytest.mark.parametrize(
    ("samples", "form", "alphabet"), [(POINTS, "txt", ""), (np.zeros((1, 2, 3)), "png", "ab")]
)
def test_a_format_that_samples_do_not_have(samples: np.ndarray, form: str, alphabet: str) -> None:
    with pytest.raises(ConfigError, match=f"format={form}"):
        encoded(Drawn(samples, alphabet=alphabet), form)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "x", "1,,2", "1;2", "nan,1", "1,inf"])
def test_a_z_that_is_no_point(text: str) -> None:
    with pytest.raises(ConfigError, match="z="):
        numbers(text)

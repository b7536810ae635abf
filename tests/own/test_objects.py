"""raygan.train with Python objects: classes, instances, functions, arrays, datasets, what has no
source; scripts and notebooks.
"""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import raygan
from raygan.config import load_component, resolve
from raygan.data.given import spec_of as of_samples
from raygan.errors import ConfigError, DataError
from raygan.losses.hinge import Hinge
from raygan.own.excerpt import taken
from raygan.own.importing import register
from raygan.own.names import label, split
from raygan.own.objects import named, spec_of
from raygan.own.script import needed
from raygan.own.source import OBJECTS, SOURCES
from tests.own.conftest import PARTS, as_elsewhere

FAST: dict[str, Any] = {
    "steps": 2, "num_pairs": 2, "evaluation": {"samples": 1500},
    "network": {"name": "mlp", "hidden": 8}, "inline": True,
}  # fmt: skip
SCRIPT = """import os
from torch import nn
import raygan

SLOPE = 0.2
UNUSED = os.getpid()


def act():
    return nn.LeakyReLU(SLOPE)


class Net:
    def __init__(self, width=4):
        self.width = width

    def generator(self, shape, z_dim):
        return nn.Sequential(nn.Linear(z_dim, self.width), act(), nn.Linear(self.width, *shape))

    def discriminator(self, shape):
        return nn.Sequential(nn.Linear(*shape, 1), nn.Flatten(0))


raise SystemExit("a script that runs")
"""


class Net:
    """Of this file."""

    def __init__(self, width: int = 4) -> None:
        self.width = width

    def generator(self, shape: tuple[int, ...], z_dim: int) -> nn.Module:
        """One layer."""
        return nn.Sequential(nn.Linear(z_dim, *shape))

    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """One layer."""
        return nn.Sequential(nn.Linear(*shape, 1), nn.Flatten(0))


class Forgetful(Net):
    """Does not keep its setting."""

    def __init__(self, size: int = 4) -> None:
        super().__init__(size)


def mean(samples: torch.Tensor, held_out: torch.Tensor) -> float:
    """A metric."""
    return float(samples.mean())


def fails(samples: torch.Tensor, held_out: torch.Tensor) -> float:
    """A metric that does not work."""
    return 1 / 0


def test_what_objects_are_called() -> None:
    here = str(Path(__file__).resolve())
    assert spec_of("network", Net(width=8), of_samples) == {"name": f"{here}:Net", "width": 8}
    assert spec_of("network", Net, of_samples) == {"name": f"{here}:Net"}
    assert spec_of("network", {"name": Net, "width": 3}, of_samples) == {
        "name": f"{here}:Net",
        "width": 3,
    }
    assert spec_of("loss", Hinge(d_steps=2), of_samples) == {
        "name": "hinge",
        **Hinge(d_steps=2).model_dump(),
    }
    assert spec_of("loss", "hinge", of_samples) == "hinge"
    with pytest.raises(ConfigError, match="Forgetful does not keep its setting 'size'"):
        spec_of("network", Forgetful(), of_samples)
    nested = named({"pairs": [{"count": 2, "network": Net}], "metrics": [mean]}, of_samples)
    assert nested == {
        "pairs": [{"count": 2, "network": {"name": f"{here}:Net"}}],
        "metrics": [{"name": f"{here}:mean"}],
    }


def test_a_run_of_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[object] = []

    def breaks(controller: object, done: object) -> None:
        raise KeyError("mine")

    points = np.random.default_rng(0).normal(size=(200, 2))
    run = raygan.train(
        "ring8-sgan", **{**FAST, "network": Net(width=2)}, loss=Hinge, data=points,
        metrics=[mean, fails], listeners=[lambda c, d: heard.append(d), breaks], run_dir=tmp_path,
        name="mine",
    )  # fmt: skip
    assert heard
    row = run.scores()["global"]
    assert "mean" in row
    assert "fails" not in row
    assert run.info["exit_code"] == 0, "a metric and a listener that raise cost nothing else"
    assert {w.partition(" ")[0]: n for w, n in run.info["warnings"].items()} == {
        "W107": 1,
        "W209": 3,
        "W210": 1,
    }
    (entry,) = run.info["protocols"].values()
    assert "mean" in entry["ceiling"]
    assert len(list((tmp_path / "mine" / "code").glob("*/tests/own/test_objects.py"))) == 1
    assert run.config.data["name"] == "given"
    assert run.generator("best").sample(3).shape == (3, 2)
    from raygan.data.given import GIVEN

    GIVEN.clear()
    with pytest.raises(DataError, match=r"data.given: .* Give it again"):
        raygan.train(resume=str(tmp_path / "mine"), inline=True)
    again = raygan.train(resume=str(tmp_path / "mine"), inline=True, data=points, steps=4)
    assert max(again.info["steps"].values()) == 4


DATA = {
    "points": lambda: np.random.default_rng(0).normal(size=(40, 3)),
    "a tensor": lambda: torch.randn(40, 3, generator=torch.Generator().manual_seed(0)),
    "images": lambda: np.zeros((40, 8, 8), np.uint8),
    "a Dataset": lambda: torch.utils.data.TensorDataset(torch.zeros(40, 3)),
    "a list": lambda: [1, 2],
}


@pytest.mark.parametrize("what", DATA)
def test_data_as_an_object(what: str) -> None:
    thing = DATA[what]()
    if what in ("a Dataset", "a list"):
        with pytest.raises(ConfigError, match=r"\[0\] is a tuple of 1|list"):
            spec_of("data", thing, of_samples)
        return
    spec = spec_of("data", thing, of_samples)
    data: Any = load_component("data", spec)
    samples = data.load(0)
    assert len(samples.train) + len(samples.held_out) == 40
    assert spec_of("data", thing, of_samples) == spec, "the same samples, the same hash"


def test_what_a_script_runs_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    source = taken(path, ["Net"])
    assert source is not None
    (text,) = source.files.values()
    for kept in ("from torch import nn", "SLOPE = 0.2", "def act", "class Net"):
        assert kept in text
    for left in ("raygan", "UNUSED", "import os", "SystemExit"):
        assert left not in text
    name = f"script.py:Net@{register(source).key}"
    config = resolve(flags={"network": name, "network.width": 6}).config
    assert config.component("network").width == 6  # type: ignore[attr-defined]
    path.write_text(SCRIPT.replace("raise", "print('more')\nraise"))
    again = taken(path, ["Net"])
    assert again is not None
    assert again.sha256 == source.sha256, "what it does not need may change"


TRY = "try:\n    import a\nexcept ImportError:\n    a = None\ndef f(): return a"
NEEDS = [
    ("from x import *\nclass A: pass", "A", "from x import *\nclass A: pass\n"),
    (TRY, "f", f"{TRY}\n"),
    (
        "if __name__ == '__main__':\n    X = 1\nX = 2\ndef f(): return X",
        "f",
        "X = 2\ndef f(): return X\n",
    ),
    ("def d(f): return f\n@d\ndef f(): ...", "f", "def d(f): return f\n@d\ndef f(): ...\n"),
    ("class A: pass\nclass B(A): pass\nb = B()", "B", "class A: pass\nclass B(A): pass\n"),
    ("x = 1", "y", ""),
]


@pytest.mark.parametrize(("text", "name", "kept"), NEEDS)
def test_what_a_name_needs(text: str, name: str, kept: str) -> None:
    assert needed(text, [name]) == kept


def test_a_notebooks_cells_are_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        "%matplotlib inline\nfrom torch import nn",
        "this is no Python",
        PARTS["network"],
        "!ls\nNet(3)",
    ]
    shell = types.SimpleNamespace(user_ns={"In": cells})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    main = types.ModuleType("__main__")
    exec(PARTS["network"], main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    spec = spec_of("network", main.__dict__["Net"](width=5), of_samples)
    assert spec["width"] == 5
    assert label(spec["name"]) == "notebook.py:Net"
    assert "ls" not in SOURCES[split(spec["name"]).key].files["notebook.py"].split()
    assert load_component("network", spec).width == 5  # type: ignore[attr-defined]


def test_what_has_no_source_trains_inline_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Inner(Net):
        """Of a function: no other process can make it."""

    settings = {**FAST, "network": Inner, "metrics": [lambda samples, held_out: 1.0]}
    with pytest.raises(ConfigError, match=r"it has no source .* cannot travel to Ray's workers"):
        raygan.train("ring8-sgan", **{**settings, "inline": False}, run_dir=tmp_path, name="ray")
    assert list(tmp_path.iterdir()) == []
    run = raygan.train("ring8-sgan", **settings, run_dir=tmp_path, name="mine")
    assert "can be resumed and sampled in this process only" in caplog.text
    assert run.generator("best").sample(2).shape == (2, 2)
    as_elsewhere()
    OBJECTS.clear()
    with pytest.raises(ConfigError, match="its source is not here"):
        raygan.Run.load(tmp_path / "mine").generator("best")

"""An own part by file, module, entry point, in flags, YAML, pairs and sweeps; its settings are
checked like built-in ones.
"""

import hashlib
import importlib.metadata
import pickle  # noqa: TID251  Ray carries configs by it
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygan.cli.flags import parse
from raygan.config import Config, full_dump, load_component, resolve, validate
from raygan.errors import ConfigError
from raygan.own.names import label, split
from raygan.own.source import SOURCES
from raygan.service.sweeps.file import read_sweep
from tests.own.conftest import NAMES, PARTS, as_elsewhere

ONE = ("network", "loss", "data", "strategy")
SETTINGS = {
    "network": ("width", 16),
    "loss": ("scale", 2.0),
    "data": ("count", 100),
    "strategy": ("patience", 5),
}


def flags_of(*argv: str) -> dict[str, Any]:
    return parse("train", argv).settings


@pytest.mark.parametrize("kind", ONE)
@pytest.mark.parametrize("named", [True, False], ids=["named", "the only one"])
def test_a_file_is_a_part(kind: str, named: bool, files: dict[str, Path]) -> None:
    name = f"./parts/{files[kind].name}" + (f":{NAMES[kind]}" if named else "")
    setting, value = SETTINGS[kind]
    config = resolve(flags=flags_of(f"--{kind}", name, f"--{kind}.{setting}", str(value))).config
    component = config.component(kind)
    assert getattr(component, setting) == value
    assert label(component.name) == f"{files[kind].name}:{NAMES[kind]}"
    digest = hashlib.sha256(files[kind].read_bytes()).hexdigest()
    assert config.code[digest[:12]] == {
        "sha256": digest,
        "path": str(files[kind]),
        "files": [files[kind].name],
    }
    again = validate(Config, full_dump(config))
    assert full_dump(again) == full_dump(config)


@pytest.mark.parametrize("kind", ONE)
def test_its_settings_are_checked(kind: str, files: dict[str, Path]) -> None:
    setting, _ = SETTINGS[kind]
    wrong = setting[:-1] + "q"
    with pytest.raises(ConfigError) as error:
        resolve(flags={kind: str(files[kind]), f"{kind}.{wrong}": 1})
    assert f"no setting {wrong!r}. Did you mean {setting!r}?" in str(error.value)
    with pytest.raises(ConfigError, match=f"{kind}.*{setting} = "):
        resolve(flags={kind: str(files[kind]), f"{kind}.{setting}": "many"})


@pytest.mark.parametrize("kind", ONE)
def test_help_describes_it(
    kind: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse("train", [f"--{kind}", str(files[kind]), "--help"])
    out = capsys.readouterr().out
    assert f"{files[kind].name}:{NAMES[kind]}" in out
    setting, _ = SETTINGS[kind]
    assert f"--{kind}.{setting}" in out


@pytest.mark.parametrize("kind", ONE)
def test_a_yaml_file_names_it_relative_to_itself(
    kind: str, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = files[kind].parent / "mine.yaml"
    setting, value = SETTINGS[kind]
    settings.write_text(yaml.safe_dump({kind: {"name": f"./{files[kind].name}", setting: value}}))
    monkeypatch.chdir("/")
    assert getattr(resolve(None, [settings]).config.component(kind), setting) == value


def test_pairs_over_and_lists(files: dict[str, Path]) -> None:
    flags = flags_of(
        "--pairs",
        "[{count: 1}, {count: 1, network: {name: ./parts/networks.py, width: 4}, loss:"
        " ./parts/losss.py:Scaled}]",
        "--strategy.over", "./parts/strategys.py:Alone", "--metrics", "./parts/metrics.py:spread",
        "--listeners", "[{name: ./parts/listeners.py}]",
    )  # fmt: skip
    config = resolve(flags=flags).config
    assert len(config.code) == 5
    assert label(config.of("pair-01").component("loss").name) == "losss.py:Scaled"
    assert config.of("pair-00").component("loss").name == config.loss["name"]
    assert label(str(config.metrics[0]["name"])) == "metrics.py:spread"
    assert label(load_component("strategy", config.strategy["over"]).name) == "strategys.py:Alone"


@pytest.mark.parametrize("kind", ONE)
def test_a_config_takes_its_sources_along(kind: str, files: dict[str, Path]) -> None:
    raw = pickle.dumps(resolve(flags={kind: str(files[kind])}).config)  # what Ray does with it
    as_elsewhere()
    files[kind].unlink()
    config = pickle.loads(raw)  # noqa: S301
    assert label(config.component(kind).name) == f"{files[kind].name}:{NAMES[kind]}"


def test_a_sweep_names_parts_relative_to_its_file_and_takes_them_along(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = files["loss"].with_name("other.py")
    other.write_text(PARTS["loss"].replace("Scaled", "Other"))
    file = files["loss"].parent / "sweep.yaml"
    space = {
        "loss": ["./losss.py", {"name": "./other.py:Other", "scale": 2.0}, "hinge"],
        "seed": [0],
    }
    settings = {"network": "./networks.py", "steps": 4}
    file.write_text(yaml.safe_dump({"name": "s", "space": space, "settings": settings}))
    monkeypatch.chdir("/")
    raw = pickle.dumps(read_sweep(file))
    as_elsewhere()
    for path in (*files.values(), other):
        path.unlink()
    sweep = pickle.loads(raw)  # noqa: S301
    losses = [sweep.resolved(point).config.component("loss") for point in sweep.points()]
    assert [label(loss.name) for loss in losses] == ["losss.py:Scaled", "other.py:Other", "hinge"]
    assert getattr(losses[1], "scale") == 2.0  # noqa: B009


def test_a_module_is_a_part(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    package = files["loss"].parent / "my_pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "losses.py").write_text(PARTS["loss"])
    monkeypatch.syspath_prepend(str(package.parent))
    for name in ("my_pkg.losses:Scaled", "my_pkg.losses"):
        config = resolve(flags={"loss": name}).config
        assert label(config.component("loss").name) == "my_pkg.losses:Scaled"
        assert next(iter(config.code.values()))["module"] == "my_pkg.losses"
    raw = pickle.dumps(config)
    as_elsewhere()
    for module in [m for m in sys.modules if m.partition(".")[0] == "my_pkg"]:
        monkeypatch.delitem(sys.modules, module)
    (package / "losses.py").rename(package / "gone")
    with pytest.raises(
        ConfigError, match="is on the machine that started the run and not on this one"
    ):
        pickle.loads(raw).component("loss")  # noqa: S301
    (package / "losses.py").write_text(PARTS["loss"] + "\n")
    with pytest.raises(ConfigError, match="Install the same version"):
        pickle.loads(raw).component("loss")  # noqa: S301


def test_a_package_comes_along_whole(files: dict[str, Path]) -> None:
    folder = files["loss"].parent
    (folder / "__init__.py").write_text("")
    (folder / "layers.py").write_text("SCALE = 7.0\n")
    files["loss"].write_text(
        "from .layers import SCALE\n" + PARTS["loss"].replace("= 1.0", "= SCALE")
    )
    raw = pickle.dumps(resolve(flags={"loss": str(files["loss"])}).config)
    as_elsewhere()
    for path in folder.glob("*.py"):
        path.unlink()
    loss = pickle.loads(raw).component("loss")  # noqa: S301
    assert getattr(loss, "scale") == 7.0  # noqa: B009
    assert split(loss.name).where == "parts/losss.py"
    assert set(SOURCES[split(loss.name).key].files) >= {
        "parts/__init__.py",
        "parts/layers.py",
        "parts/losss.py",
    }


class Point:
    """An entry point of a package that is not there."""

    def __init__(self, name: str, group: str, thing: Any) -> None:
        self.name, self.value, self.group, self.thing = name, "their_pkg:Thing", group, thing

    def load(self) -> Any:
        """The object."""
        if isinstance(self.thing, Exception):
            raise self.thing
        return self.thing


def installed_points(monkeypatch: pytest.MonkeyPatch, **points: Any) -> None:
    class Found:
        def select(self, group: str) -> list[Point]:
            return [
                Point(n, group, t) for n, t in points.get(group.removeprefix("raygan."), {}).items()
            ]

    monkeypatch.setattr(importlib.metadata, "entry_points", Found)
    as_elsewhere()


def test_entry_points_are_names(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, Any] = {"__name__": "their_pkg"}
    exec(PARTS["loss"], scope)
    installed_points(
        monkeypatch,
        losses={
            "focal-loss": scope["Scaled"],
            "broken": ImportError("no torch"),
            "hinge": scope["Scaled"],
        },
    )
    config = resolve(flags={"loss": "focal-loss", "loss.scale": 3.0}).config
    assert {"name": "focal_loss", "d_steps": 1, "scale": 3.0}.items() <= full_dump(config)[
        "loss"
    ].items()
    assert config.code == {}
    with pytest.raises(
        ConfigError, match=r"loss: broken .*cannot be loaded \(ImportError: no torch\)"
    ):
        resolve(flags={"loss": "broken"})
    with pytest.raises(ConfigError, match=r"'focl_loss'\. Did you mean 'focal_loss'"):
        resolve(flags={"loss": "focl-loss"})
    with pytest.raises(ConfigError, match=r"hinge.*named like a built-in"):
        resolve(flags={"loss": "hinge"})

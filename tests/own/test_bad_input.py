"""Each mistake with an own part is one line: thing, value, next move; exit code 2, nothing
half-written.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from raygan.cli import main
from raygan.controller.listener_guard import Guard
from raygan.controller.own_listeners import live
from raygan.metrics.own import adapt, measured
from raygan.own.source import MOST_BYTES
from tests.own.conftest import PARTS

FAST = [
    "--steps",
    "2",
    "--num-pairs",
    "2",
    "--evaluation.samples",
    "1500",
    "--inline",
    "--quiet",
    "--network.z-dim",
    "2",
]
BASES = {
    "network": "from raygan.networks.base import NetworkComponent as B",
    "loss": "from raygan.losses.base import LossComponent as B",
    "data": "from raygan.data.base import DataComponent as B",
    "strategy": "from raygan.strategies.base import StrategyComponent as B",
}
LACKS = {
    "network": "_discriminator",
    "loss": "d_loss, g_loss",
    "data": "load",
    "strategy": "build, decide",
}


def refused(argv: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["train", *argv, *FAST])
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert err.startswith("raygan: ")
    assert err.count("\n") == 1, err
    assert not list(tmp_path.glob("runs/*"))
    return err


KINDS = ("network", "loss", "data", "strategy")
FILES = {
    "nothing in it": ("X = 1\n", "holds no {kind}"),
    "a syntax error": ("def f(:\n", "mine.py:1: invalid syntax"),
    "a missing import": (
        "import os\nimport not_there\n",
        "mine.py:2: no module named 'not_there'. Install it",
    ),
    "a neighbour": ("import beside\n", "it lies beside the file, and a file travels alone"),
    "an error": ("\n\n1 / 0\n", "mine.py:3: ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_part(
    kind: str, case: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = FILES[case]
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "mine.py").write_text(text)
    assert said.format(kind=kind) in refused([f"--{kind}", "./mine.py"], capsys, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_two_parts_in_a_file(
    kind: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"network": "Net", "loss": "Scaled", "data": "Points", "strategy": "Alone"}[kind]
    (tmp_path / "mine.py").write_text(
        PARTS[kind] + PARTS[kind].replace(f"class {name}", "class Second")
    )
    assert f"holds 2: {name}, Second. Say which: mine.py:{name}." in refused(
        [f"--{kind}", "./mine.py"], capsys, tmp_path
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_lacks_a_method(
    kind: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (
        "\n    def _generator(self, shape): ...\n    _init = 'torch'\n"
        if kind == "network"
        else "\n    x: int = 1\n"
    )
    (tmp_path / "mine.py").write_text(f"{BASES[kind]}\nclass Half(B):{more}")
    assert f"mine.py:Half lacks {LACKS[kind]}. Define" in refused(
        [f"--{kind}", "./mine.py"], capsys, tmp_path
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_another_kind(
    kind: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "loss" if kind != "loss" else "strategy"
    name = {"loss": "Scaled", "strategy": "Alone"}[other]
    said = refused([f"--{kind}", f"{files[other]}:{name}"], capsys, tmp_path)
    assert f"is a {other}, not a {kind}. Give it as --{other}." in said
    assert f"holds no {kind} ({name} is a {other})" in refused(
        [f"--{kind}", str(files[other])], capsys, tmp_path
    )


PATHS = {
    "./nowhere.py": "/nowhere.py' does not exist. Check the path",
    "./parts": "is a folder. Name a file in it",
    "./text.txt": "is no Python file",
    "./latin.py": "is not UTF-8 text",
    "./large.py": "more than source code",
    "./pipe.py": "is no plain file",
    "./parts/losss.py:Nothing": "nothing of that name in it",
    "./parts/losss.py:Scalde": "Did you mean 'Scaled'?",
    "./parts/losss.py:F": "losss.py:F is no loss (a module)",
    "not_there.losses:Focal": "no module named 'not_there.losses'. Install it",
    "parts.losss:Scaled": "Give the file: ./parts/losss.py:NAME.",
    "raygan.errors:ConfigError": "is no loss (a type)",
    "nets.py:Net@0123456789ab": "its source is not here. Give the file itself",
    "~nobody-of-this-name/x.py": "no home (no such user)",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_no_file_of_parts(
    path: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("")
    (tmp_path / "latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    (tmp_path / "large.py").write_bytes(b"#" * (MOST_BYTES + 1))
    os.mkfifo(tmp_path / "pipe.py")
    assert PATHS[path] in refused(["--loss", path], capsys, tmp_path)


ITEM = "self.points[index]"
BUILT = "nn.Sequential(nn.Linear(z_dim, self.width), nn.ReLU(), last)"
MISFITS = {  # what -> (kind, its part, what is wrong with it, the line)
    "G's shape": (
        "network",
        "self.width, shape[0])",
        "self.width, 3)",
        "G gives (4, 3), the data has (4, 2)",
    ),
    "D's shape": (
        "network",
        "nn.Flatten(0)",
        "nn.Identity()",
        "D gives (4, 1) for 4 samples; logits (4,) are needed. End",
    ),
    "no module": (
        "network",
        "return nn.Seq",
        "return 1 or nn.Seq",
        "gives a int. Return a torch.nn.Module",
    ),
    "it raises": (
        "network",
        "self.width), nn.ReLU",
        "3), nn.ReLU",
        "raises RuntimeError: mat1 and mat2",
    ),
    "its builder raises": (
        "network",
        f"return {BUILT}",
        "raise KeyError('two\\nlines')",
        "the generator raises KeyError: 'two",
    ),
    "its builder ends": ("network", f"return {BUILT}", "raise SystemExit(3)", "SystemExit: 3 ("),
    "an optimizer that cannot": (
        "network",
        f"return {BUILT}",
        f"return nn.Sequential({BUILT}, _Part('complex'))",
        "a first step of training raises RuntimeError: `fused=True` requires",
    ),
    "a backward pass that cannot": (
        "network",
        f"return {BUILT}",
        f"return nn.Sequential({BUILT}, _Part('in place'))",
        "a first step of training raises RuntimeError: one of the variables needed for gradient",
    ),
    "a number that no checkpoint holds": (
        "network",
        f"return {BUILT}",
        f"return nn.Sequential({BUILT}, _Part('counts'))",
        "G.1.calls changes in forward(), and no checkpoint holds it: a resumed run would be"
        " another. Make it a buffer (register_buffer), or name it _calls where",
    ),
    "nothing to train": ("network", BUILT, "nn.Flatten()", "the generator has no parameters"),
    "a vector": (
        "loss",
        "softplus(fake).mean()",
        "softplus(fake)",
        "d_loss returns shape (8,), not a scalar tensor. Take its mean.",
    ),
    "NaN": ("loss", "self.scale *", "float('nan') *", "g_loss is nan on logits drawn from N(0, 1)"),
    "a loss raises": (
        "loss",
        "self.scale",
        "self.sclae",
        "g_loss on logits (8,) raises AttributeError",
    ),
    "tuples": (
        "data",
        ITEM,
        f"{ITEM}, 1",
        "datas.py:Points[0] is a tuple of 2. Return the sample alone",
    ),
    "strings": ("data", ITEM, "'a'", "Points[0] is a str. Return"),
    "shapes": ("data", ITEM, "self.points[index, : 1 + index % 2]", "Points[1] has shape (2,)"),
    "empty": ("data", "len(self.points)", "0", "holds 0 samples"),
    "it fails": ("data", ITEM, "self.pionts[index]", "load raises AttributeError"),
}

ODD_LAYER = """

import torch


class _Part(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how, self.calls, self._calls = how, 0, 0
        self.turn = nn.Parameter(torch.ones(2, dtype=torch.complex64 if how == "complex" else None))

    def forward(self, x):
        self._calls += 1
        if self.how == "counts":
            self.calls += 1
        y = (x * self.turn).real.exp()
        return y.mul_(2) if self.how == "in place" else y
"""


@pytest.mark.parametrize("case", MISFITS)
def test_a_part_that_does_not_fit_is_told_before_anything_is_written(
    case: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, right, wrong, said = MISFITS[case]
    assert right in PARTS[kind]
    more = ODD_LAYER if "_Part(" in wrong else ""
    files[kind].write_text(PARTS[kind].replace(right, wrong) + more)
    assert said in refused([f"--{kind}", str(files[kind])], capsys, tmp_path)


ORDERS = {
    "a player that is not there": ('[Train("pair-77", 1)]', "orders pair-77, who is no player"),
    "nobody": ("[]", "orders nobody"),
    "an error": ("[][0]", "IndexError: list index out of range"),
    "an end": ("__import__('sys').exit(3)", "SystemExit: 3"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_a_strategy_that_goes_wrong_ends_the_run_with_a_line(
    case: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders, said = ORDERS[case]
    files["strategy"].write_text(
        PARTS["strategy"] + "\n    def decide(self, ready, progress, plan):\n"
        f"        from raygan.strategies.orders import Train\n        return {orders}\n"
    )
    with pytest.raises(SystemExit) as stop:
        main(["train", "--strategy", str(files["strategy"]), "--network.hidden", "8", *FAST])
    err = capsys.readouterr().err
    assert stop.value.code == 1
    assert said in err
    assert "strategys.py" in err
    assert err.count("\n") == 1, err


@pytest.mark.parametrize("kind", ["metric", "listener"])
def test_a_name_of_which_there_is_none_built_in(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused([f"--{kind}s", "foo"], capsys, tmp_path)
    assert f"no {kind} named 'foo'. Name yours by its file: ./FILE.py:NAME." in said


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_looks_on_ends_nothing(error: type[BaseException]) -> None:
    def breaks(*_: object) -> float:
        raise error("mine")

    made = [adapt(breaks, "breaks")()]
    assert measured(made, torch.zeros(2), torch.zeros(2)) == (
        {},
        {made[0].name: f"{error.__name__}: mine"},
    )
    (heard,) = live([breaks])
    told: list[str] = []
    guard = Guard(lambda name, text: told.append(text))
    for _ in range(2):
        with guard.around(heard):
            heard(None, None)  # type: ignore[arg-type]
    assert told == [f"breaks: {error.__name__}: mine; the run goes on, it is still called"]


CHANGES: dict[str, Callable[[], object]] = {
    "the default type": lambda: torch.set_default_dtype(torch.float64),
    "the default device": lambda: torch.set_default_device("meta"),
    "gradients": lambda: torch.set_grad_enabled(False),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "the working directory": lambda: os.chdir("elsewhere"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_looks_on_changes_nothing_for_the_process(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inline, and in a driver, training goes on in the process in which a metric has been."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def facts() -> tuple[object, ...]:
        made = torch.zeros(1, requires_grad=True) * 2
        return (
            made.dtype, made.device, made.requires_grad, torch.get_num_threads(), Path.cwd(),
        )  # fmt: skip

    def meddles(*_: object) -> float:
        CHANGES[change]()
        assert facts() != before
        raise ValueError("mine")

    before = facts()
    measured([adapt(meddles, "meddles")()], torch.zeros(2), torch.zeros(2))
    assert facts() == before
    (heard,) = live([meddles])
    with Guard(lambda *_: None).around(heard):
        heard(None, None)  # type: ignore[arg-type]
    assert facts() == before


def test_ctrl_c_is_the_users() -> None:
    def stopped(samples: object, held_out: object) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured([adapt(stopped, "stopped")()], torch.zeros(2), torch.zeros(2))

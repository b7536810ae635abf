"""Names that come from outside never leave their folder: a corpus of 200, at every place that makes
a path of a name.
"""

import itertools
import json
from pathlib import Path

import pytest

from raygan.config import names, preset_values, resolve
from raygan.controller.checkpoint import read_checkpoint
from raygan.controller.run_folder import RunFolder, check_name
from raygan.errors import CheckpointError, ConfigError
from raygan.service.resuming import resume_run

UPWARDS = [
    "..",
    "../",
    "../x",
    "../../etc/passwd",
    "a/../../x",
    "./x",
    "/",
    "/etc/passwd",
    "//x",
    "~",
    "~root/x",
    ".",
    ".x",
]
ODD = ["", " ", "a b", "a\n", "\0", "a\0b", "a\\b", "..\\x", "C:\\x", "C:x", "con:", "a:b", "a;b",
       "a|b", "a&b", "$HOME", "${HOME}", "`id`", "$(id)", "a*", "a?", "[a]", "{a}", "%2e%2e%2fx",
       "%00", "..%c0%afx", "a\tb", "a\rb", "é", "ａ", "\u202ea", "\ufeffa",
       "\u2024\u2024/x", "a" * 101, "a/" * 20, "a" * 4096, "'a'", '"a"', "<a>", "a,b", "a=b", "a@b",
       "a#b", "a!b", "a+b", "a^b",
       "(a)"]  # fmt: skip
PARTS = itertools.product(
    ["..", "x/..", ".", "", "a/b/../.."],
    ["/", "//", "\\", "/./", "/../"],
    ["x", "..", "etc/passwd", "a.b/"],
)
CORPUS = sorted(
    {*UPWARDS, *ODD, *map("".join, PARTS)}
    | {f"{'../' * i}x" for i in range(1, 40)} | {f"x{'/..' * i}" for i in range(1, 40)}
)  # fmt: skip


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 200


@pytest.mark.parametrize("where", ["run", "preset", "component", "checkpoint part"])
def test_no_name_leaves_its_folder(tmp_path: Path, where: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "x.yaml").write_text("steps: 1")
    for bad in CORPUS:
        with pytest.raises((ConfigError, CheckpointError)) as error:  # noqa: PT012
            if where == "run":
                check_name(bad)
                RunFolder.create(inside, bad)
            elif where == "preset":
                preset_values(bad)
            elif where == "component":
                assert bad not in names("data")
                resolve(flags={"strategy": {"name": bad}})
            else:
                folder = inside / "checkpoints/00000001"
                folder.mkdir(parents=True, exist_ok=True)
                manifest = {
                    "format": 1,
                    "step": 1,
                    "parts": {bad: {"sha256": "0", "step": 1}},
                    "extra": {},
                }
                (folder / "manifest.json").write_text(json.dumps(manifest))
                read_checkpoint(inside, 1)
        assert str(error.value).count("\n") == 0, "one line, whatever stood in the name"
    assert {p.name for p in tmp_path.iterdir()} == {"inside", "x.yaml"}
    assert {p.name for p in inside.iterdir()} <= {"checkpoints"}


def test_resuming_another_folder_needs_a_run_in_it(tmp_path: Path) -> None:
    for bad in CORPUS:
        if "\0" not in bad:
            with pytest.raises(ConfigError, match="not a run folder"):
                resume_run(tmp_path / "inside" / bad)

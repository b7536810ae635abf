"""A run that fails before its first step: the folder says so, and nothing stays open."""

import json
from pathlib import Path
from typing import Any

import pytest

from raygan.config import resolve
from raygan.controller.listener import Listener
from raygan.errors import ConfigError, RayganError
from raygan.service import driving
from raygan.service.training import train
from tests.conftest import TINY


class Heard(Listener):
    """Says whether it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("what", "error", "raised", "status"),
    [
        ("listeners_of", ConfigError("no such listener"), ConfigError, "failed"),
        ("Keeper", ValueError("a name is taken"), ValueError, "failed"),
        ("Controller", OSError(28, "No space left on device"), RayganError, "stopped"),
        ("mirror_of", KeyboardInterrupt(), KeyboardInterrupt, "failed"),
    ],
)
def test_what_fails_in_making_who_listens_is_told_in_the_folder(
    what: str,
    error: BaseException,
    raised: type[BaseException],
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*args: Any, **options: Any) -> Any:
        raise error

    heard = Heard()
    kept = getattr(driving, what)
    monkeypatch.setattr(driving, what, fails)
    with pytest.raises(raised):
        train(resolve(flags=TINY), run_dir=tmp_path, name="mine", inline=True, listeners=[heard])
    monkeypatch.setattr(driving, what, kept)
    info = json.loads((tmp_path / "mine/run.json").read_text())
    assert (info["status"], heard.closed) == (status, 1)
    assert info["exit_code"]
    assert "ended" in info
    assert (
        train(resolve(flags=TINY), run_dir=tmp_path, name="mine", inline=True, resume="auto").info[
            "status"
        ]
        == "done"
    ), "it begins again"

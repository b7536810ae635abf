"""Where our Ray keeps its session, and its token: nobody else may look."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from raygan.actors.cluster import close_token, private_folder


def test_the_session_is_in_a_folder_of_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    usual = tmp_path / f"raygan-{os.getuid()}"
    assert private_folder() == private_folder() == str(usual / "ray")
    assert stat.S_IMODE(usual.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o777])
def test_a_folder_that_others_can_look_into_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    usual = tmp_path / f"raygan-{os.getuid()}"
    usual.mkdir()
    usual.chmod(mode)
    other = Path(private_folder()).parent
    assert other != usual
    assert stat.S_IMODE(other.stat().st_mode) == 0o700


def test_a_folder_of_somebody_else_or_a_link_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    us = os.getuid()
    private_folder()
    (tmp_path / f"raygan-{us}").rename(tmp_path / f"raygan-{us + 1}")
    monkeypatch.setattr(os, "getuid", lambda: us + 1)  # then the folder of that name belongs to somebody else
    assert Path(private_folder()).parent != tmp_path / f"raygan-{us + 1}"
    monkeypatch.setattr(os, "getuid", lambda: us)
    (tmp_path / f"raygan-{us}").symlink_to(tmp_path / f"raygan-{us + 1}")
    assert Path(private_folder()).parent.parent == tmp_path
    assert Path(private_folder()).parent != tmp_path / f"raygan-{us}"


@pytest.mark.parametrize("given", [True, False])
def test_the_token_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / ("mine" if given else ".ray/auth_token")
    if given:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    else:
        monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    close_token()  # where there is none, nothing happens
    token.parent.mkdir(exist_ok=True)
    token.write_text("secret")
    token.chmod(0o644)
    close_token()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600

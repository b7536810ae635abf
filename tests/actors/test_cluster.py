"""The token of our Ray: nobody else may look."""

import stat
from pathlib import Path

import pytest

from raygan.actors.cluster import close_token


@pytest.mark.parametrize("given", [True, False])
def test_the_token_is_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
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

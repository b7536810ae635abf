"""A user without a home."""

import pwd
from pathlib import Path

import pytest

from raygan.data import search
from raygan.errors import ConfigError
from raygan.paths import expanded, home


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and no entry in passwd."""

    def missing(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", missing)


def test_there_may_be_no_home(nobody: None) -> None:
    assert home() is None
    assert expanded("runs") == Path("runs")
    with pytest.raises(ConfigError, match=r"'~/runs': no home \(uid .* Write the whole path"):
        expanded("~/runs")


def test_somebody_who_is_not_there_has_none() -> None:
    with pytest.raises(ConfigError, match="no such user"):
        expanded("~nobody-of-this-name/x")


def test_data_is_looked_for_elsewhere_then(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYGAN_DATA", "/given")
    places = search.roots()
    assert places[0] == Path("/given")
    assert Path("/usr/share/datasets") in places
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert Path("/cache/raygan") in search.roots()

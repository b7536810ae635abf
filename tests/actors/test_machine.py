"""A bare machine: no home, odd temporary folders, names that are taken, files of any name in the
working directory.
"""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.actors import machine
from raygan.actors.machine import (
    CodePath,
    code_path,
    deaf_to_the_terminal,
    join_error,
    private_folder,
    refuse_few_files,
    room_for,
    session_folder,
    settle_home,
    settle_token,
    start_error,
)
from raygan.errors import ConfigError, RayganError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    private_folder.cache_clear()
    yield
    private_folder.cache_clear()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of /tmp; pytest's own folders are too long for sockets."""
    monkeypatch.setattr(machine, "SOCKET_BYTES", 4096)
    monkeypatch.setattr(machine, "PLACES", (str(tmp_path / "tmp"),))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def test_the_longest_session_just_fits_into_a_socket() -> None:
    assert room_for("x" * 41) >= 0
    assert room_for("x" * 42) < 0


def test_a_long_tmpdir_is_passed_over_and_told(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    far = places / "a-name-that-is-longer-than-the-other"
    far.mkdir()
    monkeypatch.setenv("TMPDIR", str(far))
    assert private_folder().parent == far, "it fits"
    private_folder.cache_clear()
    monkeypatch.setattr(
        machine, "SOCKET_BYTES", machine.BELOW + len(f"{places}/tmp/raygan-{os.getuid()}/ray")
    )
    assert private_folder() == places / "tmp" / f"raygan-{os.getuid()}"
    private_folder()
    err = capsys.readouterr().err
    assert err.count("too long for Ray's sockets") == 1
    assert "TMPDIR" in err


@pytest.mark.parametrize("tmpdir", ["/nowhere/x", "/proc", "file"])
def test_a_tmpdir_that_cannot_be_written_is_passed_over_and_told(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmpdir: str
) -> None:
    monkeypatch.chdir(places)
    (places / "file").write_text("")
    monkeypatch.setenv("TMPDIR", tmpdir)
    assert private_folder().parent == places / "tmp"
    assert f"TMPDIR = {tmpdir!r}" in capsys.readouterr().err


@pytest.mark.parametrize("taken", ["file", "open folder", "link"])
def test_a_name_that_is_taken_is_left_alone(places: Path, taken: str) -> None:
    own = places / "tmp" / f"raygan-{os.getuid()}"
    if taken == "file":
        own.write_text("mine")
    elif taken == "link":
        (places / "elsewhere").mkdir(mode=0o700)
        own.symlink_to(places / "elsewhere")
    else:
        own.mkdir()
        own.chmod(0o755)
    found = private_folder()
    assert found != own
    assert found.stat().st_mode & 0o777 == 0o700
    assert not own.is_file() or own.read_text() == "mine"
    assert private_folder() == found, "token, home and session lie together"


def test_a_folder_of_somebody_else_is_left_alone(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = os.getuid() + 1
    theirs = places / "tmp" / f"raygan-{somebody}"
    theirs.mkdir(mode=0o700)  # made by us, and found under another uid
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    assert private_folder() != theirs


def test_nobody_else_may_enter_whatever_the_umask_is(places: Path) -> None:
    before = os.umask(0o777)
    try:
        assert private_folder().stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_the_folder_is_never_open_and_the_next_process_takes_it_too(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real = Path.mkdir

    def mkdir(self: Path, mode: int = 0o777, **kwargs: bool) -> None:
        modes.append(mode)
        real(self, mode, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    found = private_folder()
    private_folder.cache_clear()
    assert (private_folder(), modes) == (found, [0o700, 0o700])
    assert session_folder() == str(found / "ray")


def test_a_folder_that_cannot_be_written_any_more_is_one_line(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.os, "access", lambda path, how: False)
    with pytest.raises(ConfigError, match=r"cannot be written\. Set RAY_TMPDIR"):
        private_folder()
    monkeypatch.setattr(machine, "SOCKET_BYTES", 4096)
    monkeypatch.setenv("RAY_TMPDIR", str(places))
    with pytest.raises(
        ConfigError, match=r"RAY_TMPDIR = .*: cannot be written. Name a folder that can be"
    ):
        session_folder()


def test_ray_tmpdir_may_be_there_and_as_long_as_sockets_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(machine, "SOCKET_BYTES", machine.BELOW + len(str(tmp_path)))
    assert session_folder() == str(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "a/b"))
    monkeypatch.setattr(machine, "SOCKET_BYTES", 4096)
    assert session_folder() == str(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(machine, "SOCKET_BYTES", machine.BELOW + len(str(tmp_path)) - 1)
    with pytest.raises(ConfigError, match="1 letters too long"):
        session_folder()


def test_no_place_at_all_is_one_line(places: Path) -> None:
    (places / "tmp").rmdir()
    with pytest.raises(ConfigError, match="Set RAY_TMPDIR"):
        private_folder()


def test_ray_tmpdir_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SOCKET_BYTES", 4096)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", "scratch")
    assert session_folder() == str(tmp_path / "scratch")
    assert (tmp_path / "scratch").is_dir()


@pytest.mark.parametrize(
    ("given", "why"), [("x" * 120, "too long"), ("file", "File exists"), ("/proc/x", "RAY_TMPDIR")]
)
def test_a_ray_tmpdir_that_will_not_do_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    if given == "file":
        monkeypatch.setattr(machine, "SOCKET_BYTES", 4096)
    monkeypatch.setenv("RAY_TMPDIR", given)
    with pytest.raises(ConfigError, match=why) as refused:
        session_folder()
    assert "RAY_TMPDIR = " in str(refused.value)


@pytest.mark.parametrize("home", ["/proc/nowhere", "file"])
def test_a_home_that_cannot_be_written_gets_a_token_elsewhere(
    places: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    (places / "file").write_text("")
    monkeypatch.setenv("HOME", home if home.startswith("/") else str(places / home))
    settle_token(join=True)
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ, "whoever joins makes none"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "kept")
    settle_token(join=False)
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == "kept"
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    settle_token(join=False)
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert token.parent == places / "tmp" / f"raygan-{os.getuid()}"
    assert token.stat().st_mode & 0o777 == 0o600
    text = token.read_text()
    assert len(text) == 64
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    settle_token(join=True)
    assert Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text() == text, (
        "the next process of the user finds it"
    )
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")


def test_a_home_that_can_be_written_is_used(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(places))
    settle_token(join=False)
    settle_home()
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ
    assert os.environ["HOME"] == str(places)


def test_a_user_without_a_home_gets_one(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(machine, "home", lambda: None)
    settle_home()
    assert os.environ["HOME"] == str(places / "tmp" / f"raygan-{os.getuid()}")


def test_few_open_files_are_refused_before_ray_dies_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64))
    with pytest.raises(ConfigError, match="ulimit -n is 64"):
        refuse_few_files()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, resource.RLIM_INFINITY))
    refuse_few_files()  # Ray raises the soft limit itself


def test_ray_cannot_add_the_working_directory_to_what_workers_import() -> None:
    path = code_path()
    before = list(path)
    path.extend([str(Path.cwd()), "/anywhere"])
    assert list(path) == before
    assert CodePath(), "an empty one would be replaced"


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (
            Exception("The current node timed out during startup."),
            1,
            "did not come up within its 30 s, twice",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "Set RAY_TMPDIR"),
        (OSError(errno.EMFILE, "Too many open files"), 2, "ulimit -n"),
        (ValueError("object_store_memory must be at least 75 MB"), 2, "at least 75 MB"),
    ],
)
def test_each_cause_of_a_failed_start_has_its_own_line(
    error: Exception, code: int, says: str
) -> None:
    told = start_error(error, "/tmp/raygan-0/ray")
    assert says in str(told)
    assert isinstance(told, RayganError)
    assert told.exit_code == code
    assert "\n" not in str(told)
    assert "token" not in str(told)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            RuntimeError("Version mismatch: The cluster was started with: Ray: 2.1"),
            "another Ray or Python",
        ),
        (RuntimeError("InvalidAuthToken: wrong\ntoken"), "takes another token"),
        (ConnectionError("Failed to connect to GCS"), "cannot reach a Ray cluster"),
        # A token that is wrong is told so, too.
        (ConnectionError("Failed to connect to GCS"), "put its token into ~/.ray/auth_token"),
    ],
)
def test_each_cause_of_a_closed_door_has_its_own_line(error: Exception, says: str) -> None:
    told = str(join_error(error, "host:6379"))
    assert says in told
    assert "\n" not in told


def test_what_is_started_in_the_block_does_not_hear_the_terminal_close() -> None:
    child = "import os, signal; os.kill(os.getpid(), signal.SIGHUP); print('alive')"
    with deaf_to_the_terminal():
        deaf = subprocess.run(
            [sys.executable, "-c", child], capture_output=True, text=True, check=False
        )
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
    try:
        hears = subprocess.run(
            [sys.executable, "-c", child], capture_output=True, text=True, check=False
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (deaf.returncode, deaf.stdout) == (0, "alive\n")
    assert hears.returncode == -signal.SIGHUP

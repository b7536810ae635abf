"""What a Ray of ours needs of the machine that it starts on, however bare that is: a folder for its
session, a token, its own code and time; where it cannot have one of them, one line that says which.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import resource
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raygan.errors import ConfigError, RayganError
from raygan.paths import home

SOCKET_BYTES = 107
"""Of a Unix socket's path."""
BELOW = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.9")
"""What Ray appends to its folder, at most."""
FILES = 256
"""Open files that a process of Ray, or its driver, may need: ten pairs train with so many; with
half of them one run in two did not come up, and with a quarter the raylet died.
"""
PLACES = ("/tmp", "/var/tmp", "/dev/shm")


def session_folder() -> str:
    """Where a Ray of ours keeps its session and logs: what RAY_TMPDIR names, else a folder below
    TMPDIR, or below /tmp where that would not do (told). Raises ConfigError.
    """
    if given := os.environ.get("RAY_TMPDIR"):
        folder = os.path.abspath(given)  # noqa: PTH100  Ray takes no relative one
        if (spare := room_for(folder)) < 0:
            raise ConfigError(
                f"RAY_TMPDIR = {given!r}: {-spare} letters too long for Ray's sockets. Name a"
                " shorter folder."
            )
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"RAY_TMPDIR = {given!r}: {error.strerror}. Name a folder that can be written."
            ) from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(
                f"RAY_TMPDIR = {given!r}: cannot be written. Name a folder that can be."
            )
        return folder
    return str(private_folder() / "ray")


def room_for(folder: str) -> int:
    """How many letters longer the folder could be; below 0 it is too long for Ray's sockets."""
    return SOCKET_BYTES - BELOW - len(os.fsencode(folder))


# one a process, also where it is made under a name of its own
@functools.cache
def private_folder() -> Path:
    """Nobody else may look into it: Ray opens its own folder to all (0777). Raises ConfigError
    where no place will do.
    """
    wanted = os.environ.get("TMPDIR")
    for place in dict.fromkeys(
        [*([os.path.abspath(wanted)] if wanted else []), *PLACES]  # noqa: PTH100
    ):
        try:
            folder = _below(place)
        except OSError as error:
            why = str(error.strerror)
        else:
            if room_for(f"{folder}/ray") >= 0:
                return folder
            why = "too long for Ray's sockets"
        if wanted and place == os.path.abspath(wanted):  # noqa: PTH100
            tell(f"TMPDIR = {wanted!r}: {why}; Ray's session goes below {PLACES[0]} instead.")
    raise ConfigError(
        f"no folder for Ray's session: {', '.join(PLACES)} cannot be written. Set RAY_TMPDIR to one"
        " that can."
    )


def tell(text: str) -> None:
    """To whoever started the process, beside the run."""
    print(f"raygan: {text}", file=sys.stderr)


def _below(place: str) -> Path:
    """The user's own folder there; another one where its name is taken by somebody else, or by a
    file.
    """
    folder = Path(place) / f"raygan-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700)
        # whatever the umask is: mkdir's mode is cut by it
        folder.chmod(0o700)
    except FileExistsError:
        facts = folder.lstat()
        # `lstat`: a link would be followed into a folder that its maker chose
        if not folder.is_dir() or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            return Path(tempfile.mkdtemp(prefix="raygan-", dir=place))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return folder


def settle_token(join: bool) -> None:
    """A token file for a user without a home that can be written: Ray makes its own below HOME.
    Read by whoever joins, too.
    """
    if os.environ.get("RAY_AUTH_MODE", "token") != "token" or {
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH",
    } & set(os.environ):
        return
    here = home()
    usual = here / ".ray/auth_token" if here else None
    if usual and (os.access(usual, os.R_OK) or _can_make(usual)):
        return
    token = private_folder() / "auth_token"
    if not token.exists():
        if join:
            return
        # made closed, not closed afterwards: in between it could be read
        handle = os.open(token, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)


def _can_make(path: Path) -> bool:
    """Could a file be made there, with the folders above it?"""
    folder = next((p for p in path.parents if os.path.lexists(p)), None)
    if (
        path.exists()
        or folder is None
        or not folder.is_dir()
        or not os.access(folder, os.W_OK | os.X_OK)
    ):
        return False
    return not os.statvfs(folder).f_flag & os.ST_RDONLY and not str(folder).startswith("/proc")


def settle_home() -> None:
    """HOME for a user who has none: Ray's libraries and their workers ask for it."""
    if home() is None:
        os.environ["HOME"] = str(private_folder())


def refuse_few_files() -> None:
    """Raises ConfigError where this process may open too few files for a Ray, which then dies
    without a reason.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < FILES:
        raise ConfigError(
            f"ulimit -n is {soft}: Ray needs {FILES} open files at least. Raise it, or train with"
            " --inline."
        )


@contextlib.contextmanager
def deaf_to_the_terminal() -> Iterator[None]:
    """What is started in the block lives on when the terminal is closed, until its driver has
    saved: it starts with SIGHUP blocked. One that comes meanwhile is delivered after it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class CodePath(list[str]):
    """Where workers look for code first: where raygan itself lies. Ray adds the working directory,
    whose files may have any name, numpy.py or raygan.py too: that is not taken.
    """

    def extend(self, more: object) -> None:
        """Ray would add folders here; none is taken, since the path is ours to say."""

    def __bool__(self) -> bool:
        # Ray would replace a list that is empty, and so false, with its own
        return True


def code_path() -> CodePath:
    """Where the workers of the driver's job find this package."""
    parent = Path(__file__).resolve().parents[2]
    return CodePath([] if parent.name in ("site-packages", "dist-packages") else [str(parent)])


def start_error(error: Exception, folder: str) -> RayganError:
    """Why a Ray of ours did not start, in one line."""
    text = " ".join(str(error).split())
    if "timed out" in text:
        load = os.getloadavg()[0]
        return RayganError(
            f"Ray did not come up within its 30 s, twice (load {load:.0f} on {os.cpu_count()}"
            " CPUs). Start again when the machine is less busy, or train with --inline. Ray's own"
            f" logs: {folder}/session_latest/logs."
        )
    number = getattr(error, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE):
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return ConfigError(
            f"Ray cannot start: ulimit -n is {soft}, too few open files. Raise it, or train with"
            " --inline."
        )
    if number is not None:
        return ConfigError(
            f"Ray cannot start in {folder!r} ({text[:200]}). Set RAY_TMPDIR to a folder with room"
            " that can be written."
        )
    return ConfigError(
        f"Ray cannot start here ({text[:200]}). Train with --inline, or see"
        f" {folder}/session_latest/logs."
    )


def join_error(error: Exception, address: str) -> ConfigError:
    """Why a cluster does not let us in, in one line."""
    text = " ".join(str(error).split())
    start = f"address = {address!r}: "
    if "ersion mismatch" in text:
        return ConfigError(
            f"{start}the cluster runs another Ray or Python ({text[:200]}). Install its versions"
            " here."
        )
    if any(mark in text.lower() for mark in ("token", "authenti", "unauthorized", "401", "403")):
        return ConfigError(
            f"{start}the cluster takes another token ({text[:160]}). Put its token into"
            " ~/.ray/auth_token or name the file in RAY_AUTH_TOKEN_PATH."
        )
    # Whoever comes here has knocked, and was heard; Ray does not say that a token was wrong.
    return ConfigError(
        f"{start}cannot reach a Ray cluster there, though something listens ({text[:200]}). If it"
        " is yours, put its token into ~/.ray/auth_token or name the file in RAY_AUTH_TOKEN_PATH;"
        " else start one with `ray start --head`, or use --address local."
    )

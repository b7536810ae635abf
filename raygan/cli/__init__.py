"""The command line. Verbs import heavy modules inside themselves, so that --help answers at once.

raygan VERB [arguments]
"""

from __future__ import annotations

import contextlib
import errno
import io
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from raygan.cli.commands import VERBS as VERBS
from raygan.cli.progress import progress_shown
from raygan.errors import RayganError
from raygan.visible import in_one_line, visible
from raygan.watching import tell

OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ESTALE)
LONG = ("train", "resume", "sweep", "reproduce")
"""Verbs whose work goes on when nobody listens any more; the others end there."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run a verb; exits with its code (0 done, 1 failed, 2 usage, 3 infeasible, 4 degraded, 5
    --require, 6 taken over, 7 out of sight, 128 + n signal n).
    """
    args = list(sys.argv[1:] if argv is None else argv)
    # `raygan presets | head` should end at the pipe's end; a run should not (`streams`).
    if not args or args[0] not in LONG:
        _main(args)
    from raygan.cli.streams import lasting

    with lasting():
        _main(args)


def _main(args: list[str]) -> NoReturn:
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        raise SystemExit(0 if args else 2)
    if args[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"raygan {version('raygan')}")
        raise SystemExit(0)
    # A path may have any bytes, and a terminal any encoding.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if args[0] not in VERBS:
            from raygan.errors import ConfigError, did_you_mean

            raise ConfigError(f"no verb {args[0]!r}. {did_you_mean(args[0], VERBS)}")
        with _notes(), progress_shown(silent="--quiet" in args or "--json" in args):
            tell(f"raygan {args[0]}: starting")
            from raygan.cli import verbs

            # `verbs` names exactly the verbs of the table; a test holds them together.
            code = getattr(verbs, args[0])(args[1:])
            tell("")
    except RayganError as error:
        print(f"raygan: {visible(in_one_line(error))}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("raygan: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    # Whoever reads has seen enough: `raygan runs | head -1` is no failure.
    except BrokenPipeError:
        raise SystemExit(0) from None
    except Exception as error:
        if (told := _of_the_cluster(error) or _of_a_disk(error)) is None:
            raise
        print(f"raygan: {visible(in_one_line(told[0]))}", file=sys.stderr)
        raise SystemExit(told[1]) from None
    raise SystemExit(code or 0)


def _of_the_cluster(error: Exception) -> tuple[str, int] | None:
    """What befell a process, a node or an object of Ray's, in words, and the exit code; None: it is
    an error in code, which keeps its traceback.
    """
    # Whoever has not imported Ray has no error of it.
    ray = sys.modules.get("ray.exceptions")
    if ray is None or not isinstance(error, ray.RayError) or isinstance(error, ray.RayTaskError):
        return None
    why = next((line.strip() for line in str(error).splitlines() if line.strip()), "no answer")
    name = type(error).__name__
    return f"Ray ({name}): {why[:200].rstrip('.')}. Look at `ray status`, then try again.", 1


def _of_a_disk(error: Exception) -> tuple[str, int] | None:
    """The same of one that is full, of a folder that can only be read, wherever it is."""
    # A socket's error is no disk's: it keeps its traceback.
    if not isinstance(error, OSError) or (error.filename is None and error.errno not in OF_A_DISK):
        return None
    where = error.filename or "a file"
    return f"{where}: {error.strerror}. Make room there, or name another place.", 2


@contextlib.contextmanager
def _notes() -> Iterator[None]:
    """What a verb says beside its result (`raygan.notes`) goes to stderr, each sentence once."""
    import logging

    told = set[str]()

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (text := record.getMessage()) not in told:
                told.add(text)
                tell("")
                print(f"raygan: note: {text}", file=sys.stderr, flush=True)

    notes, handler = logging.getLogger("raygan.notes"), Notes()
    notes.addHandler(handler)
    # Else a library that has configured the root logger prints each a second time.
    notes.propagate, before = False, notes.propagate
    try:
        yield
    finally:
        notes.propagate = before
        notes.removeHandler(handler)


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {verb.text}" for name, verb in VERBS.items())
    return (
        "raygan: train many GANs at once on a Ray cluster so that they help each other\n\nusage:"
        f" raygan VERB [arguments]\n\n{verbs}\n\n`raygan train` alone trains SGAN on the ring of 8"
        " Gaussians. `raygan VERB --help` tells more."
    )

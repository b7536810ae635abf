"""`python -m raygan.cli` is `raygan`."""

import sys
from pathlib import Path

import raygan
from raygan.cli import main


def start() -> None:
    """`main`, for whoever was started by `python -m`."""
    # A folder of that name, a clone say, makes a package without a file of it (PEP 420).
    inside = raygan.__file__ is not None and Path(raygan.__file__).parents[1] == Path(sys.path[0])
    if not sys.flags.safe_path and not inside:
        # The working directory, whose files may have any name, numpy.py too (decision 58).
        del sys.path[0]
    main()


if __name__ == "__main__":
    start()

"""`raygan sample`: from a run to a file of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from raygan.data.free_memory import check_room
from raygan.errors import ConfigError
from raygan.paths import whole
from raygan.service.runs.generators import Generators
from raygan.service.runs.run import Run
from raygan.service.scores.formats import encoded
from raygan.service.scores.rejection import generators_of

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".npz", ".png", ".parquet", ".txt")


def write_samples(
    run: Run, which: str, count: int, seed: int, out: Path, reject: bool = False
) -> str:
    """Draw and write; returns a line that says what was written. Raises ConfigError for another
    suffix.

    .txt holds one sentence a line (text only);
    .npz holds one array `x` (n, *shape), float32, images in [-1, 1]; scaled data float64 in its own
    units, pictures too; .parquet has a column a feature, with its name; .png is a picture.
    """
    if out.suffix not in SUFFIXES:
        raise ConfigError(
            f"--out {str(out)!r}: cannot write {out.suffix or 'a file without suffix'}. Use .npz,"
            " .png, .parquet or .txt."
        )
    if not out.parent.is_dir():
        raise ConfigError(
            f"--out {str(out)!r}: the folder {str(out.parent)!r} does not exist. Make it first."
        )
    # as they are made, in their own units, and as they are written
    check_room(f"{count} samples", 3 * 4 * count * math.prod(run.info["shape"]))
    generators = generators_of(run, which, reject)
    shape = write_drawn(generators, run.name, count, seed, out)
    kept = f", {generators.share_kept:.0%} of what was made is kept" if reject else ""
    return f"{out}: {count} samples of shape {shape} from {which}, seed {seed}{kept}"


def write_drawn(
    generators: Generators, name: str, count: int, seed: int, out: Path
) -> tuple[int, ...]:
    """So many samples of these, in the form of `out`'s suffix; the shape of one. name: whose they
    are, for the error.
    """
    drawn = generators.drawn(generators.draw(count, seed))
    alphabet = drawn.alphabet
    if (out.suffix == ".txt") != bool(alphabet) and out.suffix in (".txt", ".png"):
        kind = "text" if alphabet else "not text"
        raise ConfigError(
            f"--out {str(out)!r}: {name}'s samples are {kind}. Use"
            f" {'.txt' if alphabet else '.png, .parquet'} or .npz."
        )
    with whole(out) as file:
        if out.suffix == ".txt":
            file.write_bytes(encoded(drawn, "txt"))
        elif out.suffix == ".npz":
            file.write_bytes(encoded(drawn, "npz"))
        elif out.suffix == ".png":
            from raygan.service.views.pictures import save_grid

            save_grid(drawn.shown, file)
        else:
            _table(generators.columns, drawn.in_units).to_parquet(file)
    return drawn.made.shape[1:]


def _table(columns: Sequence[str], samples: npt.NDArray[Any]) -> pd.DataFrame:
    """A column a number of a sample, with the data's own names where it has them."""
    import pandas as pd

    flat = samples.reshape(len(samples), math.prod(samples.shape[1:]))
    # pictures that were made of columns, in another size, have none of these
    known = len(columns) == flat.shape[1]
    return pd.DataFrame(
        flat, columns=list(columns) if known else [f"x{i}" for i in range(flat.shape[1])]
    )

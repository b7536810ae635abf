"""`raygan sample`: from a run to a file of samples."""

from __future__ import annotations

import math
from pathlib import Path

from raygan.errors import ConfigError
from raygan.service.runs.generators import Generators
from raygan.service.runs.run import Run
from raygan.service.scores.formats import encoded
from raygan.service.scores.rejection import generators_of

SUFFIXES = (".npz", ".png", ".parquet", ".txt")


def write_samples(
    run: Run, which: str, count: int, seed: int, out: Path, reject: bool = False
) -> str:
    """Draw and write; returns a line that says what was written. Raises ConfigError for another
    suffix.

    .txt holds one sentence a line (text only);
    .npz holds one array `x` (n, *shape), float32, images in [-1, 1]; scaled data float64 in its own
    units; .parquet has a column a feature, with its name; .png is a picture.
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
    drawn = generators.draw(count, seed)
    samples = generators.in_units(drawn)
    temporary = out.with_name(f".{out.name}.tmp{out.suffix}")
    alphabet = generators.alphabet
    if (out.suffix == ".txt") != bool(alphabet) and out.suffix in (".txt", ".png"):
        kind = "text" if alphabet else "not text"
        raise ConfigError(
            f"--out {str(out)!r}: {name}'s samples are {kind}. Use"
            f" {'.txt' if alphabet else '.png, .parquet'} or .npz."
        )
    if out.suffix == ".txt":
        temporary.write_bytes(encoded(samples, "txt", alphabet))
    elif out.suffix == ".npz":
        temporary.write_bytes(encoded(samples, "npz"))
    elif out.suffix == ".png":
        from raygan.service.views.pictures import save_grid

        save_grid(drawn if samples.ndim == 4 else samples, temporary)
    else:
        import pandas as pd

        flat = samples.reshape(count, math.prod(samples.shape[1:]))
        # pictures that were made of columns, in another size, have none of these
        known = len(generators.columns) == flat.shape[1]
        names = generators.columns if known else [f"x{i}" for i in range(flat.shape[1])]
        pd.DataFrame(flat, columns=list(names)).to_parquet(temporary)
    temporary.replace(out)
    return samples.shape[1:]

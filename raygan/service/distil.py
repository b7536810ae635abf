"""`raygan distil RUN`: one generator out of many, trained on what they make.

    pairs, each on its part --sample--> NAME-samples.npz --train--> one pair

No real sample is needed but those that scores are of. From parts of the data this is the one
generator that does not see them: each site trains its pair, G leaves once, at the end. Made samples
can be kept as the pairs' own discriminators say (`reject`), which takes away what lies between
modes, so that the student does not learn it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygan.config import Config, Resolved, resolve
from raygan.controller.bucket_copies import address_of, runs_folder, shown, taken
from raygan.controller.files import say, write_within
from raygan.controller.run_folder import RunFolder, check_name
from raygan.data.made import refuse_stacks
from raygan.data.reading import refuse_parts
from raygan.data.split import fingerprint
from raygan.errors import ConfigError
from raygan.object_store import Objects, open_objects
from raygan.service.runs.identity import run_data
from raygan.service.runs.naming import fresh_name
from raygan.service.runs.run import Run
from raygan.service.scores.formats import encoded
from raygan.service.scores.rejection import generators_of
from raygan.watching import tell

KEPT = ("network", "loss", "pair", "batch_size", "evaluation", "device")
"""What the student has from the run, unless a preset or a setting says otherwise."""


@dataclass(frozen=True)
class Lesson:
    """What is trained next, and on what."""

    resolved: Resolved
    name: str
    samples: Path
    """A file; of a run in a bucket its local side, which is not there (`place`)."""
    kept: float
    """Share of what the generators made."""

    @property
    def place(self) -> str:
        """Where they lie."""
        return shown(self.samples)

    def forget(self) -> None:
        """Take the samples away, where no run came to be that learns from them."""
        run = self.samples.parent / self.name
        if address_of(self.samples) is None:
            if not (run / "run.json").exists():
                self.samples.unlink(missing_ok=True)
            return
        # best effort: the bucket may be why there is no run
        with contextlib.suppress(OSError, ConfigError):
            if not taken(run):
                beside, name = _in_bucket(self.samples)
                beside.delete(name)


def inherited(config: Config) -> dict[str, Any]:
    """What the student has from a run with this config."""
    mine = config.model_dump(mode="json")
    # of the run's own steps, or written by `resume --steps`: the student's schedule takes the
    # student's steps, or its rate would stay at the end value for most of them
    mine["pair"]["schedule"]["steps"] = None
    return {key: mine[key] for key in KEPT}


def lesson(
    run: Run, *, which: str | None = None, count: int = 50_000, seed: int = 0, reject: bool = False,
    preset: str | None = None, files: list[Path] | None = None,
    settings: Mapping[str, Any] | None = None, run_dir: Path = Path("runs"),
    name: str | None = None,
) -> Lesson:  # fmt: skip
    """Draw `count` samples of `which` (None: the mixture of all pairs) into
    run_dir/NAME-samples.npz (run_dir: a folder, or an address in a bucket), and settle the config
    that learns from them. Raises ConfigError, and what sampling raises.
    """
    settings = dict(settings or {})
    if taken := [s for s in settings if s.partition(".")[0] in ("data", "strategy", "num_pairs")]:
        raise ConfigError(
            f"distil: --{taken[0].replace('_', '-')} is settled: one pair, on what was made. Leave"
            " it out."
        )
    data = {k: v for k, v in run.config.data.items() if not k.startswith("partition")}
    flags: dict[str, Any] = {
        "strategy": "independent", "num_pairs": 1, "seed": run.config.seed,
    }  # fmt: skip
    if preset is None and not files:
        flags |= inherited(run.config)
    draft = resolve(preset, files or (), {**flags, **settings})
    run_dir = runs_folder(run_dir)
    name = name or fresh_name(run_dir, draft.config)
    check_name(name)
    RunFolder.refuse(run_dir, name)
    out = run_dir / f"{name}-samples.npz"
    if _there(out):
        raise ConfigError(f"{shown(out)!r} exists already. Choose another --name.")
    refuse_stacks(real := run_data(run))
    refuse_parts(real, "distil")
    which = which or "mixture"
    tell(f"sampling {which} of {run.name}")
    generators = generators_of(run, which, reject)
    drawn = generators.drawn(generators.draw(count, seed))
    made = {
        "name": "made", "path": address_of(out) or str(out.resolve()), "like": data,
        "seed": run.config.seed,
        "sha256": fingerprint(drawn.in_units),
        **({"like_sha256": real.sha256} if real.sha256 else {}),
    }  # fmt: skip
    resolved = resolve(preset, files or (), {**flags, **settings, "data": made})
    _write(out, encoded(drawn, "npz"))
    return Lesson(resolved, name, out, generators.share_kept)


def _in_bucket(out: Path) -> tuple[Objects, str]:
    """What lies beside the runs of a bucket, and the name of this."""
    folder, _, name = str(address_of(out)).rpartition("/")
    return open_objects(folder), name


def _there(out: Path) -> bool:
    if address_of(out) is None:
        return out.exists()
    beside, name = _in_bucket(out)
    try:
        return beside.there(name)
    except OSError as error:
        raise ConfigError(f"{shown(out)}: the bucket cannot be asked ({say(error)}).") from None


def _write(out: Path, raw: bytes) -> None:
    """Beside the runs, wherever they lie: whoever goes on with the run has them then."""
    if address_of(out) is not None:
        beside, name = _in_bucket(out)
        beside.put(name, raw)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_within(out.parent, out.name, raw)
    finally:
        out.with_name(f"{out.name}.tmp").unlink(missing_ok=True)  # of one that was interrupted

"""README's pictures, of finished runs: `python -m benchmarks picture RUN OUT.png [PLAYER ..]`."""

from __future__ import annotations

import sys
from pathlib import Path

from raygan.service.runs.run import Run
from raygan.service.views.pictures import samples_over_time
from raygan.service.views.stored import stored_samples
from raygan.strategies.base import load_data


def main() -> None:
    """Samples over time of some players."""
    run, out, players = Run.load(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    show = {p: s for p, s in stored_samples(run).items() if not players or p in players}
    out.write_bytes(samples_over_time(show, load_data(run.config), run.roles))


if __name__ == "__main__":
    main()

"""R15 (Veenman, Reinders, Backer, 2002): 600 points in 15 clusters of 40; GAP's toy, which trains
on 100 of them.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from raygan.data.base import DataComponent, Modes, Samples, freeze
from raygan.data.search import find
from raygan.data.split import fingerprint
from raygan.errors import DataError

HELP = "Put R15.arff there, or name its folder with --data.path or $RAYGAN_DATA."


class R15(DataComponent):
    """Points, centred and scaled so that the outer clusters lie about 1 from the middle."""

    path: str | None = Field(None, description="Folder of R15.arff; None = search.")
    limit: int | None = Field(
        None, gt=0, lt=600, description="Train on so many random points (GAP: 100)."
    )

    def load(self, seed: int) -> Samples:
        """Points (N, 2); held out are the points that are not trained on, or all of them without a
        limit.
        """
        (file,) = find(self.name, ["r15"], ["R15.arff"], self.path, HELP)
        rows = [line.split(",") for line in file.read_text().splitlines() if line[:1].isdigit()]
        try:
            table = np.array(rows, dtype=np.float64)
            points, cluster = table[:, :2], table[:, 2]
        except (ValueError, IndexError):
            raise DataError(
                f"data.r15: {file} has lines that are not x,y,class. Get the file again."
            ) from None
        # 7: the outer clusters lie about so far from the middle in the file's own units
        scaled = ((points - points.mean(0)) / 7.0).astype(np.float32)
        means = np.stack([scaled[cluster == c].mean(0) for c in np.unique(cluster)])
        # of all clusters together: the modes' one std, by which samples count as good
        within = np.concatenate(
            [scaled[cluster == c] - means[i] for i, c in enumerate(np.unique(cluster))]
        )
        order = np.random.default_rng([seed, 0]).permutation(len(scaled))
        first, last, split = order[: self.limit], order[self.limit :], "held-out"
        if self.limit is None:
            last, split = np.arange(len(scaled)), "all 600 points"
        train, held_out = scaled[first], scaled[last]
        names, labels = np.unique(cluster, return_inverse=True)
        freeze(train, held_out)
        return Samples(
            "r15", train, held_out, modes=Modes(means, float(within.std())), split=split,
            sha256=fingerprint(table), apart=self.limit is not None, labels=labels[first],
            held_out_labels=labels[last], classes=tuple(f"cluster {c:g}" for c in names),
        )  # fmt: skip

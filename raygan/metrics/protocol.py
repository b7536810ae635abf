"""How a number was made. Two numbers may be compared only when their protocols are the same: same
metric, data and its parameters, split, numbers of samples, extractor and its hash.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Protocol:
    """How a number was made."""

    data: str
    split: str
    n_real: int
    n_fake: int
    extractor: str
    classifier: str
    seed: int
    own: str = ""
    """Users' own metrics, with the hashes of their sources."""
    sha256: str = ""
    """Of the data (`Samples.sha256`); it, and not its name, tells whether two are the same."""
    sampling: str = ""
    """How samples were chosen among those that generators make; "": all are scored."""
    lowered: str = ""
    """What was made smaller than asked for, since there are no more samples, in words."""

    @property
    def id(self) -> str:
        """Equal for comparable numbers; the seed of the draw does not matter."""
        fields = {
            k: v
            for k, v in asdict(self).items()
            if k not in ("seed", "lowered") and (v or k not in ("own", "sha256", "sampling"))
        }
        if self.sha256:
            del fields["data"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:8]

"""What is sent to a cluster, as data, and as the `ray job submit` line that says the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Submission:
    """A job, before it is sent."""

    address: str
    id: str
    entrypoint: list[str]
    working_dir: Path
    """The archive that `package` has made; it goes once it is sent."""
    environment: dict[str, str]
    metadata: dict[str, str]
    driver: dict[str, int] = field(default_factory=dict)
    """What the driver's own process asks for; {}: it lives on the head, and is counted nowhere."""

    @property
    def command(self) -> list[str]:
        """The `ray job submit` line."""
        env = json.dumps({"env_vars": self.environment})
        return [
            "ray", "job", "submit", "--address", self.address, "--submission-id", self.id,
            "--working-dir", str(self.working_dir), "--runtime-env-json", env,
            "--metadata-json", json.dumps(self.metadata),
            *(word for name, much in self.driver.items() for word in ("--" + name.replace("_", "-"),
                                                                      str(much))),
            "--", *self.entrypoint,
        ]  # fmt: skip

    def discard(self) -> None:
        """Take the archive away: it is sent, or will not be."""
        shutil.rmtree(self.working_dir.parent, ignore_errors=True)

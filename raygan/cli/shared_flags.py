"""What a flag is, and those that several verbs have. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """An option: what it does, and what may stand behind it."""

    text: str
    value: str = ""
    """An example of its value; "": it takes none."""
    many: bool = False
    """May it be given again?"""


ALIASES = {"-o": "--out", "-n": "--count", "-h": "--help"}
ADDRESS = Flag(
    "The cluster: auto (RAY_ADDRESS, a Ray that runs here, else one that is started), local, or"
    " HOST:PORT.",
    "auto",
)
DASHBOARD = Flag(
    "The cluster's dashboard, http://HOST:8265; auto: RAY_API_SERVER_ADDRESS, RAY_ADDRESS.", "auto"
)
RUN_DIR = Flag("Folder that holds the runs.", "runs")
JSON = Flag("Print JSON instead of text.")
TRUST = Flag("Let the run's own parts (networks, losses ...) run as they lie in its folder.")
STRICT = Flag("Refuse to go on with other versions, or on another machine, than the run was made.")
OTHER_DATA = Flag("Go on though the data are not those that the run was made on.")
REQUIRE = Flag(
    "End with exit code 5 unless the run's main generator has these scores; = means at least, or"
    " at most where less is better.",
    "modes=8",
)
CONFIG = Flag("A YAML file of settings; later files win.", "my.yaml", many=True)
PRESET = Flag("Settings to begin from; `raygan presets` lists them.", "ring8-gap")
SEED = Flag("Of what is drawn here.", "0")
FROM = Flag("Whose samples: global, best, mixture, fitted, or pair:3.", "best")
REJECT = Flag(
    "Keep only what the generator's own discriminator, trained on a little, takes for real."
)
CONSOLE = {
    "plain": Flag("One line every few seconds, no table."),
    "json": Flag("One JSON object a line."),
    "quiet": Flag("Say nothing but errors."),
}
TRAIN = {
    "preset": PRESET,
    "config": CONFIG,
    "name": Flag("Of the run: its folder below --run-dir.", "mine"),
    "run-dir": RUN_DIR,
    "resume": Flag(
        "Go on with a run (its name or folder); auto: with --name where it exists.", "auto"
    ),
    "strict": STRICT,
    "trust-code": TRUST,
    "address": ADDRESS,
    "inline": Flag("Everything in this process, no Ray: the same bits in lockstep."),
    **CONSOLE,
    "dry-run": Flag("Print all settings with their origins, start nothing."),
    "require": REQUIRE,
}

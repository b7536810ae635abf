"""`--control N`: a group of independent pairs with a run's settings, trained here, kept beside the
run in RUN-control-N.
"""

from __future__ import annotations

from pathlib import Path

from raygan.config import Config, Resolved, full_dump, settings_of
from raygan.controller.bucket_copies import shown, taken, typed
from raygan.controller.run_folder import find_run
from raygan.errors import ConfigError
from raygan.service.runs.changes import FREE
from raygan.service.runs.code import load_config
from raygan.service.runs.identity import rooted, settled
from raygan.service.runs.run import Run

FOLLOWED = ("steps", "pair.schedule.steps")
"""Settings in which a group that is there goes on as its run has gone on."""
ITS_OWN = (*FREE, "members", "num_pairs")
"""Those in which it may differ: they make it no other group, or follow who of it is still there."""


def control_name(run: Run, count: int) -> str:
    """The name of the folder that a control group's run is kept in."""
    return f"{run.name}-control-{count}"


def control_group(run: Run, count: int) -> Run:
    """`count` independent pairs with the run's settings and other seeds; trained once, found again
    afterwards, gone on with where they were cut off, or the run has gone on since. Raises
    ConfigError for a group of other settings.
    """
    from raygan.service.training import train

    base, name = run.config, control_name(run, count)
    config = base.model_copy(update={
        # Far from the run's own seed and from its neighbours': seeds 0, 1, 2 .. are other runs of
        # a study.
        "strategy": {"name": "independent"}, "seed": base.seed + 1_000_003,
        # Pairs that nobody has trained: the run's own may go on from others, or be some of more.
        "num_pairs": count, "pairs": (), "members": (), "start_from": (),
    })  # fmt: skip
    wanted = Resolved(config=config, origins=dict.fromkeys(FOLLOWED, f"run {run.name}"))
    if taken(there := run.path.parent / name):
        refuse_other(find_run(there), settled(wanted).config, run.name)
    inline = run.info.get("executor") == "inline"
    return train(
        wanted, run_dir=run.path.parent, name=name, inline=inline, resume="auto",
        command=f"raygan evaluate {typed(run.path)} --metrics gam2 --control {count}",
    )  # fmt: skip


def refuse_other(there: Path, wanted: Config, name: str) -> None:
    """Raises ConfigError where the group in this folder has other settings than the run `name` asks
    for.
    """
    have = settings_of(full_dump(rooted(load_config(there))))
    for path, value in settings_of(full_dump(wanted)).items():
        free = path in FOLLOWED or path.partition(".")[0] in ITS_OWN
        if not free and have.get(path) != value:
            raise ConfigError(
                f"gam2: {shown(there)} was trained with {path} = {have.get(path)}, {name} has"
                f" {value} now. Move that folder away: a new group is trained then."
            )

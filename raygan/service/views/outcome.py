"""How a run ended that was followed: `raygan watch` returns its exit code."""

from __future__ import annotations

from raygan.errors import OutOfSightError
from raygan.service.views.follow import Feed, FolderFeed, cluster_jobs


def exit_code(feed: Feed) -> int:
    """The run's; 1 of one that is lost: its driver was killed, and nobody goes on with it. Raises
    OutOfSightError where the hub went before it told an end, and no job of the cluster knows one.
    """
    info = feed.run.info
    if info.get("exit_code") is not None:
        return int(info["exit_code"])
    if isinstance(feed, FolderFeed):
        return 1
    for job in cluster_jobs():
        # of this life: a job that had ended before it began was another one
        mine = job["run"] == feed.run.name and job["ended"] >= float(info.get("started") or 0.0)
        if mine and job["exit_code"] is not None:
            return int(job["exit_code"])
    raise OutOfSightError(
        f"run {feed.run.name!r}: its hub is gone, and has told no end; the run may go on. `raygan"
        " runs --address ADDRESS` lists what the cluster knows, its folder says the rest."
    )

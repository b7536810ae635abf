"""Verbs that look at runs, or ask something of one that goes on."""

from __future__ import annotations

from collections.abc import Sequence

from raygan.cli.flags import parse
from raygan.cli.usage import usage
from raygan.cli.verbs.asked import whole_number
from raygan.errors import ConfigError
from raygan.paths import expanded, in_bucket
from raygan.visible import as_json
from raygan.visible import say as print


def scale(argv: Sequence[str]) -> int:
    """Let members join or leave a running run."""
    args = parse("scale", argv)
    from raygan.service.views import follow as feed

    if args.get("pairs") is None:
        raise ConfigError(f"--pairs is missing. Usage: {usage('scale')}")
    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        print(feed.scale(seen, whole_number(args, "pairs", 0, least=1)))
    return 0


def stop(argv: Sequence[str]) -> int:
    """Let a running run save and end."""
    args = parse("stop", argv)
    from raygan.service.views import follow as feed

    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        print(feed.stop(seen))
    return 0


def status(argv: Sequence[str]) -> int:
    """`raygan status`: a run as it is at this moment."""
    args = parse("status", argv)
    from raygan.service.views.follow import follow
    from raygan.service.views.state import state, state_text

    with follow(args.positional[0], args.get("address") or "auto") as seen:
        now = state(seen.run)
    print(as_json(now, indent=1) if args.has("json") else state_text(now))
    return 0


def watch(argv: Sequence[str]) -> int:
    """Follow a run, in the terminal or in a browser."""
    args = parse("watch", argv)
    from raygan.service.views.follow import follow

    port = whole_number(args, "port", 8266, most=65535)
    every_s = whole_number(args, "every", 2, least=1)
    with follow(args.positional[0], args.get("address") or "auto") as seen:
        if args.has("web"):
            from raygan.service.views.live import serve

            serve(seen, args.get("host") or "127.0.0.1", port)
            return 0
        from raygan.cli.console import show

        return show(seen, every_s)


def runs(argv: Sequence[str]) -> int:
    """`raygan runs`: list a folder's runs, or repair one's events."""
    args = parse("runs", argv)
    if named := args.get("repair"):
        return _repair(named)
    from raygan.service.runs.listing import list_runs, list_runs_at, runs_table

    if address := args.get("address"):
        from raygan.service.cluster.jobs import Jobs
        from raygan.service.runs.listing import jobs_table

        sent = Jobs(address).list()
        print(as_json(sent, indent=1) if args.has("json") else jobs_table(sent))
        return 0
    named = args.get("at") or args.get("run-dir") or "runs"
    address = in_bucket(named)
    found = list_runs_at(address) if address else list_runs(expanded(named))
    print(as_json(found, indent=1) if args.has("json") else runs_table(found))
    return 0


def _repair(named: str) -> int:
    from raygan.service.runs.alive import refuse_running
    from raygan.service.runs.repair import repair
    from raygan.service.runs.run import Run

    run = Run.load(named)
    refuse_running(run.path)
    done = repair(run)
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(done.items()))
    print(
        f"{run.name}: {told} written again"
        if done
        else f"{run.name}: events.jsonl has all that the journal says"
    )
    return 0

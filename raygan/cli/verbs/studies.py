"""Verbs that train many runs to answer a question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.cli.flags import parse
from raygan.cli.verbs.asked import whole_number
from raygan.paths import expanded
from raygan.visible import say as print


def sweep(argv: Sequence[str]) -> int:
    """`raygan sweep`: train many runs over settings."""
    args = parse("sweep", argv)
    from raygan.service.sweeps import report, result
    from raygan.service.sweeps.tune import TrialsFailed

    file = Path(args.positional[0])
    asked: dict[str, Any] = {
        "run_dir": expanded(args.get("run-dir") or "runs"), "resume": args.has("resume"),
        "samples": whole_number(args, "samples", 0, least=1) or None,
        "max_concurrent": whole_number(args, "max-concurrent", 0, least=1) or None,
        "track": args.get("track"),
    }  # fmt: skip
    if args.has("dry-run"):
        from raygan.service.sweeps import checks, estimate

        spec, folder = checks.asked_for(file, **asked)
        if checks.lives_apart(spec):
            checks.check_metric(spec, file, folder)
        print(estimate.text(spec, folder))
        return 0
    try:
        print(result.run_sweep(file, address=args.get("address") or "auto", **asked))
    except TrialsFailed as error:
        print(report.text(error.folder))
        raise
    return 0


def reproduce(argv: Sequence[str]) -> int:
    """Try what a paper claims."""
    args = parse("reproduce", argv)
    from raygan.service.papers import reproduce as papers

    folder = expanded(args.get("run-dir") or "runs/reproduce")
    if not args.positional:
        print(papers.listing(folder))
        return 0
    outcome = papers.reproduce(
        args.positional[0],
        seeds=whole_number(args, "seeds", 0, least=1),
        quick=args.has("quick"),
        run_dir=folder,
        address=args.get("address") or "auto",
        inline=args.get("address") is None,
        told=print,
    )
    print(papers.outcome_text(outcome))
    return 0

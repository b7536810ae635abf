"""One function a verb: read the arguments, call the service, print. Returns the exit code.

A verb imports what it needs within itself: torch, Ray and pandas take seconds, and `raygan --help`
answers in a fifth of one. So local imports here are for the start, not around a circle.
"""

from raygan.cli.verbs.cluster import dashboards, doctor, fetch, submit
from raygan.cli.verbs.generators import compare, evaluate, export, push, report, sample, serve
from raygan.cli.verbs.parts import completion, data, new, presets
from raygan.cli.verbs.runs import runs, scale, status, stop, watch
from raygan.cli.verbs.studies import reproduce, sweep
from raygan.cli.verbs.training import distil, plan, replay, resume, train, verify

__all__ = [
    "compare", "completion", "dashboards", "data", "distil", "doctor", "evaluate", "export",
    "fetch", "new", "plan", "presets", "push", "replay", "report", "reproduce", "resume", "runs",
    "sample", "scale", "serve", "status", "stop", "submit", "sweep", "train", "verify", "watch",
]  # fmt: skip

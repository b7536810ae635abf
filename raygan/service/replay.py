"""`raygan replay RUN`: does an asynchronous run again, inline, in the order that its record
demands, and compares every player's state at the last checkpoint, bit for bit.

    journal         what each attempt went on from, its checkpoints, its swaps        \
    schedule.jsonl  what each player read at which of its steps (`record: schedule`)   > attempts
    checkpoints/    the states to compare with, by SHA-256                            /
    attempts --> players, one event each in turn

A player's round is cut short where it asks for what nobody has published yet (Later) and is taken
up again from there: it looks at the board between two steps, where nothing of it is half done.

What is not in the record cannot be replayed, and is one line (Unreplayable): how rounds went that
were under way when a player or the driver died, and what the others had read of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raygan.controller.async_record import FILE, sha
from raygan.controller.bucket_copies import shown
from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.run_format import differences
from raygan.errors import NonFiniteError
from raygan.service.replaying.attempts import Unreplayable, attempts, chained, start, step_of
from raygan.service.replaying.board import Differs
from raygan.service.replaying.replayer import Replayer
from raygan.service.runs.identity import run_data
from raygan.service.runs.provenance import provenance
from raygan.service.runs.run import Run
from raygan.strategies.base import megabytes


@dataclass(frozen=True)
class Verdict:
    """Of a replay that came to its end."""

    equal: bool
    text: str


def replay(run: Run) -> Verdict:
    """Do it again. Raises Unreplayable, DataError, CheckpointError."""
    last, problems = newest_valid(run.path)
    if last is None or last.entry is None:
        raise Unreplayable(f"run {shown(run.path)}: {(problems or ['no checkpoint.'])[0]}")
    if run.config.pace == "lockstep":
        raise Unreplayable(
            f"run {shown(run.path)} is in lockstep: it follows from its config, whatever came"
            " first. `raygan verify` tries that."
        )
    chain = chained(attempts(run.path), last.entry.folder, run.path)
    data, states, rounds = run_data(run), start(run.path, chain[0]), 0
    goals = [(a.begun_from, a.parts) for a in chain[1:]]
    goals.append((last.entry.folder, {p: sha(part) for p, part in last.parts.items()}))
    try:
        for attempt, (folder, wanted) in zip(chain, goals, strict=True):
            replayer = Replayer(attempt, data, states, attempt.checkpoints[folder], wanted)
            states = replayer.run()
            rounds += replayer.rounds
        begun = chain[0].begun_from
        since = f"from step {step_of(begun)} on" if begun else "from the beginning"
        size = megabytes((run.path / FILE).stat().st_size)
        verdict = compared(last, states, f"{rounds} rounds, {since}; {FILE} {size}")
    except Differs as difference:
        verdict = Verdict(False, str(difference))
    except NonFiniteError as error:
        verdict = Verdict(False, f"differs: {error} In the run it was finite.")
    # another processor or torch is the likelier reason, and is no fault of the record
    if not verdict.equal and (other := differences(run.info, provenance())):
        return Verdict(False, f"{verdict.text} (the run was made elsewhere: {'; '.join(other)})")
    return verdict


def compared(last: Checkpoint, states: Mapping[str, bytes], how: str) -> Verdict:
    """Compare the whole state of every player with the checkpoint's, bit for bit."""
    for player, part in last.parts.items():
        if sha(states[player]) != sha(part):
            where = f"{player} at step {last.steps[player]}, its part of the last checkpoint"
            return Verdict(False, f"differs: {where}")
    text = f"equal: {len(last.parts)} players at the last checkpoint, step {last.step}"
    return Verdict(True, f"{text}, by the SHA-256 of each ({how})")

"""The model card of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygan.controller.jsonl import read_json
from raygan.metrics.ranking import mark_line, marked
from raygan.own.inside import keys_in
from raygan.own.names import label
from raygan.service.runs.cast import FITTED
from raygan.service.runs.run import Run, Scores
from raygan.service.scores.graphs import numbers_of, onnx_section, shares_of
from raygan.service.scores.score_table import SKIP, protocol_line
from raygan.service.views.tables import format_number
from raygan.strategies.roles import MIXTURE
from raygan.visible import code, markdown


def rejection_section(kept: float | None) -> list[str]:
    """Of the card: what of the samples is kept; [] where all are."""
    if kept is None:
        return []
    return [
        (
            f"Its own discriminator goes along and keeps {kept:.0%} of what it makes: x, as the"
            " network makes it, with probability min(1, exp(l(x) - threshold)), l from `judge-*`,"
            " the threshold from `config.json`. The scores below are of all samples, kept or not."
        ),
        "",
    ]


def trained_for(told: Mapping[str, Any]) -> str:
    """For how many steps its generators were, of those that the run was to have.

    >>> trained_for({"steps": {"pair-00": 180, "pair-01": 200}, "of_steps": 1000})
    '180 to 200 of 1000 steps'
    """
    there = sorted({*told["steps"].values()})
    done = " to ".join(map(str, there if len(there) < 2 else (there[0], there[-1])))
    return f"{done} steps" if there == [told["of_steps"]] else f"{done} of {told['of_steps']} steps"


def score_section(run: Run, told: Mapping[str, Any]) -> list[str]:
    """Of the card: the last scores up to the step that its weights are of."""
    names, step = list(told["generators"]), max(told["steps"].values())
    # A run that goes on has later ones by now, which are of other weights.
    scores = run.cast.scores(step)
    row = own_scores(scores, told["from"], names)
    if row is None:
        return fitted_section(run) if told["from"] == FITTED else [nothing(scores, names, step)]
    player, at = str(row["player"]), int(row["step"])
    found = run.info.get("protocols", {}).get(row["protocol"])
    floor, ceiling = (found.get(end, {}) if found else {} for end in ("floor", "ceiling"))
    metrics = [m for m in ceiling or row if m in row and m not in SKIP]
    who = "mixture" if player == MIXTURE else f"single generator {markdown(player)}"
    lines = [f"| metric | {who}, step {at} | real data | noise |", "| --- | --- | --- | --- |"]
    for m, name in zip(metrics, marked(metrics, floor, ceiling), strict=True):
        values = (row[m], ceiling.get(m), floor.get(m))
        lines.append(f"| {markdown(name)} | " + " | ".join(map(format_number, values)) + " |")
    if note := mark_line(metrics, floor, ceiling):
        lines += ["", markdown(note)]
    if at != step:
        lines += ["", f"The scores are of step {at}, and the weights of step {step}."]
    if found is None:
        return [*lines, "", "Real data and noise are measured when a run ends: not yet."]
    return [*lines, "", markdown(protocol_line(row["protocol"], found))]


def own_scores(scores: Scores, which: str, names: Sequence[str]) -> dict[str, Any] | None:
    """Of what was exported: by its own name, or by that of its one generator."""
    # of a mixture its own alone: those of one member say nothing of it
    return scores.get(which) or (scores.get(names[0]) if len(names) == 1 else None)


def nothing(scores: Scores, names: Sequence[str], step: int) -> str:
    """Why there is no table."""
    what = "This mixture" if len(names) > 1 else "This generator"
    return (
        f"{what} was not scored; some of the run's generators were."
        if scores
        else f"This run has no scores up to step {step}."
    )


def fitted_section(run: Run) -> list[str]:
    """What is known of a mixture with fitted shares: no table of a run scores it. Raises
    ConfigError for a mixture.json that is damaged.
    """
    found = read_json(run.path, "mixture.json", log_likelihood=dict)
    fitted, equal = (
        markdown(format_number(found["log_likelihood"].get(k))) for k in (FITTED, "equal")
    )
    return [
        (
            "This mixture was not scored. Its shares were fitted on one half of held-out data"
            f" ({markdown(found.get('data'))}, {markdown(found.get('split'))}, over"
            f" {markdown(found.get('over'))}); of the other half its log-likelihood is"
            f" {fitted} nats, and {equal} with equal shares."
        )
    ]


def card(run: Run, told: Mapping[str, Any], source: str = "this folder", onnx: bool = False) -> str:
    """The model card: what it is, how good, measured how, how to use it, what not to expect.

    told: the export's config.json. source: whence it is loaded. onnx: are there such files?
    """
    config = run.config
    which, names, shares = told["from"], list(told["generators"]), shares_of(told)
    # whoever loads it runs the author's code: the line that is copied has to say so
    own = bool(set(keys_in([entry["network"] for entry in told["generators"].values()])))
    trusting = ", trust_code=True" if own else ""
    lines = [
        f"# {markdown(run.name)}: {markdown(which)}",
        "",
        (
            f"Generator{'s' if len(names) > 1 else ''} {markdown(', '.join(names))} of a raygan"
            f" run: strategy {markdown(label(config.strategy['name']))}, loss"
            f" {markdown(label(config.loss['name']))}, trained on"
            f" {markdown(label(config.data['name']))} for {trained_for(told)}, seed {config.seed}."
        ),
        "",
        "## Use",
        "",
        "```python",
        "import raygan",
        (
            f'x = raygan.load("{source}"{trusting}).sample(64, seed=0)  # numpy, (64, *shape);'
            f" {numbers_of(told)}"
        ),
        "```",
        "",
        *([f"A mixture: {markdown(shares)}.", ""] if shares else []),
        *rejection_section(told.get("share_kept")),
        *(onnx_section(told) if onnx else []),
        "## Scores",
        "",
        *score_section(run, told),
        "",
        "## Limits",
        "",
        (
            "The scores are of one draw of one run. Samples carry whatever the training data"
            " carried, its licence included; modes that the scores above do not show may be"
            " missing."
        ),
        "",
        # the command as it was typed, in a span that no backtick in it can end
        f"Made by {code((run.path / 'command.txt').read_text())} with "
        + ", ".join(markdown(f"{k} {v}") for k, v in told["versions"].items())
        + ".",
    ]
    return "\n".join(lines) + "\n"

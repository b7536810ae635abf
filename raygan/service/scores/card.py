"""The model card of an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygan.metrics.ranking import mark_line, marked
from raygan.own.inside import keys_in
from raygan.own.names import label
from raygan.service.runs.run import Run
from raygan.service.scores.graphs import numbers_of, onnx_section, shares_of
from raygan.service.scores.score_table import protocol_line
from raygan.service.views.tables import format_number
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


def card(run: Run, told: Mapping[str, Any], source: str = "this folder", onnx: bool = False) -> str:
    """The model card: what it is, how good, measured how, how to use it, what not to expect.

    told: the export's config.json. source: whence it is loaded. onnx: are there such files?
    """
    config, scores = run.config, run.scores()
    which, names, shares = told["from"], list(told["generators"]), shares_of(told)
    own = bool(set(keys_in([entry["network"] for entry in told["generators"].values()])))
    trusting = ", trust_code=True" if own else ""
    row = next((scores[k] for k in (which, *names) if k in scores), None)
    lines = [
        f"# {markdown(run.name)}: {markdown(which)}",
        "",
        (
            f"Generator{'s' if len(names) > 1 else ''} {markdown(', '.join(names))} of a raygan"
            f" run: strategy {markdown(label(config.strategy['name']))}, loss"
            f" {markdown(label(config.loss['name']))}, trained on"
            f" {markdown(label(config.data['name']))} for {config.steps} steps, seed {config.seed}."
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
    ]
    if row is not None:
        entry = run.info.get("protocols", {}).get(row["protocol"], {"floor": {}, "ceiling": {}})
        metrics = [m for m in entry["ceiling"] if m in row]
        head = marked(metrics, entry["floor"], entry["ceiling"])
        who = (
            "mixture"
            if row["player"] == "mixture"
            else f"single generator {markdown(row['player'])}"
        )
        lines += ["| metric | " + who + " | real data | noise |", "| --- | --- | --- | --- |"]
        for m, name in zip(metrics, head, strict=True):
            values = (row[m], entry["ceiling"].get(m), entry["floor"].get(m))
            lines.append(
                f"| {markdown(name)} | " + " | ".join(format_number(v) for v in values) + " |"
            )
        if note := mark_line(metrics, entry["floor"], entry["ceiling"]):
            lines += ["", markdown(note)]
        lines += ["", markdown(protocol_line(row["protocol"], entry))]
    else:
        lines.append("This run has no scores yet.")
    lines += [
        "",
        "## Limits",
        "",
        (
            "The scores are of one draw of one run. Samples carry whatever the training data"
            " carried, its licence included; modes that the scores above do not show may be"
            " missing."
        ),
        "",
        f"Made by {code((run.path / 'command.txt').read_text())} with "
        + ", ".join(markdown(f"{k} {v}") for k, v in told["versions"].items())
        + ".",
    ]
    return "\n".join(lines) + "\n"

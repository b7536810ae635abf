"""What the networks of an export take and give, in words, from its config.json: for the model card,
and in each ONNX file, for whoever runs these without raygan.

z ~ prior -> G(z) = x, in the units of training -> offset + factor * x, the data's own
                    x -> l(x) of a judge
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygan.data.ranges import range_text
from raygan.data.record import Scaling
from raygan.visible import code

PRIORS = {"gaussian": "N(0, 1)", "uniform": "U(-1, 1)"}
MANY = 8
"""Features whose scaling is written out on the card; that of more is in config.json alone."""


def numbers_of(told: Mapping[str, Any]) -> str:
    """In which numbers samples come.

    >>> numbers_of({"shape": [1, 8, 8], "scaling": {"offset": [2047.5], "factor": [2047.5]}})
    'images in 0..4095'
    """
    scaling = Scaling.of(told.get("scaling"))
    if told.get("alphabet"):
        return "text, one-hot"
    if len(told["shape"]) != 3:
        return "in the data's own units"
    if scaling is None:
        return "images in [-1, 1]"
    (middle,), (half,) = scaling.offset, scaling.factor  # pictures are scaled as a whole
    return f"images in {range_text((middle - half, middle + half))}"


def shares_of(told: Mapping[str, Any]) -> str:
    """What each generator gives of the samples; "" where there is one."""
    names, weights = list(told["generators"]), told.get("weights")
    if len(names) < 2:
        return ""
    if weights is None:
        return f"each of the {len(names)} generators gives as many samples"
    whole = sum(weights.values())
    return "shares of the samples: " + ", ".join(f"{n} {weights[n] / whole:.4g}" for n in names)


def of_generator(told: Mapping[str, Any], name: str) -> dict[str, str]:
    """For its graph: what z is drawn from, and the way to the data's own units."""
    entry, scaling = told["generators"][name], Scaling.of(told.get("scaling"))
    facts = {"z": f"{entry['z_dim']} numbers, each from {PRIORS[entry['prior']]}"}
    if scaling is None:
        return {**facts, "x": "in the units that samples have"}
    return {
        **facts,
        "x": "in the units of training; samples are offset + factor * x",
        **{k: ", ".join(map(repr, v)) for k, v in scaling.plain().items()},
    }


def of_judge(threshold: float) -> dict[str, str]:
    """What a discriminator's graph takes and gives, in words."""
    return {
        "x": "as a generator's graph gives it, not in the data's own units",
        "l": "logit; x is kept with probability min(1, exp(l - threshold))",
        "threshold": repr(threshold),
    }


def onnx_section(told: Mapping[str, Any]) -> list[str]:
    """Of the card: how its ONNX files are run."""
    shape, scaling = ", ".join(map(str, told["shape"])), told.get("scaling")
    lines = ["## ONNX", ""]
    for name, entry in told["generators"].items():
        lines.append(
            f"- {code(f'generator-{name}.onnx')}: `z` (N, {entry['z_dim']}) float32, each number"
            f" drawn from {PRIORS[entry['prior']]}, to `x` (N, {shape})."
        )
    if told.get("alphabet"):
        lines.append("- `x` is one-hot: its characters are `alphabet` in `config.json`, in order.")
    elif scaling is None:
        lines.append("- `x` is in the units that samples have.")
    else:
        lines.append(
            "- `x` is in the units of training; in the data's own it is `offset + factor * x`, with"
            f" {_vector('offset', scaling)} and {_vector('factor', scaling)} (`scaling` in"
            " `config.json`)."
        )
    if shares_of(told):
        lines.append("- A mixture: its shares are `weights` in `config.json`; null: equal ones.")
    judges = [
        f"- {code(f'judge-{owner}.onnx')}: `x` as a generator's graph gives it, not in the data's"
        " own units, to `l` (N,)."
        for owner in told.get("judges", {})
    ]
    return [*lines, *judges, ""]


def _vector(name: str, scaling: Mapping[str, Any]) -> str:
    values = scaling[name]
    told = ", ".join(f"{v:.9g}" for v in values)
    return f"{name} [{told}]" if len(values) <= MANY else f"{name} a number a feature"

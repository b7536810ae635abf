"""Pictures of PMGAN: how generators are weighed, and how old the judge's view of each was."""

from __future__ import annotations

import numpy as np

from raygan.service.runs.run import Run
from raygan.service.views import crowd
from raygan.service.views.colours import colour
from raygan.service.views.paper import STYLE, legend, png
from raygan.service.views.standing import FEW, Standing

import matplotlib.pyplot as plt  # isort: skip  (pictures chooses the backend)


def balance_over_time(run: Run, found: Standing) -> bytes | None:
    """PMGAN: beta of each generator, and how far behind the judge's view of a generator was."""
    slots, trained = list(run.digest.slots), run.digest.trained
    if not slots:
        return None
    roles = run.roles
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 2.4), layout="constrained")
        weighed = sorted({p for e in slots for p in e["beta"]})
        if len(found.gone) > FEW:
            betas = {
                p: [{"step": e["step"], "beta": e["beta"].get(p)} for e in slots] for p in weighed
            }
            crowd.band(left, betas, "step", "beta")
            crowd.band(right, {p: trained.get(p, ()) for p in run.pairs}, "step", "lag")
        for p in found.of(weighed, roles):
            mine = [(e["step"], e["beta"][p]) for e in slots if p in e["beta"]]
            left.plot(*zip(*mine, strict=True), color=colour(p, roles), linewidth=1, label=p)
        left.set_title("beta: weight of keeping apart", fontsize=9)
        left.set_xlabel("step of the judge")
        legend(figure, left)
        for p in found.of(run.pairs, roles):
            mine = [(r["step"], r["lag"]) for r in trained.get(p, ()) if "lag" in r]
            if mine:
                right.plot(*zip(*mine, strict=True), color=colour(p, roles), linewidth=1)
        right.set_title("lag: steps since the judge saw the generator", fontsize=9)
        right.set_xlabel("step of the generator")
    return png(figure)


def slot_raster(run: Run) -> bytes | None:
    """PMGAN: a lane a generator, a column a round of the judge; how old its slot was, against the
    newest one used.
    """
    # Of a round that was repeated, the last.
    last = {e["step"]: e for e in run.digest.slots if e.get("age")}
    slots = [last[step] for step in sorted(last)]
    if not slots:
        return None
    lanes = sorted({p for e in slots for p in e["age"]})
    ages = np.array([[e["age"].get(p, np.nan) for e in slots] for p in lanes])
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(
            figsize=(9.6, crowd.height(len(lanes), 0.25)), layout="constrained"
        )
        edges = [0, *(e["step"] for e in slots)]
        image = axis.pcolormesh(
            edges, np.arange(len(lanes) + 1) - 0.5, np.ma.masked_invalid(ages), cmap="magma_r",
            vmin=0, vmax=max(1.0, float(np.nanmax(ages))),
        )  # fmt: skip
        crowd.lanes(axis, lanes)
        axis.set_facecolor("#dddddd")
        axis.set_xlabel("step of the judge")
        figure.colorbar(image, ax=axis, label="steps behind")
    return png(figure)

"""Pictures of PMGAN: how generators are weighed, and how old the judge's view of each was."""

from __future__ import annotations

import numpy as np

from raygan.service.runs.run import Run
from raygan.service.views import heat_maps
from raygan.service.views.chart import Chart, Panel
from raygan.service.views.curves import crowds, lines
from raygan.service.views.paper import STYLE, png
from raygan.service.views.standing import Standing

import matplotlib.pyplot as plt  # isort: skip  (pictures chooses the backend)


def balance_over_time(run: Run, found: Standing) -> Chart | None:
    """PMGAN: beta of each generator, and how far behind the judge's view of a generator was."""
    slots, trained = list(run.digest.slots), run.digest.trained
    if not slots:
        return None
    weighed = sorted({p for e in slots for p in e["beta"]})
    betas = {
        p: [{"step": e["step"], "beta": e["beta"][p]} for e in slots if p in e["beta"]]
        for p in weighed
    }
    lags = {p: trained[p] for p in run.pairs if p in trained}
    panels = [
        Panel(name, axes, lines(curves, value, run, found, axes), (), crowds(curves, value, found))
        for name, value, curves, axes in (
            ("beta: weight of keeping apart", "beta", betas, {"step": "step of the judge"}),
            ("lag: steps since the judge saw the generator", "lag", lags,
             {"step": "step of the generator"}),
        )
    ]  # fmt: skip
    return Chart(panels, 2.4)


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
            figsize=(9.6, heat_maps.height(len(lanes), 0.25)), layout="constrained"
        )
        edges = [0, *(e["step"] for e in slots)]
        image = axis.pcolormesh(
            edges, np.arange(len(lanes) + 1) - 0.5, np.ma.masked_invalid(ages), cmap="magma_r",
            vmin=0, vmax=max(1.0, float(np.nanmax(ages))),
        )  # fmt: skip
        heat_maps.lanes(axis, lanes)
        axis.set_facecolor("#dddddd")
        axis.set_xlabel("step of the judge")
        figure.colorbar(image, ax=axis, label="steps behind")
    return png(figure)

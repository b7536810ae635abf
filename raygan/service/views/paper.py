"""What all pictures are drawn on: the backend, the style, PNG."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl

# Before pyplot is imported: a cluster's node has no display, and the default backend looks for
# one.
mpl.use("Agg")
import matplotlib.pyplot as plt

__all__ = ["STYLE", "legend", "plt", "png"]

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#9a9a9a",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "figure.facecolor": "white",
}


def legend(figure: Any, axis: Any, size: float = 7) -> None:
    """The names of what `axis` shows, beside all panels of a figure with a constrained layout."""
    # Never at "best": matplotlib tries its places against every point that is drawn, which takes
    # seconds on a busy machine (and warns of it), and may still end on top of a curve.
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=size, frameon=False)


def png(figure: Any) -> bytes:
    """Render a figure as a PNG and close it."""
    out = io.BytesIO()
    if (layout := figure.get_layout_engine()) is not None:
        # settled once: matplotlib would draw all of it a second time, only to settle it again
        layout.execute(figure)
        figure.set_layout_engine("none")
        figure.savefig(out, format="png", dpi=110)
    else:
        figure.savefig(out, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return out.getvalue()

"""A figure of a page: two plots beside each other, as an SVG file that takes the page's colours."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voxgender.lab.plots import with_own_colours

# Stands for the colour of text; matplotlib knows no "currentColor", so it is put in afterwards.
_INK: Final = "#010203"
_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "voxgender",  # the same plot gives the same bytes
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "font.size": 9,
}
_NO_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


def page_figure(left: Callable[[Axes], None], right: Callable[[Axes], None], **settings: object) -> str:
    """Return a figure as an SVG file's text; what is drawn alike gives the same bytes.

    Args:
        left: Draws the plot on the left.
        right: Draws that on the right.
        **settings: Of matplotlib, besides those of all figures, with ``_`` for each dot.
    """
    text = io.StringIO()
    with rc_context(_SETTINGS | {name.replace("_", "."): value for name, value in settings.items()}):
        figure = Figure(figsize=(8.4, 3.2), layout="constrained")
        for axes, draw in zip(figure.subplots(1, 2), (left, right), strict=True):
            draw(axes)
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    svg = text.getvalue().replace(_INK, "currentColor")
    return with_own_colours(svg[svg.index("<svg") :])

"""Plots of an evaluation as SVG text, which stand in a page of either colour scheme and can be read aloud."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import norm

from voxgender.lab.curves import Curves

Series: TypeAlias = Sequence[tuple[str, Curves]]
"""What is drawn into one plot: curves and what they are called, the main ones first."""

_DET_SHARES: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
_DET_RANGE: Final = (0.0008, 0.55)
_COLOURS: Final = ("#3b82c4", "#d9730d", "#3f9c5a", "#a55ab4", "#c2413b", "#8a7a3d", "#5a8a99", "#b06a8a")
"""Readable on white and on black; the lines differ in style as well."""
_STYLES: Final = ("-", "--", ":", "-.")
_MALE: Final = _COLOURS[0]
_FEMALE: Final = _COLOURS[1]
# Stands for the colour of the text around the plot; matplotlib knows no such colour, so it is put in afterwards.
_INK: Final = "#010203"
_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "voxgender",  # the same plot gives the same bytes
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "legend.frameon": False,
    "font.size": 9,
}
_NO_METADATA: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}
_OWN_STYLE: Final = (
    "<style>svg{color:#1b1b1b;background:#fff}"
    "@media(prefers-color-scheme:dark){svg{color:#e8e8e8;background:#15181c}}</style>"
)


def det_plot(series: Series) -> str:
    """Draw both errors against each other on normal deviates: thin as counted, bold on the convex hull of the ROC."""

    def draw(axes: Axes) -> None:
        for number, (name, curves) in enumerate(series):
            colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number % len(_STYLES)]
            det = curves.det
            axes.plot(_deviate(det.false), _deviate(det.missed), color=colour, linewidth=0.6, alpha=0.7)
            hull = (_deviate(_between(shares)) for shares in (det.hull_false, det.hull_missed))
            axes.plot(*hull, style, color=colour, label=name)
        ends = norm.ppf(_DET_RANGE)
        axes.plot(ends, ends, color=_INK, linewidth=0.5, alpha=0.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(norm.ppf(_DET_SHARES), [f"{share:.1%}".replace(".0%", "%") for share in _DET_SHARES])
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.set(xlabel="women told to be men", ylabel="men told to be women")

    return _svg("det", "DET curves: errors of both genders against each other, at every threshold", draw)


def tippett_plot(series: Series) -> str:
    """Draw the share of each gender's clips whose LLR is at least so high."""

    def draw(axes: Axes) -> None:
        for number, (name, curves) in enumerate(series):
            tippett = curves.tippett
            for gender, shares, colour in (("men", tippett.male, _MALE), ("women", tippett.female, _FEMALE)):
                axes.plot(
                    tippett.llr,
                    shares,
                    _STYLES[number % len(_STYLES)],
                    drawstyle="steps-pre",
                    color=colour,
                    label=f"{gender}, {name}",
                )
        axes.axvline(0, color=_INK, linewidth=0.5)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlabel="natural-log LLR", ylabel="clips with at least this LLR")

    return _svg("tippett", "Tippett plot: share of men's and of women's clips with at least each LLR", draw)


def reliability_plot(series: Series) -> str:
    """Draw the share of men against the P(male) that was told; the larger a dot, the more clips it stands for."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.5)
        for number, (name, curves) in enumerate(series):
            colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number % len(_STYLES)]
            bins = curves.reliability
            axes.plot(bins.told, bins.observed, style, color=colour, label=name)
            axes.scatter(bins.told, bins.observed, 10 + 150 * bins.weight, color=colour, alpha=0.6)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set(xlabel="P(male) as told, at even priors", ylabel="share of men, genders weighing the same")

    return _svg("reliability", "Reliability curve: share of men against the probability that was told", draw)


def histogram_plot(series: Series) -> str:
    """Draw the distribution of the LLRs of both genders, of the first of the series alone."""

    def draw(axes: Axes) -> None:
        name, curves = series[0]
        histogram = curves.histogram
        for gender, shares, colour in (("men", histogram.male, _MALE), ("women", histogram.female, _FEMALE)):
            axes.stairs(shares, histogram.edges, fill=True, color=colour, alpha=0.3)
            style = "-" if gender == "men" else "--"
            axes.stairs(shares, histogram.edges, color=colour, linestyle=style, label=f"{gender}, {name}")
        axes.axvline(0, color=_INK, linewidth=0.5)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlabel="natural-log LLR", ylabel="share of the gender's clips")

    return _svg("histogram", "Histogram of the LLRs of men's and of women's clips", draw)


def with_own_colours(svg: str) -> str:
    """Return a plot for a file of its own, where no page gives it the colours of text and background."""
    start = svg.index(">") + 1
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg[:start]}{_OWN_STYLE}{svg[start:]}'


def renamed(svg: str, prefix: str) -> str:
    """Return a plot whose ids begin with a prefix, so that several can stand in one page.

    Example:
        >>> renamed('<g id="a"/><use href="#a"/>', "p1")
        '<g id="p1-a"/><use href="#p1-a"/>'
    """
    return re.sub(r'(\bid="|url\(#|href="#|aria-labelledby=")', rf"\g<1>{prefix}-", svg)


def _svg(kind: str, title: str, draw: Callable[[Axes], None]) -> str:
    text = io.StringIO()
    # The settings hold for this figure alone; a figure of its own, without pyplot, is kept by nobody else.
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(4.6, 4.0), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        for label in axes.legend(loc="best", fontsize=7).get_texts():
            label.set_parse_math(False)  # a name with two dollars is no formula
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    svg = text.getvalue().replace(_INK, "currentColor")
    # Without the XML prolog, which a page must not hold.
    body = svg[svg.index("<svg") + len("<svg") :]
    start = body.index(">") + 1
    name = f'<title id="{kind}-title">{html.escape(title)}</title>'
    return f'<svg role="img" aria-labelledby="{kind}-title"{body[:start]}{name}{body[start:]}'


def _between(corners: Any) -> Any:
    """Corners with points between them: the hull's straight lines are curves on normal deviates."""
    places = np.arange(len(corners))
    return np.interp(np.linspace(0, places[-1], 20 * int(places[-1]) + 1), places, corners)


def _deviate(shares: Any) -> Any:
    """Shares as normal deviates; what lies beyond the plot is drawn at its border."""
    return norm.ppf(np.clip(shares, *_DET_RANGE))

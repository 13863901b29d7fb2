"""The plot: time of a full request, and cost of a voiceprint by their number in a request."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.page_figure import page_figure
from benchmarks.serving.servers import FLOOR, SERVERS, USUAL, VOXGENDER
from matplotlib.axes import Axes

_COLOURS: Final = {VOXGENDER: "#3b82c4", USUAL: "#d9730d", FLOOR: "#8a8a8a"}
_STYLES: Final = {VOXGENDER: "o-", USUAL: "s--", FLOOR: "^:"}


def plot(results: dict[str, Any]) -> str:
    """Return the plot as an SVG file's text; the same results give the same bytes."""
    return page_figure(lambda axes: _full(axes, results), lambda axes: _sizes(axes, results))


def _full(axes: Axes, results: dict[str, Any]) -> None:
    names = [name for name in reversed(SERVERS) if name in results["servers"]]
    for name in names:
        full = next(iter(results["servers"][name]["full"].values()))
        post_ms, get_ms, sum_ms = (full[key]["median"] * 1e3 for key in ("post_s", "get_s", "sum_s"))
        axes.barh(name, post_ms, color=_COLOURS[name])
        axes.barh(name, get_ms, left=post_ms, color=_COLOURS[name], alpha=0.5)
        axes.annotate(f"{sum_ms:,.0f} ms", (post_ms + get_ms, name), (4, 0), textcoords="offset points", va="center")
    axes.margins(x=0.3)
    axes.grid(axis="x")
    axes.set(xlabel="ms: POST, and GET of the result (paler)", title=f"{results['voiceprints']:,} voiceprints")


def _sizes(axes: Axes, results: dict[str, Any]) -> None:
    for name in SERVERS:
        if name in results["servers"]:
            sizes = results["servers"][name]["sizes"]
            cost_us = [one["sum_s"]["median"] / int(size) * 1e6 for size, one in sizes.items()]
            axes.plot([int(size) for size in sizes], cost_us, _STYLES[name], color=_COLOURS[name], label=name)
    axes.set(xscale="log", yscale="log", xlabel="voiceprints in a request", ylabel="µs a voiceprint")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.7g}")
    axes.grid()
    axes.legend(fontsize=8)

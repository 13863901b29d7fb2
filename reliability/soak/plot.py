"""The figure: memory, and times of visits, over the time of the load."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from benchmarks.page_figure import page_figure
from matplotlib.axes import Axes

from reliability import ROOT
from reliability.soak.figures import MIB, loaded
from reliability.soak.trial import Record

PATH: Final = ROOT / "docs" / "soak.svg"
POINTS: Final = 120
"""Of each line."""
MEMORY: Final = (
    ("all processes", "all_bytes", "#3b82c4", "-"),
    ("main process", "main_bytes", "#d9730d", "--"),
    ("store", "store_bytes", "#8a8a8a", ":"),
)
KINDS: Final = (
    ("1,000 voiceprints", "#d9730d", "--"),
    ("recording", "#3b82c4", "-"),
    ("1 to 16 voiceprints", "#8a8a8a", ":"),
)


def plot(record: Record) -> str:
    """Return the figure as an SVG file's text."""
    return page_figure(
        lambda axes: _memory(axes, record), lambda axes: _times(axes, record), axes_grid=True, legend_fontsize=8
    )


def write(record: Record, path: Path = PATH) -> None:
    """Write the figure to where the page shows it."""
    path.write_text(plot(record), encoding="utf-8")


def _memory(axes: Axes, record: Record) -> None:
    samples = loaded(record)
    at_min = [(sample.at_s - record.began_s) / 60 for sample in samples]
    for name, attribute, colour, style in MEMORY:
        sizes = [getattr(sample, attribute) / MIB for sample in samples]
        axes.plot(*_thinned(at_min, sizes, record.plan.seconds / 60), style, color=colour, label=name)
    axes.set(xlabel="minutes", ylabel="MiB", title="Memory, and size of the store")
    axes.set_ylim(bottom=0)
    axes.legend()


def _times(axes: Axes, record: Record) -> None:
    for name, colour, style in KINDS:
        if times := record.load.times.get(name):
            at_min = [at_s / 60 for at_s in times.at_s]
            took_ms = [1000 * took_s for took_s in times.took_s]
            axes.plot(*_thinned(at_min, took_ms, record.plan.seconds / 60), style, color=colour, label=name)
    axes.set(yscale="log", xlabel="minutes", ylabel="ms from the planned moment", title="Time of a visit, median")
    axes.yaxis.set_major_formatter("{x:,.7g}")
    axes.legend()


def _thinned(at: list[float], values: list[float], end: float) -> tuple[list[float], list[float]]:
    """Return the medians of equal spans, so that the figure stays small."""
    place = np.minimum((np.array(at) / end * POINTS).astype(int), POINTS - 1)
    taken = np.array(values)
    spans = [one for one in range(POINTS) if (place == one).any()]
    return [(one + 0.5) * end / POINTS for one in spans], [float(np.median(taken[place == one])) for one in spans]

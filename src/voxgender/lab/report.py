"""The report of an evaluation: a folder with a page, a Markdown text with plots beside it, and all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import InputError
from voxgender.lab.curves import Curves
from voxgender.lab.evaluation import Evaluation, Row, View, worst
from voxgender.lab.metrics import TITLES
from voxgender.lab.plots import (
    Series,
    det_plot,
    histogram_plot,
    reliability_plot,
    renamed,
    tippett_plot,
    with_own_colours,
)
from voxgender.lab.template import template

FORMAT: Final = 1
"""Format of ``report.json``."""
_DIGITS: Final = 6
_PLOTS: Final = {
    "det": (
        det_plot,
        "DET: both errors at every threshold, on normal deviates. Thin: as counted; bold: the convex hull of the ROC. "
        "The EER is where the bold line meets the diagonal; lower left is better.",
    ),
    "tippett": (
        tippett_plot,
        "Tippett: share of clips with at least each LLR. Men right of 0 and women left of 0 are right; the further "
        "apart the lines, the stronger the evidence.",
    ),
    "reliability": (
        reliability_plot,
        "Reliability: share of men where P(male) was told so high. On the diagonal, probabilities mean what they say; "
        "a dot's area is the share of clips.",
    ),
    "histogram": (histogram_plot, "Histogram of the LLRs. What lies on the wrong side of 0 is an error."),
}


def write_report(folder: Path, about: Mapping[str, str], evaluations: Sequence[Evaluation]) -> None:
    """Write ``report.html``, ``report.md`` with its figures, and ``report.json``; the same input gives the same bytes.

    Args:
        folder: Where to; it is made if it is missing.
        about: What was evaluated on what, as names and texts.
        evaluations: One for each condition, the main one first.

    Raises:
        InputError: Where it cannot be written.
    """
    told = as_json(about, evaluations)
    plots = {f"{number}-{name}": svg for number, name, svg in _plots(evaluations)}
    captions = {name: caption for name, (_, caption) in _PLOTS.items()}
    pages = {
        name: template(name).render(report=told, plots=plots, captions=captions)
        for name in ("report.html", "report.md")
    }
    files = pages | {"report.json": json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"}
    files |= {f"{name}.svg": with_own_colours(svg) for name, svg in plots.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"the report cannot be written to {folder}: {error.strerror}") from None


def read_report(path: Path) -> dict[str, Any]:
    """Return a ``report.json``, as it was written.

    Raises:
        InputError: Where it cannot be read or is no report of this format.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as a report: {error}") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT or not told.get("conditions"):
        raise InputError(f"{path} is no report of format {FORMAT}; make one with: voxgender evaluate --output FOLDER")
    return told


def as_json(about: Mapping[str, str], evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return all figures of a report as JSON values; None where there is nothing to tell."""
    return {
        "format": FORMAT,
        "about": dict(about),
        "conditions": [
            {
                "name": evaluation.condition.name,
                "clips": len(evaluation.condition.clips),
                "no_speech": evaluation.condition.no_speech,
                "contradicted": None if len(evaluation.views) == 1 else int(evaluation.condition.contradicted.sum()),
                "views": [_view(view) for view in evaluation.views],
            }
            for evaluation in evaluations
        ],
    }


def _view(view: View) -> dict[str, Any]:
    lowest = worst(view.rows, "corpus", "language")
    return {
        "labels": view.labels,
        "rows": [_row(row) for row in view.rows],
        "worst": None if lowest is None else {"group": lowest.group, "name": lowest.name},
        "thresholds": [asdict(threshold) for threshold in view.thresholds],
        "curves": None if view.curves is None else _curves(view.curves),
    }


def _row(row: Row) -> dict[str, Any]:
    told = row.figures
    counts = {name: getattr(told, name) for name in ("clips", "speakers", "errors", "sure_errors")}
    return {"group": row.group, "name": row.name, **counts, "figures": {name: _value(row, name) for name in TITLES}}


def _value(row: Row, name: str) -> dict[str, float] | None:
    value, around = getattr(row.figures, name), row.intervals.get(name)
    if value is None:
        return None
    return {"value": value} if around is None else {"value": value, "low": around.low, "high": around.high}


def _curves(curves: Curves) -> dict[str, Any]:
    return {
        field.name: {part.name: _numbers(getattr(curve, part.name)) for part in fields(curve)}
        for field in fields(curves)
        for curve in [getattr(curves, field.name)]
    }


def _numbers(values: NDArray[Any]) -> list[float]:
    # Rounded: no curve is known more exactly, and the file is half as long.
    rounded: list[float] = np.round(values, _DIGITS).tolist()
    return rounded


def _plots(evaluations: Sequence[Evaluation]) -> list[tuple[int, str, str]]:
    """Number of the condition (0 for all in one plot), kind of plot, and the plot, its ids unique."""
    drawn: list[tuple[int, str, str]] = []
    if len(evaluations) > 1:
        together = [(each.condition.name, _main(each).curves) for each in evaluations]
        drawn += _drawn(0, ["det"], together)
    for number, evaluation in enumerate(evaluations, start=1):
        views = [(view.labels, view.curves) for view in (_main(evaluation), *evaluation.views[:-1])]
        drawn += _drawn(number, list(_PLOTS), views)
    return drawn


def _drawn(number: int, kinds: list[str], series: Sequence[tuple[str, Curves | None]]) -> list[tuple[int, str, str]]:
    there: Series = [(name, curves) for name, curves in series if curves is not None]
    return [(number, kind, renamed(_PLOTS[kind][0](there), f"p{number}-{kind}")) for kind in kinds if there]


def _main(evaluation: Evaluation) -> View:
    """The view that the plots show first: without the labels that pitch contradicts, where it is known."""
    return evaluation.views[-1]

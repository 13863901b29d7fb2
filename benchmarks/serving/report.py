"""What a run leaves: tables on the terminal, results as JSON, the plot, and the page with the tables filled in."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Final

from benchmarks.generated_page import with_figures
from benchmarks.serving import ROOT
from benchmarks.serving.tables import machine_line, tables
from rich.console import Console
from rich.table import Table as RichTable

RESULTS: Final = Path(__file__).with_name("results.json")
PAGE: Final = ROOT / "docs" / "performance.md"
PLOT: Final = ROOT / "docs" / "performance.svg"
BEGIN: Final = "<!-- figures: begin; written by python -m benchmarks.serving -->"
END: Final = "<!-- figures: end -->"


def show(results: dict[str, Any], console: Console) -> None:
    """Print machine and tables."""
    console.print(machine_line(results), highlight=False)
    for table in tables(results):
        drawn = RichTable(title=table.title, caption=table.note or None, title_justify="left")
        for number, column in enumerate(table.columns):
            drawn.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)


def write(results: dict[str, Any]) -> list[Path]:
    """Write results, page and plot; return what was written. Without matplotlib the plot stays as it was."""
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    if importlib.util.find_spec("matplotlib") is None:
        return [RESULTS, PAGE]
    from benchmarks.serving.plot import plot

    PLOT.write_text(plot(results), encoding="utf-8")
    return [RESULTS, PAGE, PLOT]


def page(text: str, results: dict[str, Any]) -> str:
    """Return the page with the figures between its two markers.

    Raises:
        ValueError: Where a marker is missing.
    """
    parts = [
        f"Measured on {results['measured']}: {machine_line(results)}",
        *(one.markdown() for one in tables(results)),
    ]
    return with_figures(text, BEGIN, END, "\n".join([parts[0], "", *parts[1:], ""]))

"""Lines of CSV (RFC 4180) whose texts no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_ACTIVE: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What the texts begin with that spreadsheets run (OWASP, "CSV Injection")."""
_QUOTE: Final = "'"
_END: Final = "\r\n"


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    r"""Return rows as lines.

    A text that a spreadsheet would run, and one that begins with an apostrophe, gets an apostrophe in front, so that it
    is taken for text. A program gets the text back by removing one apostrophe wherever a cell begins with one. Numbers
    stay as they are.

    Args:
        rows: Cells; None is empty.

    Example:
        >>> csv_lines([["=1+1", -0.5, None, "a,b", "'tis"]])
        '\'=1+1,-0.5,,"a,b",\'\'tis\n'
    """
    return "".join(_line(row) for row in rows)


def _line(row: Sequence[object]) -> str:
    text = io.StringIO()
    # A carriage return, too, is an end of a line for some; the writer quotes what its own end of a line has.
    csv.writer(text, lineterminator=_END).writerow([_cell(value) for value in row])
    return text.getvalue().removesuffix(_END) + "\n"


def _cell(value: object) -> object:
    return f"{_QUOTE}{value}" if isinstance(value, str) and value.startswith((*_ACTIVE, _QUOTE)) else value

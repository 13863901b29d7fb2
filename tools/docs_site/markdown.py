"""Markdown that is written by a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a table, or nothing where it has no rows.

    Example:
        >>> print(table(["key", "value"], [["a", "b|c"]]))
        | key | value |
        |---|---|
        | a | b\|c |
        <BLANKLINE>
    """
    lines = [_line(row) for row in rows]
    if not lines:
        return ""
    return "\n".join([_line(head), "|" + "---|" * len(head), *lines, ""])


def sentence(text: str) -> str:
    """Return a text on one line; code in it is marked as Markdown does."""
    return " ".join(text.replace("``", "`").split())


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(sentence(cell).replace("|", r"\|") for cell in cells) + " |"

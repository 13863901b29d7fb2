"""A page whose figures a benchmark writes, between two lines of it."""

from __future__ import annotations


def with_figures(page: str, begin: str, end: str, figures: str) -> str:
    """Return the page with the figures between its two markers, after an empty line.

    Args:
        page: As it was.
        begin: The line before the figures.
        end: The line after them.
        figures: With the end of their last line.

    Raises:
        ValueError: Where a marker is missing.
    """
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no lines {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{figures}{end}{after}"

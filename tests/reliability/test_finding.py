"""What a trial found gets into the page, and nothing else of the page changes."""

from __future__ import annotations

import doctest

import pytest
import reliability.finding
from reliability.finding import BEGIN, END, PAGE, Finding, with_finding

TABLE = f"""# A page

{BEGIN}

| what | how often |
|---|---|
| a kill | 1 time | lost | `make chaos` |
| load | once | well | `x` |

{END}

More.
"""


def test_a_finding_takes_the_place_of_the_one_of_its_name() -> None:
    new = with_finding(TABLE, Finding("a kill", "100 times", "nothing was lost", "make chaos"))
    assert new == TABLE.replace("1 time | lost", "100 times | nothing was lost")


def test_a_finding_of_a_new_name_comes_after_all_others() -> None:
    new = with_finding(TABLE, Finding("a full disk", "once", "503 | then well", "make chaos"))
    row = "| a full disk | once | 503 \\| then well | `make chaos` |\n"
    assert new == TABLE.replace(f"\n{END}", f"{row}\n{END}")


def test_a_page_without_a_table_is_told() -> None:
    with pytest.raises(ValueError, match="has no lines"):
        with_finding("# A page\n", Finding("a", "b", "c", "d"))


def test_the_page_has_its_table() -> None:
    with_finding(PAGE.read_text(encoding="utf-8"), Finding("a", "b", "c", "d"))


def test_examples_are_true() -> None:
    assert doctest.testmod(reliability.finding).failed == 0

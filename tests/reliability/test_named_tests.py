"""The page of reliability names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from reliability.finding import PAGE

TESTS = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"`([a-z_/]+\.py)::(\w+)`")


def test_each_file_of_tests_that_the_page_names_exists() -> None:
    files = re.findall(r"`([a-z_/]+/test_[a-z_]+\.py)", PAGE.read_text(encoding="utf-8"))
    assert len(files) > 50
    assert [file for file in files if not (TESTS / file).is_file()] == []


def test_each_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert named
    assert [(file, name) for file, name in named if f"def {name}(" not in (TESTS / file).read_text()] == []

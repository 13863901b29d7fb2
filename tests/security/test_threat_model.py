"""Each row of the threat model names a test, and each of these tests exists and is run by default."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
HEAD = ["threat", "what stands against it", "what remains", "test"]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not set(line) <= set("|- ")
]
THREATS = [row for row in ROWS if row != HEAD]


def named_tests(path: Path) -> dict[str, ast.FunctionDef]:
    """The tests of a file, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    places = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test"))]
    return {
        node.name: node
        for place in places
        for node in place.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_each_table_has_the_same_columns_and_no_threat_stands_twice() -> None:
    assert ROWS.count(HEAD) >= 5
    assert len(THREATS) > 30
    assert {len(row) for row in THREATS} == {4}
    assert len({row[0] for row in THREATS}) == len(THREATS)
    assert all(row[0] and row[1] for row in THREATS)


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0])
def test_each_threat_names_tests_that_exist_and_are_run(row: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+/test_\w+\.py)::(test_\w+)`", row[3])
    assert named
    assert row[3] == ", ".join(f"`{path}::{name}`" for path, name in named)
    for path, name in named:
        found = named_tests(ROOT / path)
        assert name in found, f"{path} has no {name}"
        marks = [ast.unparse(mark) for mark in found[name].decorator_list]
        assert not [mark for mark in marks if "slow" in mark or mark.startswith("pytest.mark.skip(")]

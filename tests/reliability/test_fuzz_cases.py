"""What fuzzing has found once is not there again: each input keeps its target's promise."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

CASES = sorted(Path(__file__).with_name("fuzz_cases").glob("*/*"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}: {case.name}")
def test_an_input_that_was_found_keeps_the_promise_of_its_reader(case: Path) -> None:
    importlib.import_module(f"reliability.fuzz.{case.parent.name}").TARGET.check(case.read_bytes())

"""The checks for known mistakes run over all of the source, and who is let off has a reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_ruff_s_security_rules_hold_in_all_of_the_source() -> None:
    rules = PROJECT["ruff"]["lint"]
    assert {"S", "BLE"} <= set(rules["select"])
    assert not [rule for rule in rules["ignore"] if rule.startswith(("S", "BLE"))]
    assert not [place for place in rules["per-file-ignores"] if place.startswith(("src", "*"))]
    assert "exclude" not in PROJECT["ruff"]


def test_bandit_runs_with_the_linters_over_all_of_the_source() -> None:
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    assert re.search(r"bandit .*--configfile pyproject\.toml src$", lint, re.MULTILINE)
    assert set(PROJECT["bandit"]) == {"skips"}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for skip in PROJECT["bandit"]["skips"]:
        assert re.search(rf'"{skip}", # \S', text), skip


def test_each_place_that_is_let_off_a_security_rule_says_why() -> None:
    found = 0
    for path in sorted((ROOT / "src").rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not re.search(r"#\s*nosec", line), f"{path}:{number}"
            if match := re.search(r"# noqa(?P<codes>:[ A-Z0-9,]+)?(?P<reason>.*)", line):
                assert match["codes"], f"{path}:{number} lets off all rules"
                if re.search(r"\b(S\d|BLE)", match["codes"]):
                    assert re.match(r"- \S", match["reason"]), f"{path}:{number}"
                    found += 1
    assert found > 10

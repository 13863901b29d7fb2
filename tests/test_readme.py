"""The README tells the truth: its settings are the settings, its files and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from voxgender.app.settings import Settings
from voxgender.cli import COMMANDS

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_names_each_setting_with_its_default_and_nothing_else() -> None:
    told = dict(re.findall(r"^\| `VOXGENDER_(\w+)` \| `?([^|`]*)`? \|", README, flags=re.MULTILINE))
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert told == {name: "none" if default is None else f"{default}" for name, default in defaults.items()}


def test_each_linked_file_exists() -> None:
    root = Path(__file__).resolve().parents[1]
    links = re.findall(r"\]\(((?!http)[^)#]+)", README)
    assert links
    assert [link for link in links if not (root / link).exists()] == []


def test_each_command_that_is_named_exists() -> None:
    named = set(re.findall(r"bin/voxgender (\w+)", README))
    assert named
    assert named <= set(COMMANDS)

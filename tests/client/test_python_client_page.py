"""The page about the Python client tells of all that can go wrong; its programs run in tests/docs."""

from __future__ import annotations

import re
from pathlib import Path

from voxgender import client

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "python-client.md").read_text(encoding="utf-8")


def test_the_page_tells_of_every_class_of_error() -> None:
    kinds = {name for name in client.__all__ if name.endswith("Error")} - {"ServiceError"}
    assert set(re.findall(r"^\| `(\w+Error)` \|", PAGE, flags=re.MULTILINE)) == kinds

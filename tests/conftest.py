"""What several tests need: the labelled human speech, where this checkout has it beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

SPEECH_DIR = Path(__file__).resolve().parents[2] / "shared" / "speech"


@pytest.fixture(scope="session")
def speech_dir() -> Path:
    """The folder of labelled human speech; it is not part of the repository, so its tests skip without it."""
    if not (SPEECH_DIR / "manifest.csv").is_file():
        pytest.skip(f"no labelled human speech at {SPEECH_DIR}")
    return SPEECH_DIR

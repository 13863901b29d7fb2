"""What several tests need: a PostgreSQL, and the labelled human speech, where this checkout has it beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from postgres import postgres_server as postgres_server
from postgres import postgres_url as postgres_url
from postgres import store_url as store_url
from store_engines import engine as engine
from store_engines import new_engine as new_engine

SPEECH_DIR = Path(__file__).resolve().parents[2] / "shared" / "speech"


@pytest.fixture(scope="session")
def speech_dir() -> Path:
    """The folder of labelled human speech; it is not part of the repository, so its tests skip without it."""
    if not (SPEECH_DIR / "manifest.csv").is_file():
        pytest.skip(f"no labelled human speech at {SPEECH_DIR}")
    return SPEECH_DIR

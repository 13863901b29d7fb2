"""What a server has charged and stored, read from its files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path


def licence_of(folder: Path, voiceprints: int) -> Path:
    """A licence for so many voiceprints, and not one more."""
    path = folder / "licence.json"
    capacity = {"period": "total", "voiceprints": voiceprints}
    path.write_text(json.dumps({"licensee": "ACME", "valid_until": "2100-01-01T00:00:00Z", "capacity": capacity}))
    return path


def stored(folder: Path) -> tuple[int, float]:
    """How many tasks are in a store, and what they were charged."""
    with sqlite3.connect(folder / "tasks.db") as store:
        (tasks,) = store.execute("SELECT count(*) FROM task").fetchone()
        (charged,) = store.execute("SELECT total(used) FROM licence_use WHERE resource = 'voiceprints'").fetchone()
    store.close()
    return tasks, charged

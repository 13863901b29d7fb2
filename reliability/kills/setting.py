"""What a trial is set up with: a licence, keys, and a place for temporary files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from voxgender.app.assembly import store_of
from voxgender.app.key import ApiKey
from voxgender.app.licence import Capacity
from voxgender.app.settings import load_settings

CAPACITY: Final = Capacity("total", voiceprints=10**9, audio_s=1e9)
"""What each key may use, and the licence: far more than is used."""


@contextlib.contextmanager
def temporary_files(folder: Path) -> Iterator[None]:
    """Have servers put their temporary files where they can be counted."""
    folder.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before


def licence_in(folder: Path) -> Path:
    """Write a licence that counts what keys count."""
    path = folder / "licence.json"
    capacity = {"period": CAPACITY.period, "voiceprints": CAPACITY.voiceprints, "audio_s": CAPACITY.audio_s}
    path.write_text(json.dumps({"licensee": "A", "valid_until": "2100-01-01T00:00:00Z", "capacity": capacity}))
    return path


def keep_keys(keys: list[ApiKey], store_url: str) -> None:
    """Make the store with these keys."""

    async def keep() -> None:
        store = store_of(load_settings(store_url=store_url))
        await store.open()
        for key in keys:
            await store.add_key(key)
        await store.close()

    asyncio.run(keep())

"""Which store and which spool the settings describe."""

from __future__ import annotations

from voxgender.app.settings import Settings
from voxgender.app.spool import Spool
from voxgender.app.sqlite_store import SqliteStore
from voxgender.app.store import Store


def store_of(settings: Settings) -> Store:
    """Return the store that the settings describe; it is not open yet."""
    return SqliteStore(settings.sqlite_path, settings.storage_capacity_bytes, settings.hold_s)


def spool_of(settings: Settings) -> Spool:
    """Return the spool that the settings describe; it is not open yet."""
    path = settings.sqlite_path
    folder = settings.spool_dir or path.with_name(f"{path.name}-media")
    return Spool(folder, settings.spool_capacity_bytes, settings.max_file_bytes)

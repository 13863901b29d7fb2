"""What the settings describe: store, spool, scorer and licence."""

from __future__ import annotations

from pathlib import Path

from voxgender.app.licence import Licence, read_licence
from voxgender.app.postgres_url import is_postgres, without_postgres
from voxgender.app.settings import Settings
from voxgender.app.spool import Spool
from voxgender.app.sqlite_store import SqliteStore
from voxgender.app.store import Store
from voxgender.core.errors import ModelError, SettingsError
from voxgender.core.scorer import Scorer
from voxgender.files.heads import load_scorer


def store_of(settings: Settings) -> Store:
    """Return the store that the settings describe; it is not open yet.

    Raises:
        DependencyError: Where it needs what is not installed.
        SettingsError: Where its URL cannot be read.
    """
    if not is_postgres(settings.store_url):
        return SqliteStore(settings.sqlite_path, settings.storage_capacity_bytes, settings.hold_s)
    try:
        # Only here, because it takes half a second and an extra.
        from voxgender.app.postgres_store import PostgresStore
    except ImportError as error:
        raise without_postgres(settings.store_url, error) from None
    return PostgresStore(settings.store_url, settings.storage_capacity_bytes, settings.hold_s)


def scorer_of(settings: Settings) -> Scorer:
    """Return the scorer of the model that the settings name.

    Raises:
        SettingsError: Where the model cannot be used.
    """
    try:
        return load_scorer(settings.model)
    except ModelError as error:
        raise SettingsError(f"VOXGENDER_MODEL (--model) is {settings.model}: {error}") from None


def licence_of(settings: Settings) -> Licence | None:
    """Return the licence that the settings name; None where they name none.

    Raises:
        SettingsError: Where its file cannot be used.
    """
    return read_licence(settings.licence_file) if settings.licence_file else None


def spool_of(settings: Settings) -> Spool:
    """Return the spool that the settings describe; it is not open yet.

    Raises:
        SettingsError: Where hosts share a store and no folder is named that they share as well.
    """
    return Spool(spool_folder(settings), settings.spool_capacity_bytes, settings.max_file_bytes)


def spool_folder(settings: Settings) -> Path:
    """Return where media lie.

    Raises:
        SettingsError: Where hosts share a store and no folder is named that they share as well.
    """
    if settings.spool_dir is not None:
        return settings.spool_dir
    if is_postgres(settings.store_url):
        raise SettingsError(
            "VOXGENDER_SPOOL_DIR (--spool-dir) is not set: with a store in PostgreSQL name the folder for uploaded "
            "media; all hosts must share it"
        )
    path = settings.sqlite_path
    return path.with_name(f"{path.name}-media")

"""The tables of a SQLite store, and the way from each earlier version of them to the present one."""

from __future__ import annotations

import sqlite3
from typing import Final

APPLICATION_ID: Final = 0x766F7867
"""``voxg``: tells our files from other people's SQLite files, which must not be touched."""

_VERSIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE task (
            task_id BLOB PRIMARY KEY,
            state TEXT NOT NULL,
            created_s REAL NOT NULL,
            expires_s REAL NOT NULL,
            male_prior REAL NOT NULL,
            min_probability REAL NOT NULL,
            stored_bytes INTEGER NOT NULL,
            result BLOB NOT NULL
        )""",
        "CREATE INDEX task_expires ON task (expires_s)",
        "CREATE TABLE total (name TEXT PRIMARY KEY, amount INTEGER NOT NULL)",
        "INSERT INTO total VALUES ('tasks', 0), ('stored_bytes', 0)",
        """CREATE TABLE licence_use (
            period TEXT NOT NULL,
            resource TEXT NOT NULL,
            used REAL NOT NULL,
            PRIMARY KEY (period, resource)
        )""",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
    (
        "ALTER TABLE task ADD COLUMN technology TEXT NOT NULL DEFAULT 'gender-identification-voiceprints'",
        "ALTER TABLE task ADD COLUMN progress REAL NOT NULL DEFAULT 1",
        # Jobs wait in the order of their places. Nobody holds a job whose held_until_s has passed.
        """CREATE TABLE job (
            place INTEGER PRIMARY KEY AUTOINCREMENT,
            task_id BLOB NOT NULL UNIQUE,
            options TEXT NOT NULL,
            tries INTEGER NOT NULL,
            hold TEXT NOT NULL,
            held_until_s REAL NOT NULL
        )""",
        "CREATE TABLE identity (store_id TEXT NOT NULL)",
        "INSERT INTO identity VALUES (lower(hex(randomblob(16))))",
    ),
    (
        "CREATE TABLE api_key (key_id TEXT PRIMARY KEY, about TEXT NOT NULL)",
        "ALTER TABLE task ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE task ADD COLUMN submission BLOB",
        "ALTER TABLE task ADD COLUMN fingerprint BLOB",
        "CREATE UNIQUE INDEX task_submission ON task (submission) WHERE submission IS NOT NULL",
    ),
)
"""What makes each version of the one before. A new version is added at the end; what is here stays as it is."""

SCHEMA_VERSION: Final = len(_VERSIONS)


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in a new file, or bring those of an earlier version to the present one.

    Raises:
        sqlite3.Error: Where the file is none of ours, or one of a later version.
    """
    # It only has an effect before the first table, and lets expired results give their pages back to the file system.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # One transaction, so that of several processes that start at once on a new file one creates and the others see it.
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if objects and application != APPLICATION_ID:
            raise sqlite3.DatabaseError("it is a database of another program")
        if version > SCHEMA_VERSION:
            reason = f"it was written by a later voxgender (schema {version}, this is {SCHEMA_VERSION})"
            raise sqlite3.DatabaseError(reason)
        for statements in _VERSIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    connection.execute("PRAGMA journal_mode = WAL")

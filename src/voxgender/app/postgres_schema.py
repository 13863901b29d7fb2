"""The tables of a PostgreSQL store, and the way from each earlier version of them to the present one."""

from __future__ import annotations

import importlib.metadata
import re
from typing import Final, LiteralString

from psycopg import AsyncConnection

from voxgender.core.errors import SettingsError

SCHEMA: Final = "voxgender"
"""PostgreSQL's schema with all our tables and the queue's, so that other programs may use the same database."""
SHARDS: Final = 16
"""Rows that the totals are spread over: transactions that change the same row wait for each other until the commit."""

_LOCK: Final = 0x766F7867656E6472
"""``voxgendr``: held while the tables are made."""

_CREATE_VERSION: Final = """CREATE TABLE voxgender.version (
    tables integer NOT NULL,
    queue text NOT NULL,
    store_id uuid NOT NULL DEFAULT gen_random_uuid()
)"""
_VERSIONS: Final[tuple[tuple[LiteralString, ...], ...]] = (
    (
        # A task that is not finished has a job in the queue, options, and a hold while somebody has claimed it.
        """CREATE TABLE voxgender.task (
            task_id uuid PRIMARY KEY,
            technology text NOT NULL,
            state text NOT NULL,
            created_s double precision NOT NULL,
            expires_s double precision NOT NULL,
            male_prior double precision NOT NULL,
            min_probability double precision NOT NULL,
            progress double precision NOT NULL,
            stored_bytes bigint NOT NULL,
            result bytea NOT NULL,
            job_id bigint,
            options text,
            tries integer NOT NULL DEFAULT 0,
            hold text
        )""",
        # Results do not become smaller by compression, and are read whole.
        "ALTER TABLE voxgender.task ALTER COLUMN result SET STORAGE EXTERNAL",
        "CREATE INDEX task_expires ON voxgender.task (expires_s) WHERE expires_s < 'infinity'",
        """CREATE TABLE voxgender.total (
            shard integer PRIMARY KEY,
            tasks bigint NOT NULL,
            stored_bytes bigint NOT NULL
        ) WITH (fillfactor = 50)""",
        "INSERT INTO voxgender.total SELECT shard, 0, 0 FROM generate_series(0, 15) AS shard",
        """CREATE TABLE voxgender.licence_use (
            period text NOT NULL,
            resource text NOT NULL,
            used double precision NOT NULL,
            PRIMARY KEY (period, resource)
        ) WITH (fillfactor = 50)""",
        # Requests that were let in; not worth a wait for the disk, and empty after a crash of the server.
        """CREATE UNLOGGED TABLE voxgender.hit (
            window_id bytea NOT NULL,
            at_s double precision NOT NULL,
            number bigint NOT NULL,
            until_s double precision NOT NULL,
            PRIMARY KEY (window_id, at_s, number)
        )""",
        "CREATE INDEX hit_until ON voxgender.hit (until_s)",
    ),
    (
        """CREATE TABLE voxgender.api_key (
            place bigint GENERATED ALWAYS AS IDENTITY,
            key_id text PRIMARY KEY,
            about text NOT NULL
        )""",
        "ALTER TABLE voxgender.task ADD COLUMN owner text NOT NULL DEFAULT ''",
        "ALTER TABLE voxgender.task ADD COLUMN submission bytea",
        "ALTER TABLE voxgender.task ADD COLUMN fingerprint bytea",
        "CREATE UNIQUE INDEX task_submission ON voxgender.task (submission) WHERE submission IS NOT NULL",
    ),
)
"""What makes each version of the one before. A new version is added at the end; what is here stays as it is."""

SCHEMA_VERSION: Final = len(_VERSIONS)


async def prepare(connection: AsyncConnection) -> str:
    """Create the tables, ours and the queue's, or bring those of an earlier version to the present one.

    Whoever comes at the same time waits and then finds them made.

    Args:
        connection: In autocommit mode; it is closed afterwards, which lets go of the lock.

    Returns:
        What tells this store from all others.

    Raises:
        SettingsError: Where the tables are another program's, or those of a later version; it tells the reason alone.
        psycopg.Error: Where the server does not work, or the role may not create tables.
    """
    from voxgender.app.postgres_queue import queue_on

    await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    version, queue = await _versions(connection)
    if version > SCHEMA_VERSION:
        raise SettingsError(f"it was written by a later voxgender (schema {version}, this is {SCHEMA_VERSION})")
    here = importlib.metadata.version("pgqueuer")
    async with connection.transaction():
        for statements in _VERSIONS[version:]:
            for statement in statements:
                await connection.execute(statement)
        if version == 0:
            await queue_on(connection).install(create_schema=False)
            await connection.execute(
                "INSERT INTO voxgender.version (tables, queue) VALUES (%s, %s)", [SCHEMA_VERSION, here]
            )
        else:
            await connection.execute("UPDATE voxgender.version SET tables = %s", [SCHEMA_VERSION])
    # An earlier replica that starts while a later one runs does not take the queue's tables back.
    if version and _numbers(queue) < _numbers(here):
        # Not in a transaction: some of its steps need what others have committed.
        await queue_on(connection).apply_upgrade()
        await connection.execute("UPDATE voxgender.version SET queue = %s", [here])
    row = await (await connection.execute("SELECT store_id FROM voxgender.version")).fetchone()
    return row[0].hex if row else ""


async def _versions(connection: AsyncConnection) -> tuple[int, str]:
    """Return the version of our tables and of the queue's; 0 and nothing where there are none yet."""
    async with connection.transaction():
        # Asked first, because whoever may not create schemas may still use one that was made for them.
        cursor = await connection.execute("SELECT to_regnamespace('voxgender'), to_regclass('voxgender.version')")
        schema, versions = await cursor.fetchone() or (None, None)
        if schema is None:
            await connection.execute("CREATE SCHEMA voxgender")
        if versions is None:
            query = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'voxgender')"
            if (await (await connection.execute(query)).fetchone() or (False,))[0]:
                raise SettingsError("its schema voxgender has tables of another program")
            await connection.execute(_CREATE_VERSION)
        row = await (await connection.execute("SELECT tables, queue FROM voxgender.version")).fetchone()
    return row or (0, "")


def _numbers(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by.

    Example:
        >>> _numbers("1.10.0") > _numbers("1.9.3.dev2")
        True
    """
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])

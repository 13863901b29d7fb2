"""The connections to a PostgreSQL store: some, kept open, made again after a restart, and errors in our own words."""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from voxgender.app.postgres_schema import prepare
from voxgender.app.postgres_url import is_sound, without_password
from voxgender.core.errors import SettingsError, StorageFullError, StoreUnavailableError, VoxgenderError

OPEN_WAIT_S: Final = 10.0
"""How long a server is waited for at the start: it is often started at the same time."""
RETRY_S: Final = 1.0
"""Seconds between two tries meanwhile."""
CONNECTIONS: Final = 4
"""Most connections of one process; tasks that come at the same time share one."""
WAIT_S: Final = 5.0
"""Longest wait for a connection; then the store is unavailable."""
RECONNECT_S: Final = 2.0
"""So long a connection that was lost is tried again without being asked for, at pauses that grow."""

_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "voxgender",
    "connect_timeout": 5,
    # A host that has gone without a word is found out in some 20 s, not in two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

log = structlog.get_logger()


def connection_options(url: str) -> dict[str, Any]:
    """Return what a connection is made with: what the URL says, and defaults for what it leaves out.

    Raises:
        SettingsError: Where PostgreSQL's own rules do not let it be a URL.
    """
    with contextlib.suppress(psycopg.Error):  # whose message may repeat the password
        if is_sound(url):
            return {**_DEFAULTS, **conninfo_to_dict(url)}
    raise refusal(url, "it is no URL of PostgreSQL; special characters of a password must be percent-encoded")


def refusal(url: str, reason: str) -> SettingsError:
    """Return the error of a URL that cannot be used."""
    shown = without_password(url)
    return SettingsError(f"VOXGENDER_STORE_URL (--store-url) is {shown}, which cannot be used: {reason}")


def reason_of(error: BaseException) -> str:
    """Return what is wrong in one line; the lines after it may hold rows or hints."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class PostgresPool:
    """Lends connections. They are in autocommit mode.

    Args:
        url: Where the database is.

    Raises:
        SettingsError: Where the URL is none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._options = connection_options(url)
        self._pool: AsyncConnectionPool[AsyncConnection] | None = None
        self._checking: asyncio.Task[None] | None = None

    async def open(self) -> str:
        """Create or upgrade the tables and connect; return what tells this store from all others.

        Raises:
            SettingsError: Where the server cannot be reached for some seconds, or its tables cannot be used.
        """
        until_s = time.monotonic() + OPEN_WAIT_S
        while True:
            try:
                async with await AsyncConnection.connect("", autocommit=True, **self._options) as connection:
                    store_id = await prepare(connection)
                break
            except SettingsError as error:
                raise refusal(self._url, str(error)) from None
            except (psycopg.OperationalError, OSError) as error:
                if time.monotonic() + RETRY_S > until_s:
                    raise refusal(self._url, reason_of(error)) from None
                log.warning("the database is waited for", error=reason_of(error))
                await asyncio.sleep(RETRY_S)
            except psycopg.Error as error:
                raise refusal(self._url, reason_of(error)) from None
        self._pool = AsyncConnectionPool(
            "",
            kwargs={**self._options, "autocommit": True},
            min_size=1,
            max_size=CONNECTIONS,
            timeout=WAIT_S,
            reconnect_timeout=RECONNECT_S,
            configure=_configure,
            check=self._check,
            open=False,
            name="store",
        )
        await self._pool.open()
        return store_id

    async def close(self) -> None:
        """Close all connections; those that are lent are waited for."""
        pool, self._pool = self._pool, None
        if pool is not None:
            if self._checking is not None:
                await asyncio.wait([self._checking])
            await pool.close()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection.

        Raises:
            StorageFullError: Where the server's disk is full.
            StoreUnavailableError: Where the server does not answer, or refuses for any other reason.
        """
        if self._pool is None:
            raise StoreUnavailableError("the task store is closed")
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.Error, OSError) as error:
            raise _as_refusal(error) from None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection in a transaction, which is committed at the end and rolled back by any error.

        Raises:
            StorageFullError: Where the server's disk is full.
            StoreUnavailableError: Where the server does not answer, or refuses for any other reason. Where it went away
                during the commit, nobody knows whether it was done.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def _check(self, connection: AsyncConnection) -> None:
        """Find out whether the server has left an idle connection, and ask it only where it has said anything since."""
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN)
        if poll.poll(0):
            try:
                await AsyncConnectionPool.check_connection(connection)
            except psycopg.Error:
                # The others are as old; found out one by one, each would take longer than the one before.
                if self._pool is not None and (self._checking is None or self._checking.done()):
                    self._checking = asyncio.create_task(self._pool.check())
                raise


async def _configure(connection: AsyncConnection) -> None:
    # What a transaction has waited for it must see, whatever the server's default is.
    await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)


def _as_refusal(error: Exception) -> VoxgenderError:
    if isinstance(error, psycopg.errors.DiskFull):
        return StorageFullError("the disk of the task store is full; free some space")
    return StoreUnavailableError(f"the task store does not work: {reason_of(error)}")

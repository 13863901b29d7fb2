"""The windows of the rate limit that services on many hosts count together, in the database of their store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from voxgender.app.postgres_pool import connection_options
from voxgender.app.rate_storage import FORGET_ROWS, RateWindows, digest

CONNECT_S: Final = 2
"""Longest wait for a connection; then each process counts for itself for a while."""
BUSY_S: Final = 1.0
"""Longest wait for the others that count in the same window."""

_NOW: Final = "coalesce(%(now_s)s::float8, extract(epoch FROM clock_timestamp())::float8)"
_OLDEST_AND_NEWEST: Final = f"""
    SELECT clock.now_s, oldest.at_s, oldest.number AS first, newest.at_s AS newest_s, newest.number AS last
    FROM (SELECT {_NOW} AS now_s) AS clock
    LEFT JOIN LATERAL (
        SELECT at_s, number FROM voxgender.hit WHERE window_id = %(window)s AND at_s >= clock.now_s - %(expiry)s
        ORDER BY at_s, number LIMIT 1
    ) AS oldest ON true
    LEFT JOIN LATERAL (
        SELECT at_s, number FROM voxgender.hit WHERE window_id = %(window)s ORDER BY at_s DESC, number DESC LIMIT 1
    ) AS newest ON true
"""  # noqa: S608 - a constant
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(encode(%(window)s, 'hex'), 0))"
# A clock that was set back does not put a request before those that came earlier.
_ACQUIRE: Final = f"""
    INSERT INTO voxgender.hit (window_id, at_s, number, until_s)
    SELECT %(window)s, greatest(now_s, newest_s), coalesce(last, 0) + one, greatest(now_s, newest_s) + %(expiry)s
    FROM ({_OLDEST_AND_NEWEST}) AS found, generate_series(1, %(amount)s) AS one
    WHERE coalesce(last - first + 1, 0) + %(amount)s <= %(limit)s
"""  # noqa: S608 - a constant
_FORGET: Final = f"""
    DELETE FROM voxgender.hit WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM voxgender.hit WHERE until_s < {_NOW} ORDER BY until_s LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ))
"""  # noqa: S608 - a constant


class PostgresWindows(RateWindows[psycopg.Connection]):
    """Windows in tables that the store makes when it is opened.

    Times are of the server's clock. Services that start forget nothing: others go on.

    Args:
        url: Where the database is.
        now_s: Tells the time instead of the server's clock; for tests.

    Raises:
        SettingsError: Where the URL is none.
    """

    def __init__(self, url: str, now_s: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._options = {**connection_options(url), "connect_timeout": CONNECT_S}
        self._now_s = now_s

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What goes wrong with a server."""
        return (psycopg.Error, OSError)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` requests and return True, or return False where they do not fit.

        Args:
            key: Whose window.
            limit: Requests in one window.
            expiry: Seconds that the window is long.
            amount: Requests to count.
        """
        values = self._values(key, expiry) | {"amount": amount, "limit": limit, "most": FORGET_ROWS}
        # One message to the server. Each statement sees what was committed before it, so also what the lock waited for.
        with self._connected() as connection, connection.transaction(), connection.pipeline():
            connection.execute(_LOCK, values)
            counted = connection.execute(_ACQUIRE, values)
            connection.execute(_FORGET, values)
        return counted.rowcount > 0

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's
        """Return when the window began (UTC epoch seconds) and the requests in it; now and 0 where there are none."""
        with self._connected() as connection:
            row = connection.execute(_OLDEST_AND_NEWEST, self._values(key, expiry)).fetchone()
        if row is None or row[1] is None:
            return time.time(), 0
        now_s, began_s, first, _, last = row
        return time.time() - (now_s - began_s), last - first + 1

    def clear(self, key: str) -> None:
        """Forget a window."""
        with self._connected() as connection:
            connection.execute("DELETE FROM voxgender.hit WHERE window_id = %s", [digest(key)])

    def reset(self) -> int | None:
        """Forget all windows, those of all hosts, and return how many requests they held."""
        with self._connected() as connection:
            return connection.execute("DELETE FROM voxgender.hit").rowcount

    def check(self) -> bool:
        """Return whether the windows can be used."""
        with contextlib.suppress(psycopg.Error, OSError), self._connected() as connection:
            connection.execute("SELECT FROM voxgender.hit LIMIT 1")
            return True
        return False

    def _values(self, key: str, expiry: int) -> dict[str, Any]:
        return {"window": digest(key), "expiry": expiry, "now_s": self._now_s and self._now_s()}

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect("", autocommit=True, **self._options)
        try:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{BUSY_S}s"])
        except BaseException:
            connection.close()
            raise
        return connection

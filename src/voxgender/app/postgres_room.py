"""How full a PostgreSQL store is: totals in several rows, so that transactions seldom wait for each other's."""

from __future__ import annotations

from typing import Final

from psycopg import AsyncConnection

from voxgender.app.postgres_schema import SHARDS
from voxgender.core.errors import StorageFullError

EXPIRE_ROWS: Final = 500
"""Most tasks deleted in one transaction, so that it is short."""
MARGIN: Final = 1 / 8
"""Last part of the capacity in which transactions take turns, so that together they do not go beyond it."""
MARGIN_BYTES: Final = 64 * 1024**2
"""The least that this part is: more than all processes together store at the same moment."""

_FULL: Final = 0x766F7866
"""``voxf``: held by who stores something where the room is getting short."""
_EXPIRE: Final = """
    WITH gone AS (
        DELETE FROM voxgender.task WHERE task_id IN (
            SELECT task_id FROM voxgender.task WHERE expires_s <= extract(epoch FROM now())
            ORDER BY expires_s LIMIT %s FOR UPDATE SKIP LOCKED
        ) RETURNING stored_bytes
    )
    SELECT count(*), coalesce(sum(stored_bytes), 0)::bigint FROM gone
"""


async def totals(connection: AsyncConnection) -> tuple[int, int]:
    """Return how many tasks there are and the bytes that they take up."""
    query = "SELECT sum(tasks)::bigint, sum(stored_bytes)::bigint FROM voxgender.total"
    row = await (await connection.execute(query)).fetchone()
    return row or (0, 0)


async def count(connection: AsyncConnection, tasks: int, stored_bytes: int) -> None:
    """Add to the totals, or take away; the last step of a transaction, because others wait from here to its end."""
    change = """UPDATE voxgender.total SET tasks = tasks + %s, stored_bytes = stored_bytes + %s
        WHERE shard = pg_backend_pid() %% %s"""
    await connection.execute(change, [tasks, stored_bytes, SHARDS])


async def expire(connection: AsyncConnection) -> tuple[int, int]:
    """Delete some expired tasks that nobody else is deleting; return how many, and the bytes that they took up.

    They are still to be taken away from the totals.
    """
    row = await (await connection.execute(_EXPIRE, [EXPIRE_ROWS])).fetchone()
    return row or (0, 0)


class Room:
    """The room in the store, as a transaction sees it that stores tasks.

    Args:
        connection: In the transaction.
        capacity_bytes: The most that tasks and results may take up.
        used_bytes: What they take up.
    """

    def __init__(self, connection: AsyncConnection, capacity_bytes: int, used_bytes: int) -> None:
        self._connection = connection
        self._capacity_bytes = capacity_bytes
        self._used_bytes = used_bytes
        self._tasks = 0
        self._bytes = 0

    @classmethod
    async def look(cls, connection: AsyncConnection, capacity_bytes: int, wanted_bytes: int) -> Room:
        """Look how much there is, for some tasks of so many bytes together.

        Where that would come near the capacity, others that store something wait until this transaction ends.
        """
        _, used_bytes = await totals(connection)
        margin_bytes = max(MARGIN * capacity_bytes, MARGIN_BYTES)
        if used_bytes + wanted_bytes > capacity_bytes - margin_bytes:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_FULL])
            _, used_bytes = await totals(connection)
        return cls(connection, capacity_bytes, used_bytes)

    async def check(self, wanted_bytes: int) -> None:
        """Check that a task of so many bytes fits; what has expired goes first.

        Raises:
            StorageFullError: Where it does not fit.
        """
        while self._used_bytes + wanted_bytes > self._capacity_bytes:
            expired, freed_bytes = await expire(self._connection)
            if not expired:
                raise StorageFullError(
                    f"the task store holds {self._used_bytes} of {self._capacity_bytes} bytes and {wanted_bytes} more "
                    "do not fit; wait until results expire, or raise VOXGENDER_STORAGE_CAPACITY_BYTES"
                )
            self._change(-expired, -freed_bytes)

    def take(self, task_bytes: int) -> None:
        """Take the room of a task."""
        self._change(1, task_bytes)

    async def write(self) -> None:
        """Write what was taken and freed; the last step of the transaction."""
        if self._tasks or self._bytes:
            await count(self._connection, self._tasks, self._bytes)

    def _change(self, tasks: int, task_bytes: int) -> None:
        self._tasks += tasks
        self._bytes += task_bytes
        self._used_bytes += task_bytes

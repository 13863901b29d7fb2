"""The licence's use in a PostgreSQL store: read once and written once in a transaction, however many tasks it takes."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import AsyncConnection

from voxgender.app.licence import Charge
from voxgender.app.licence_book import LicenceBook


async def read_book(connection: AsyncConnection, charges: Iterable[Charge], *, is_locked: bool) -> LicenceBook:
    """Return what the periods of some charges have used.

    Args:
        connection: In a transaction.
        charges: Of which periods and resources.
        is_locked: Whether others that charge the same wait until the transaction ends, so that together they stay
            within what the period allows.
    """
    keys = sorted({(charge.period, charge.resource) for charge in charges})
    if not keys:
        return LicenceBook(lambda *_: 0.0)
    columns = [list(column) for column in zip(*keys, strict=True)]
    if is_locked:
        create = """INSERT INTO voxgender.licence_use SELECT period, resource, 0
            FROM unnest(%s::text[], %s::text[]) AS wanted (period, resource) ORDER BY 1, 2 ON CONFLICT DO NOTHING"""
        lock = """SELECT period, resource, used FROM voxgender.licence_use
            WHERE (period, resource) IN (SELECT * FROM unnest(%s::text[], %s::text[])) ORDER BY 1, 2 FOR UPDATE"""
        rows = await (await connection.execute(lock, columns)).fetchall()
        if len(rows) < len(keys):
            await connection.execute(create, columns)
            rows = await (await connection.execute(lock, columns)).fetchall()
    else:
        read = """SELECT period, resource, used FROM voxgender.licence_use
            WHERE (period, resource) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"""
        rows = await (await connection.execute(read, columns)).fetchall()
    stored = {(period, resource): used for period, resource, used in rows}
    return LicenceBook(lambda period, resource: stored.get((period, resource), 0.0))


async def write_book(connection: AsyncConnection, book: LicenceBook) -> None:
    """Write what was entered into a book that was read with its rows locked."""
    entries = book.entries()
    if entries:
        columns = [list(column) for column in zip(*entries, strict=True)]
        write = """UPDATE voxgender.licence_use SET used = entered.used
            FROM unnest(%s::text[], %s::text[], %s::float8[]) AS entered (period, resource, used)
            WHERE licence_use.period = entered.period AND licence_use.resource = entered.resource"""
        await connection.execute(write, columns)

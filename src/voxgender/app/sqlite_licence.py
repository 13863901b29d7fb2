"""The licence's use in a SQLite store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from voxgender.app.licence import Charge
from voxgender.app.licence_book import LicenceBook


def read_book(connection: sqlite3.Connection) -> LicenceBook:
    """Return what the periods have used.

    Args:
        connection: In a transaction.
    """

    def stored(period: str, resource: str) -> float:
        query = "SELECT used FROM licence_use WHERE period = ? AND resource = ?"
        row = connection.execute(query, (period, resource)).fetchone()
        return row[0] if row else 0.0

    return LicenceBook(stored)


def write_book(connection: sqlite3.Connection, book: LicenceBook) -> None:
    """Write what was entered."""
    connection.executemany("INSERT OR REPLACE INTO licence_use VALUES (?, ?, ?)", book.entries())


def book_charges(connection: sqlite3.Connection, charges: Sequence[Charge]) -> None:
    """Book charges, all or none.

    Args:
        connection: In a transaction.
        charges: What is to be booked.

    Raises:
        CapacityError: Where a period does not allow one.
    """
    book = read_book(connection)
    book.check(charges)
    book.enter(charges)
    write_book(connection, book)

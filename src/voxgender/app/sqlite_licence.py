"""The licence's use in a SQLite store."""

from __future__ import annotations

import sqlite3

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


def book_charge(connection: sqlite3.Connection, charge: Charge) -> None:
    """Book one charge.

    Args:
        connection: In a transaction.
        charge: What is to be booked.

    Raises:
        LicenceCapacityError: Where its period does not allow it; nothing is booked then.
    """
    book = read_book(connection)
    book.check(charge)
    book.enter(charge)
    write_book(connection, book)

"""How full a SQLite store is: totals that are kept up with each change, because to add them up would take too long."""

from __future__ import annotations

import sqlite3


def count(connection: sqlite3.Connection, tasks: int, stored_bytes: int) -> None:
    """Add to the totals, or take away from them."""
    change = "CASE name WHEN 'tasks' THEN ? ELSE ? END"
    connection.execute(f"UPDATE total SET amount = amount + {change}", (tasks, stored_bytes))  # noqa: S608 - a constant


def stored_bytes(connection: sqlite3.Connection) -> int:
    """Return what all tasks take up."""
    query = "SELECT amount FROM total WHERE name = 'stored_bytes'"
    stored: int = connection.execute(query).fetchone()[0]
    return stored

"""What a server keeps: recordings in its spool, tasks and the licence's use in its store, lines in its log."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

from serving import ServerProcess


def media(server: ServerProcess) -> list[str]:
    """The recordings in the spool."""
    return [path.name for path in (server.log_path.parent / "tasks.db-media").glob("*.media")]


def rows(server: ServerProcess, query: str) -> list[tuple[Any, ...]]:
    """What a query of the store finds."""
    with closing(sqlite3.connect(server.log_path.parent / "tasks.db", timeout=30)) as store:
        return store.execute(query).fetchall()


def left_over(server: ServerProcess) -> list[object]:
    """The recordings and the tasks that are there."""
    return [*media(server), *rows(server, "SELECT state FROM task"), *rows(server, "SELECT place FROM job")]


def licence_used(server: ServerProcess) -> dict[str, float]:
    """What the licence has been charged in its period, by resource."""
    return dict(rows(server, "SELECT resource, used FROM licence_use"))


def entries(server: ServerProcess, event: str | None = None) -> list[dict[str, Any]]:
    """The log's lines of one kind; of all where none is named."""
    lines = server.log_path.read_bytes().splitlines(keepends=True)
    told = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"\n")]
    return [entry for entry in told if event in (None, entry["event"])]

"""A store that answers but takes nothing: the service says so, still reads, and goes on once it can be written to."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

from postgres import PostgresServer, postgres_server
from serving import PATH, running_server, voiceprint_text
from voxgender.app import readiness

__all__ = ["postgres_server"]

WAIT_S = 120.0
NAMES = {"voiceprints": [voiceprint_text()]}


def store_when(client: httpx.Client, is_so: Callable[[dict[str, str]], bool]) -> tuple[int, str]:
    """The status of readiness, and what it tells of the store, once something is so."""
    deadline = time.monotonic() + WAIT_S
    while True:
        answer = client.get("/readyz")
        store = answer.json()["checks"]["store"]
        if is_so(store):
            return answer.status_code, store["told"]
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def test_a_file_that_another_program_has_locked_is_told_and_those_who_wait_are_answered_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LOOK_S", 0.5)
    monkeypatch.setattr(readiness, "WRITE_S", 5.0)
    with running_server(tmp_path, extractors=0) as client, ThreadPoolExecutor(1) as thread:
        location = client.post(PATH, json=NAMES).headers["location"]
        with closing(sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store_when(client, lambda store: store["state"] == "warning")[0] == 200
            waiting = thread.submit(client.post, PATH, json=NAMES)
            assert store_when(client, lambda store: store["state"] == "failed")[0] == 503
            assert client.get(location).status_code == 200
            assert not waiting.done()
            other.execute("ROLLBACK")
        assert waiting.result().status_code == 202
        assert store_when(client, lambda store: store["state"] == "ok")[0] == 200


def test_a_database_that_is_read_only_is_told_and_used_again_once_it_is_not(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database()

    def set_read_only(value: str) -> None:
        with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            connection.execute("SELECT pg_reload_conf()")

    with running_server(tmp_path, store_url=url, spool_dir=tmp_path / "spool", extractors=0) as client:
        location = client.post(PATH, json=NAMES).headers["location"]
        set_read_only("on")
        try:
            assert store_when(client, lambda store: store["state"] == "failed") == (
                503,
                "answers, but nothing can be written",
            )
            refused = client.post(PATH, json=NAMES)
            assert refused.status_code == 503
            assert set(refused.json()) == {"type", "message", "detail"}
            assert client.get(location).status_code == 200
        finally:
            set_read_only("off")
        assert store_when(client, lambda store: store["state"] == "ok")[0] == 200
        assert client.post(PATH, json=NAMES).status_code == 202

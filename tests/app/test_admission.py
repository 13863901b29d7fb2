"""Admission counts each caller's requests, alone or together with other processes."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from voxgender.app.admission import ANYONE, Admission
from voxgender.app.key_ring import KeyRing
from voxgender.app.rate_storage import SqliteWindows
from voxgender.app.sqlite_store import SqliteStore
from voxgender.core.errors import RateLimitError


@contextlib.contextmanager
def admissions(path: Path | None, count: int = 2, rate_limit: str | None = "5 per hour") -> Iterator[list[Admission]]:
    """As many as there would be processes; without a path each counts for itself."""
    nobodys = KeyRing(SqliteStore(Path("none"), 1), is_demanded=False)
    made = [Admission(rate_limit, None, nobodys, SqliteWindows(path) if path else None) for _ in range(count)]
    yield made
    for admission in made:
        admission.close()


async def admitted(admission: Admission, times: int, caller: str = "a", operation: str = "submit") -> int:
    """How many of so many requests are let in."""
    count = 0
    for _ in range(times):
        with contextlib.suppress(RateLimitError):
            await admission.admit(caller, None, operation)
            count += 1
    return count


def test_without_a_limit_all_are_let_in_and_nothing_is_told_of_a_window() -> None:
    with admissions(None, 1, None) as (admission,):
        assert asyncio.run(admission.admit("a", None, "submit")) is ANYONE


@pytest.mark.parametrize("is_shared", [True, False])
def test_the_permit_and_the_refusal_tell_what_is_left_and_when_the_window_resets(
    tmp_path: Path, is_shared: bool
) -> None:
    async def run() -> None:
        for left in (1, 0):
            window = (await admission.admit("a", None, "submit")).window
            assert window is not None
            assert (window.limit, window.remaining) == (2, left)
            assert before_s + 3600 <= window.reset_s <= time.time() + 3602
        with pytest.raises(RateLimitError, match="Rate limit exceeded: 2 per 1 hour") as refusal:
            await admission.admit("a", None, "submit")
        assert (refusal.value.limit, refusal.value.remaining) == (2, 0)
        assert before_s + 3600 <= refusal.value.reset_s <= time.time() + 3602
        assert 3590 <= refusal.value.retry_after_s <= 3602

    before_s = time.time() - 1
    with admissions(tmp_path / "rates" if is_shared else None, 1, "2 per hour") as (admission,):
        asyncio.run(run())


@pytest.mark.parametrize("is_shared", [True, False])
def test_each_caller_has_a_window_for_each_operation(tmp_path: Path, is_shared: bool) -> None:
    async def run() -> list[int]:
        cases = [("a", "submit"), ("b", "submit"), ("a", "poll")]
        return [await admitted(admission, 7, *case) for case in cases]

    with admissions(tmp_path / "rates" if is_shared else None, 1) as (admission,):
        assert asyncio.run(run()) == [5, 5, 5]


@pytest.mark.parametrize("is_shared", [True, False])
def test_the_addresses_of_one_network_of_ipv6_have_one_window(tmp_path: Path, is_shared: bool) -> None:
    async def run() -> None:
        inside = [f"2001:db8:0:7:{host:x}::1" for host in range(20)]
        assert sum([await admitted(admission, 1, address) for address in inside]) == 5
        assert await admitted(admission, 9, "2001:db8:0:8::1") == 5
        assert await admitted(admission, 4, "192.0.2.1") + await admitted(admission, 4, "::ffff:192.0.2.1") == 5

    with admissions(tmp_path / "rates" if is_shared else None, 1) as (admission,):
        asyncio.run(run())


def test_those_that_share_windows_let_in_the_limit_together(tmp_path: Path) -> None:
    with admissions(tmp_path / "rates") as (one, other):
        assert [asyncio.run(admitted(admission, 3)) for admission in (one, other, one)] == [3, 2, 0]


def test_while_the_windows_cannot_be_used_each_counts_alone_and_no_request_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rates"
    path.mkdir()
    with capture_logs() as logs, admissions(path) as both:
        assert [asyncio.run(admitted(admission, 7)) for admission in both] == [5, 5]
        told = [entry for entry in logs if entry["log_level"] == "warning"]
        assert len(told) == 2  # one of each, not one for each request
        assert "unable to open" in told[0]["error"]
        path.rmdir()
        assert asyncio.run(admitted(both[0], 1)) == 0  # not yet tried again
        for admission in both:
            monkeypatch.setattr(admission, "_shared_from_s", time.monotonic())
        assert [asyncio.run(admitted(admission, 3)) for admission in both] == [3, 2]


def test_the_event_loop_goes_on_while_another_process_has_the_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgender.app.rate_storage.BUSY_S", 30.0)

    async def run() -> None:
        await admission.admit("a", None, "submit")
        with closing(sqlite3.connect(tmp_path / "rates", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(admission.admit("a", None, "submit"))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            other.execute("COMMIT")
        permit = await waiting
        assert permit.window is not None
        assert permit.window.remaining == 3

    with admissions(tmp_path / "rates", 1) as (admission,):
        asyncio.run(run())

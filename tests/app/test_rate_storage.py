"""The windows of the rate limit that several processes count together."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits.errors import StorageError

from postgres import PostgresServer, empty_store
from voxgender.app.postgres_windows import PostgresWindows
from voxgender.app.rate_storage import FORGET_ROWS, RateWindows, SqliteWindows, machine_windows, shared_windows
from voxgender.app.settings import load_settings

LIMIT, WINDOW_S = 5, 10


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def windows_at(place: Path | str, clock: Clock | None = None) -> RateWindows:
    """Those in a file, or those in the database of a URL."""
    if isinstance(place, str):
        return PostgresWindows(place, clock)
    return SqliteWindows(place, clock) if clock else SqliteWindows(place)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where there are no windows yet."""
    if request.param == "sqlite":
        return tmp_path / "rates"
    url: str = request.getfixturevalue("store_url")
    empty_store(url)
    return url


@pytest.fixture
def any_windows(place: Path | str, clock: Clock) -> Iterator[RateWindows]:
    with closing(windows_at(place, clock)) as windows:
        yield windows


@pytest.fixture
def windows(tmp_path: Path, clock: Clock) -> Iterator[SqliteWindows]:
    with closing(SqliteWindows(tmp_path / "rates", clock)) as windows:
        yield windows


@contextlib.contextmanager
def held_by_another(path: Path) -> Iterator[sqlite3.Connection]:
    """Have the lock to write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def rows_of(place: Path | str) -> list[tuple[object, ...]]:
    """Return all that is kept."""
    if isinstance(place, str):
        with psycopg.connect(place) as database:
            return list(database.execute("SELECT * FROM voxgender.hit"))
    with closing(sqlite3.connect(place)) as file:
        return list(file.execute("SELECT * FROM hit"))


def _hammer(place: Path | str, together: Barrier) -> int:
    with closing(windows_at(place)) as windows:
        together.wait()
        return sum(windows.acquire_entry("key", 100, 3600) for _ in range(80))


def test_processes_that_hammer_one_window_let_in_exactly_the_limit(place: Path | str) -> None:
    context = multiprocessing.get_context("spawn")
    with closing(windows_at(place)) as windows:
        windows.reset()
    with context.Manager() as manager, context.Pool(3) as pool:
        together = manager.Barrier(3)
        let_in = pool.starmap(_hammer, [(place, together)] * 3)
    assert sum(let_in) == 100


steps = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 1.0, 2.5, 10.0, 11.0]), st.sampled_from("ab"), st.integers(1, 6)), max_size=40
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps)
def test_it_lets_in_what_a_list_of_times_lets_in(
    any_windows: RateWindows, clock: Clock, steps: list[tuple[float, str, int]]
) -> None:
    any_windows.reset()
    times: dict[str, list[float]] = {"a": [], "b": []}
    for pause_s, key, amount in steps:
        clock.now_s += pause_s
        inside = [at_s for at_s in times[key] if at_s >= clock.now_s - WINDOW_S]
        fits = len(inside) + amount <= LIMIT
        times[key] = inside + amount * [clock.now_s] * fits
        assert any_windows.acquire_entry(key, LIMIT, WINDOW_S, amount) == fits
        began_s, count = any_windows.get_moving_window(key, LIMIT, WINDOW_S)
        assert count == len(times[key])
        age_s = clock.now_s - times[key][0] if times[key] else 0
        assert time.time() - began_s == pytest.approx(age_s, abs=1)


def test_a_database_that_is_gone_or_busy_is_told_in_the_library_s_way_and_used_again_later(
    postgres_server: PostgresServer, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgender.app.postgres_windows.BUSY_S", 0.05)
    empty_store(store_url)
    with closing(PostgresWindows(store_url)) as windows, closing(PostgresWindows(store_url)) as others:
        assert windows.check()
        assert windows.acquire_entry("key", LIMIT, WINDOW_S)
        with psycopg.connect(store_url) as other:
            other.execute("LOCK TABLE voxgender.hit IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StorageError, match="lock timeout"):
                windows.acquire_entry("key", LIMIT, WINDOW_S)
        assert windows.acquire_entry("key", LIMIT, WINDOW_S)
        postgres_server.stop()
        try:
            assert not windows.check()
            with pytest.raises(StorageError, match="refused"):
                windows.acquire_entry("key", LIMIT, WINDOW_S)
        finally:
            postgres_server.start()
        assert windows.acquire_entry("key", LIMIT, WINDOW_S)
        assert others.check() or others.check()  # the first finds its connection lost
        assert others.get_moving_window("key", LIMIT, WINDOW_S)[1] == 3


def test_a_server_s_clock_that_is_set_back_lets_in_no_more_than_the_limit(store_url: str, clock: Clock) -> None:
    empty_store(store_url)
    with closing(PostgresWindows(store_url, clock)) as windows:
        let_in = []
        for seconds in (0.0, 1.0, -5.0, 0.0, 1.0, 1.0, 1.0, 1.0):
            clock.now_s += seconds
            let_in.append(windows.acquire_entry("key", LIMIT, WINDOW_S))
        assert let_in == [True] * LIMIT + [False] * 3


def test_what_is_refused_waits_for_nobody_and_writes_nothing(windows: SqliteWindows, tmp_path: Path) -> None:
    assert windows.acquire_entry("key", LIMIT, WINDOW_S, LIMIT)
    with held_by_another(tmp_path / "rates"):
        assert not windows.acquire_entry("key", LIMIT, WINDOW_S)
    assert windows.get_moving_window("key", LIMIT, WINDOW_S)[1] == LIMIT


def test_a_file_that_stays_busy_or_is_no_file_is_told_in_the_library_s_way(
    windows: SqliteWindows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgender.app.rate_storage.BUSY_S", 0.01)
    assert windows.check()
    windows.close()
    with held_by_another(tmp_path / "rates"):
        for ask in (lambda: windows.acquire_entry("key", LIMIT, WINDOW_S), windows.reset):
            with pytest.raises(StorageError, match="locked"):
                ask()
    assert windows.acquire_entry("key", LIMIT, WINDOW_S)
    with closing(SqliteWindows(tmp_path)) as folder:
        assert not folder.check()
        with pytest.raises(StorageError):
            folder.acquire_entry("key", LIMIT, WINDOW_S)


def test_resetting_forgets_all_and_replaces_a_file_that_is_broken(tmp_path: Path) -> None:
    for content in (None, b"no database" * 1000):
        if content:
            (tmp_path / "rates").write_bytes(content)
        with closing(SqliteWindows(tmp_path / "rates")) as windows:
            windows.reset()
            assert windows.acquire_entry("key", LIMIT, WINDOW_S, 3)
            assert windows.reset() == 3
            assert windows.get_moving_window("key", LIMIT, WINDOW_S)[1] == 0


def test_one_window_can_be_forgotten_without_the_others(any_windows: RateWindows) -> None:
    for key in ("a", "b"):
        any_windows.acquire_entry(key, LIMIT, WINDOW_S)
    any_windows.clear("a")
    assert [any_windows.get_moving_window(key, LIMIT, WINDOW_S)[1] for key in ("a", "b")] == [0, 1]


def test_what_is_over_goes_whosever_it_was(any_windows: RateWindows, clock: Clock, place: Path | str) -> None:
    for caller in range(10 * FORGET_ROWS):
        any_windows.acquire_entry(f"caller {caller}", LIMIT, WINDOW_S)
    clock.now_s += WINDOW_S + 1
    for _ in range(10):
        any_windows.acquire_entry("one more", 100, WINDOW_S)
    assert len(rows_of(place)) == 10


def test_nobody_s_address_is_on_the_disk(windows: SqliteWindows, tmp_path: Path) -> None:
    windows.acquire_entry("LIMITER/submit voiceprints/203.0.113.77/5/10/second", LIMIT, WINDOW_S)
    files = list(tmp_path.iterdir())
    assert len(files) >= 2
    assert not any(b"203.0.113.77" in file.read_bytes() for file in files)


def test_nobody_s_address_is_in_the_rows(any_windows: RateWindows, place: Path | str) -> None:
    any_windows.acquire_entry("LIMITER/submit voiceprints/203.0.113.77/5/10/second", LIMIT, WINDOW_S)
    (row,) = rows_of(place)
    assert "203.0.113.77" not in repr(row)


@pytest.mark.parametrize(
    ("workers", "rate_limit", "is_shared"), [(1, "1 per second", False), (2, None, False), (2, "1 per second", True)]
)
def test_windows_are_shared_where_several_processes_have_something_to_count(
    tmp_path: Path, workers: int, rate_limit: str | None, is_shared: bool
) -> None:
    loaded = load_settings(store_url=f"sqlite:///{tmp_path}/t.db", workers=workers, rate_limit=rate_limit)
    assert (shared_windows(loaded) is not None) == is_shared


@pytest.mark.parametrize(("rate_limit", "is_shared"), [(None, False), ("1 per second", True)])
def test_with_a_store_on_postgresql_even_a_lone_process_counts_with_others_and_forgets_nothing_of_theirs(
    rate_limit: str | None, is_shared: bool
) -> None:
    loaded = load_settings(store_url="postgresql://db/voxgender", rate_limit=rate_limit, workers=2)
    windows = shared_windows(loaded)
    assert isinstance(windows, PostgresWindows) == is_shared
    assert machine_windows(loaded) is None

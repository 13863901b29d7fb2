"""The windows of the rate limit that several processes count together."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.errors import StorageError

from voxgender.app.rate_storage import FORGET_ROWS, SqliteWindows, shared_windows
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


def _hammer(path: Path, together: Barrier) -> int:
    with closing(SqliteWindows(path)) as windows:
        together.wait()
        return sum(windows.acquire_entry("key", 100, 3600) for _ in range(80))


def test_processes_that_hammer_one_window_let_in_exactly_the_limit(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with closing(SqliteWindows(tmp_path / "rates")) as windows:
        windows.reset()
    with context.Manager() as manager, context.Pool(3) as pool:
        together = manager.Barrier(3)
        let_in = pool.starmap(_hammer, [(tmp_path / "rates", together)] * 3)
    assert sum(let_in) == 100


steps = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 1.0, 2.5, 10.0, 11.0]), st.sampled_from("ab"), st.integers(1, 6)), max_size=40
)


@given(steps)
def test_it_lets_in_what_a_list_of_times_lets_in(steps: list[tuple[float, str, int]]) -> None:
    clock = Clock()
    times: dict[str, list[float]] = {"a": [], "b": []}
    with tempfile.TemporaryDirectory() as folder, closing(SqliteWindows(Path(folder, "rates"), clock)) as windows:
        for pause_s, key, amount in steps:
            clock.now_s += pause_s
            inside = [at_s for at_s in times[key] if at_s >= clock.now_s - WINDOW_S]
            fits = len(inside) + amount <= LIMIT
            times[key] = inside + amount * [clock.now_s] * fits
            assert windows.acquire_entry(key, LIMIT, WINDOW_S, amount) == fits
            began_s, count = windows.get_moving_window(key, LIMIT, WINDOW_S)
            assert count == len(times[key])
            age_s = clock.now_s - times[key][0] if times[key] else 0
            assert time.time() - began_s == pytest.approx(age_s, abs=1)


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


def test_one_window_can_be_forgotten_without_the_others(windows: SqliteWindows) -> None:
    for key in ("a", "b"):
        windows.acquire_entry(key, LIMIT, WINDOW_S)
    windows.clear("a")
    assert [windows.get_moving_window(key, LIMIT, WINDOW_S)[1] for key in ("a", "b")] == [0, 1]


def test_what_is_over_goes_from_the_file_whosever_it_was(windows: SqliteWindows, clock: Clock, tmp_path: Path) -> None:
    for caller in range(10 * FORGET_ROWS):
        windows.acquire_entry(f"caller {caller}", LIMIT, WINDOW_S)
    clock.now_s += WINDOW_S + 1
    for _ in range(10):
        windows.acquire_entry("one more", 100, WINDOW_S)
    with closing(sqlite3.connect(tmp_path / "rates")) as file:
        assert file.execute("SELECT count(*) FROM hit").fetchone() == (10,)


def test_nobody_s_address_is_on_the_disk(windows: SqliteWindows, tmp_path: Path) -> None:
    windows.acquire_entry("LIMITER/submit voiceprints/203.0.113.77/5/10/second", LIMIT, WINDOW_S)
    files = list(tmp_path.iterdir())
    assert len(files) >= 2
    assert not any(b"203.0.113.77" in file.read_bytes() for file in files)


@pytest.mark.parametrize(
    ("workers", "rate_limit", "is_shared"), [(1, "1 per second", False), (2, None, False), (2, "1 per second", True)]
)
def test_windows_are_shared_where_several_processes_have_something_to_count(
    tmp_path: Path, workers: int, rate_limit: str | None, is_shared: bool
) -> None:
    settings = load_settings(store_url=f"sqlite:///{tmp_path}/t.db", workers=workers, rate_limit=rate_limit)
    assert (shared_windows(settings) is not None) == is_shared

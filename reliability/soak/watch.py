"""What the service takes, looked at every second from outside: memory, descriptors, threads, files."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

PAUSE_S: Final = 1.0


@dataclass(frozen=True)
class Sample:
    """What there was at one moment.

    Attributes:
        at_s: When, in seconds of ``time.perf_counter``.
        main_bytes: Memory that the main process has for itself alone (USS).
        all_bytes: Memory of all processes, what they share counted once (the sum of their PSS).
        resident_bytes: The sum of what each has in memory (RSS), what they share counted for each.
        own_bytes: Resident memory of the load generator.
        processes: How many the service has.
        descriptors: How many files and sockets they have open.
        main_descriptors: Of these, the main process's.
        threads: How many threads they have.
        main_threads: Of these, the main process's.
        store_bytes: Size of the store: its file, or its database.
        log_bytes: Size of SQLite's write-ahead log.
        spool_bytes: Size of the files in the spool.
        temp_bytes: Size of the files in the folder for temporary ones.
    """

    at_s: float
    main_bytes: int
    all_bytes: int
    resident_bytes: int
    own_bytes: int
    processes: int
    descriptors: int
    main_descriptors: int
    threads: int
    main_threads: int
    store_bytes: int
    log_bytes: int
    spool_bytes: int
    temp_bytes: int


@dataclass(frozen=True)
class Places:
    """Where a service keeps what it writes.

    Attributes:
        folder: All of it, and nothing else.
        store: SQLite's file.
        database: URL of the PostgreSQL database, where the store is one.
    """

    folder: Path
    store: Path
    database: str | None = None

    @property
    def spool(self) -> Path:
        """The folder of media."""
        return self.folder / "spool"

    @property
    def temp(self) -> Path:
        """The folder of temporary files."""
        return self.folder / "temp"

    def files(self) -> set[str]:
        """Return the names of all files."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


class Watch:
    """Looks at a service every second, in a thread, within the context.

    Args:
        pid: Its main process.
        places: Its files.

    Attributes:
        samples: What was seen.
    """

    def __init__(self, pid: int, places: Places) -> None:
        self._main = psutil.Process(pid)
        self._own = psutil.Process()
        self._places = places
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._store_bytes = _database_size(places.database) if places.database else lambda: _size(places.store)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self._thread.join()

    def cpu_s(self) -> float:
        """Return the processor seconds of all processes so far, those that have ended among them."""
        total_s = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                total_s += sum(process.cpu_times()[:4])  # user, system, and both of children that were waited for
        return total_s

    def sample(self) -> Sample:
        """Look once."""
        own_bytes = self._own.memory_info().rss
        figures = [figures for process in self._family() if (figures := _figures(process))]
        uss, pss, rss, descriptors, threads = zip(*figures, strict=True)
        return Sample(
            time.perf_counter(), uss[0], sum(pss), sum(rss), own_bytes, len(figures), sum(descriptors), descriptors[0],
            sum(threads), threads[0], self._store_bytes(), _size(Path(f"{self._places.store}-wal")),
            _folder_size(self._places.spool), _folder_size(self._places.temp),
        )  # fmt: skip

    def _family(self) -> list[psutil.Process]:
        return [self._main, *self._main.children(recursive=True)]

    def _run(self) -> None:
        while not self._has_ended.wait(PAUSE_S):
            # It ends when the service has been stopped.
            with contextlib.suppress(psutil.Error, ValueError):
                self.samples.append(self.sample())


def _figures(process: psutil.Process) -> tuple[int, int, int, int, int] | None:
    """Return a process's USS, PSS, RSS, descriptors and threads; None where it has ended meanwhile."""
    try:
        with process.oneshot():
            memory = process.memory_full_info()
            return memory.uss, memory.pss, memory.rss, process.num_fds(), process.num_threads()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _folder_size(folder: Path) -> int:
    return sum(_size(Path(parent, name)) for parent, _, names in os.walk(folder) for name in names)


def _database_size(url: str) -> Callable[[], int]:
    import psycopg

    connection = psycopg.connect(url, autocommit=True)

    def size() -> int:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])

    return size

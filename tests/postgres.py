"""A real PostgreSQL that the test run starts by itself, on a port of its own, and throws away at its end.

PostgreSQL must be installed; no service of it need run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

INSTALLED = Path("/usr/lib/postgresql")  # where Debian puts it, a folder a version and not on the PATH
ROLE = "voxgender"
START_S = 60.0
STOP_S = 120.0


def binary_folder() -> Path | None:
    """Return the folder with the newest PostgreSQL's binaries, or None where there is none."""
    versions = [folder for folder in INSTALLED.glob("*/bin") if (folder / "initdb").exists()]
    if versions:
        return max(versions, key=lambda folder: [int(part) for part in folder.parent.name.split(".")])
    found = shutil.which("initdb")
    return Path(found).parent if found else None


def account() -> str | None:
    """Return the account to run it under: None for one's own, another's for root, as which PostgreSQL does not run."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class PostgresServer:
    """A cluster in a folder, and the server on it. Its URLs stay the same when it is started again.

    Attributes:
        process: The server, or the last one.
    """

    def __init__(self, binaries: Path, folder: Path, user: str | None = None, *, is_synced: bool = False) -> None:
        """Make the cluster.

        Args:
            binaries: Where initdb and postgres are.
            folder: An empty folder. It is given to the user.
            user: The account to run under; None for one's own.
            is_synced: Whether a commit waits for the disk. Only a power cut tells the difference: what was written
                before a SIGKILL is with the operating system.
        """
        self._binaries = binaries
        self._folder = folder
        self._account: dict[str, Any] = (
            {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        )
        self._sync = "on" if is_synced else "off"
        self._port = free_port()
        self._databases = 0
        self.log_path = folder / "server.log"
        if user:
            shutil.chown(folder, user)
        self._run(
            "initdb", "--pgdata=data", f"--username={ROLE}", "--auth=trust", "--encoding=UTF8", "--locale=C", "-N"
        )
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers. Processes that a killed one has left behind are waited for."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "fsync": self._sync,
            "full_page_writes": self._sync,
        }
        command = [str(self._binaries / "postgres"), "-D", "data"]
        command += [f"--{name}={value}" for name, value in settings.items()]
        deadline = time.monotonic() + START_S
        self.process = self._spawn(command)
        while self._call("pg_isready", *self._address()).returncode != 0:
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"PostgreSQL did not start: {self.log_path.read_text(errors='replace')}")
            time.sleep(0.02)
            if self.process.poll() is not None:
                self.process = self._spawn(command)

    def stop(self) -> None:
        """End it in order; what its clients have not committed is rolled back, and their connections end."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(STOP_S)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal, as a crash would; :meth:`start` then recovers what was committed."""
        self.process.send_signal(number)
        self.process.wait(STOP_S)

    def restart(self) -> None:
        """End it in order and start it again."""
        self.stop()
        self.start()

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        self._run("createdb", *self._address(), f"--username={ROLE}", name)
        return f"postgresql://{ROLE}@127.0.0.1:{self._port}/{name}"

    def _address(self) -> list[str]:
        return ["--host=127.0.0.1", f"--port={self._port}"]

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, **self._account)

    def _call(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._binaries / name), *arguments]
        return subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False, **self._account)

    def _run(self, name: str, *arguments: str) -> None:
        done = self._call(name, *arguments)
        assert done.returncode == 0, f"{name} failed: {done.stderr}"


@contextlib.contextmanager
def running_postgres(*, is_synced: bool = False) -> Iterator[PostgresServer]:
    """Run a server of one's own until the block ends; skips where PostgreSQL is not installed."""
    binaries = binary_folder()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="voxgender-postgres-"))  # pytest's folders are closed to other accounts
    try:
        server = PostgresServer(binaries, folder, account(), is_synced=is_synced)
        try:
            yield server
        finally:
            server.process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            server.process.wait(STOP_S)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that all tests share: each takes a database of its own; one that kills it starts it again."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres_server.new_database()


@pytest.fixture(scope="module")
def store_url(postgres_server: PostgresServer) -> str:
    """The URL of a database with the store's tables, which a module's tests have one after the other.

    To make one takes longer than most of them.
    """
    from voxgender.app.postgres_store import PostgresStore

    async def make_tables() -> None:
        store = PostgresStore(url, 1)
        await store.open()
        await store.close()

    url = postgres_server.new_database()
    asyncio.run(make_tables())
    return url


def empty_store(url: str) -> None:
    """Delete all that is in a store's tables."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM voxgender.task; DELETE FROM voxgender.licence_use; DELETE FROM voxgender.hit;"
            "DELETE FROM voxgender.api_key;"
            "DELETE FROM voxgender.pgqueuer; DELETE FROM voxgender.pgqueuer_log;"
            "UPDATE voxgender.total SET tasks = 0, stored_bytes = 0"
        )

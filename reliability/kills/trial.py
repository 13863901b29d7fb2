"""The trial: rounds of load, kill, look and start."""

from __future__ import annotations

import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from postgres import PostgresServer, free_port
from reliability.kills.account import Account
from reliability.kills.doors import Doors
from reliability.kills.gate import Gate
from reliability.kills.kinds import DATABASE_KILLS, Kill
from reliability.kills.load import Load
from reliability.kills.rest_client import RestClient
from reliability.kills.rpc_client import RpcClient
from reliability.kills.setting import CAPACITY, keep_keys, licence_in, temporary_files
from reliability.kills.snapshot import Snapshot, StoreFiles, demand, opened
from reliability.kills.victim import Victim
from voxgender.app.key import new_key

NAMES: Final = (
    "lists 1",
    "lists 2",
    "lists 3",
    "recordings 1",
    "recordings 2",
    "streams of lists",
    "streams of audio",
)
"""What each client sends: over REST, but for streams, which are of gRPC."""
LOAD_S: Final = (0.2, 1.5)
"""Shortest and longest load between two kills."""
LONG_TTL_S: Final = 7200
SHORT_TTL_S: Final = 5
SHORT_SHARE: Final = 0.2
"""How often results are kept for a short time."""
WORKER_SHARE: Final = 0.3
"""How often a worker is started beside a server."""
SWEEP_S: Final = 30.0
"""Longest that a server may take to delete the media that killed ones have left."""
ENDINGS: Final = (signal.SIGINT, signal.SIGQUIT)
"""What tells a database server to end, in order or at once."""
METRICS_LEFT_S: Final = 61.0
"""The files of metrics that a killed service has left are deleted by one that starts once they are so old."""
ENDING_S: Final = 120.0
"""Longest that what was accepted may take until it is done, once nothing is killed any more."""


HALF_STARTED: Final = re.compile(
    r"Traceback .*\n(?:  .*\n)*  .*multiprocessing/spawn\.py.*\n(?:  .*\n)+"
    r"(?:EOFError: Ran out of input|_pickle\.UnpicklingError: .*)\n"
)
"""What Python prints in a process whose parent is killed while it starts it, before any line of ours runs in it."""
AT_REST: Final = Kill("nothing", is_served=True, is_open=True)


@dataclass
class Report:
    """What a trial has seen.

    Attributes:
        kills: How often what was killed.
        counts: What has happened to requests and tasks.
        elapsed_s: How long it took.
    """

    kills: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    elapsed_s: float = 0.0


def kill_often(store: str, kills: Sequence[str], seed: int) -> Report:
    """Kill so often; return what was seen.

    Args:
        store: ``sqlite`` or ``postgresql``.
        kills: What is killed, one after the other.
        seed: Of all else that is left to chance.

    Raises:
        BrokenPromiseError: Where a promise was broken.
    """
    began_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        with opened(store, folder) as (flags, files, database):
            trial = Trial(folder, flags, files, database, random.Random(seed))
            trial.run(kills)
    except BaseException:
        print(f"seed {seed}; its files are in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)
    trial.report.elapsed_s = time.monotonic() - began_s
    return trial.report


class Trial:
    """One store, one load, and one server after the other.

    Args:
        folder: For all files.
        store_flags: The flags that name the store.
        files: What looks into it.
        database: The store's server, where it has one.
        chance: Decides what is left to chance.
    """

    def __init__(
        self,
        folder: Path,
        store_flags: dict[str, object],
        files: StoreFiles,
        database: PostgresServer | None,
        chance: random.Random,
    ) -> None:
        self._folder = folder
        self._files = files
        self._database = database
        self._chance = chance
        self._spool = Path(str(store_flags["spool-dir"]))
        self._orphans: set[str] = set()
        self._flags: dict[str, object] = {}
        self._started_s = 0.0
        doors = Doors(free_port(), free_port())
        self._accounts = [Account(*new_key(name, time.time(), capacity=CAPACITY)) for name in NAMES]
        keep_keys([account.key for account in self._accounts], str(store_flags["store-url"]))
        self._load = Load(
            [
                (RpcClient if "streams" in account.key.name else RestClient)(
                    account, doors, random.Random(chance.random()), sends_media="lists" not in account.key.name
                )
                for account in self._accounts
            ]
        )
        self._doors = doors
        self._victim = Victim(
            folder,
            **store_flags,
            **{"port": doors.rest, "grpc": "on", "grpc-port": doors.rpc, "keys": "on", "extractors": 1, "hold-s": 1},
            **{"licence-file": licence_in(folder), "task-memory-bytes": 2**30},
        )
        self.report = Report()
        self._choose_flags(frozenset())

    def run(self, kills: Sequence[str]) -> None:
        """Kill one after the other, then let all end and look once more."""
        with temporary_files(self._folder / "tmp"), self._victim, self._load.running() as gate:
            self._start(gate)
            for number, what in enumerate(kills, 1):
                gate.open()
                time.sleep(self._chance.uniform(*LOAD_S))
                kill = self._kill(what)
                print(f"{time.strftime('%T')}  kill {number}: {kill.what}", file=sys.stderr, flush=True)
                self.report.kills[kill.what] += 1
                gate.hold()
                snapshot = self._look(kill)
                if not kill.is_served:
                    self._choose_flags(snapshot.unfinished)
                    self._start(gate)
            gate.hold()
            self._end()

    def _start(self, gate: Gate) -> None:
        """Start the server, with clients that ask for it already; it deletes what killed ones have left."""
        gate.open()
        self._started_s = time.time()
        self._victim.start(**self._flags)
        if not self._victim.has_worker and self._chance.random() < WORKER_SHARE:
            self._victim.start_worker(**self._flags)
        while left := self._orphans & self._media():
            demand(time.time() < self._started_s + SWEEP_S, f"media without tasks have outlived a start: {left}")
            time.sleep(0.02)

    def _kill(self, what: str) -> Kill:
        """Kill something; where there is no worker beside the server, one of the server's own processes."""
        if what == "the worker beside it" and not self._victim.has_worker:
            what = "a process of the server"
        if what in DATABASE_KILLS and self._database is not None:
            if what == "everything":
                self._victim.kill_all()
            self._database.kill(self._chance.choice(ENDINGS) if "told" in what else signal.SIGKILL)
            self._database.start()
            return Kill(what, what != "everything", what != "everything", was_store_down=True)
        if what == "a process of the server":
            self._victim.kill_one(self._chance)
            return Kill(what, is_served=True, is_open=True)
        if what == "the worker beside it":
            self._victim.kill_worker()
            self._victim.start_worker(**self._flags)
            return Kill(what, is_served=True, is_open=True)
        if what == "the main process":
            self._victim.kill_main()
            return Kill(what, is_open=self._victim.has_worker)
        self._victim.kill_all()
        if what == "all processes while they start":
            self._victim.kill_while_starting(self._chance, **self._flags)
        return Kill(what)

    def _look(self, kill: Kill) -> Snapshot:
        """Look into the store and the spool while no client does anything, and settle all accounts."""
        files = self._media()
        snapshot = self._files.look(is_open=kill.is_open)
        snapshot.check()
        for account in self._accounts:
            account.settle(snapshot, was_store_down=kill.was_store_down)
        needed = {f"{task_id}.media" for task_id in snapshot.unfinished}
        demand(needed <= files, f"media of accepted tasks are lost: {needed - files}")
        self._orphans = set() if kill.is_served else files - needed
        return snapshot

    def _end(self) -> None:
        """Let all that was accepted be done, and look whether anything is wrong or left."""
        until_s = time.monotonic() + ENDING_S
        snapshot = self._look(AT_REST)
        while snapshot.unfinished:
            demand(time.monotonic() < until_s, f"tasks are not done: {snapshot.unfinished}")
            time.sleep(0.2)
            snapshot = self._look(AT_REST)
        self._see_results()
        while left := self._media():
            demand(time.monotonic() < until_s, f"media without tasks are left: {left}")
            time.sleep(0.2)
        codes = self._victim.stop()
        demand(not any(codes), f"not all end in order: {codes}")
        self._look(Kill("nothing"))
        for account in self._accounts:
            self.report.counts.update(account.counts)
        log = "".join(path.read_text() for path in self._folder.glob("*.log"))
        demand("Traceback" not in HALF_STARTED.sub("", log), "the log holds a traceback")
        left_s = self._started_s - METRICS_LEFT_S
        old = [path.name for path in (self._folder / "tmp").iterdir() if path.stat().st_mtime < left_s]
        demand(not old, f"temporary files of killed servers are left: {old}")

    def _see_results(self) -> None:
        """Poll each task that was accepted, and compare its result."""
        for account in self._accounts:
            client = RestClient(account, self._doors, self._chance, sends_media=False)
            for task_id in list(account.tasks):
                demand(client.verify(task_id), f"task {task_id} has not ended")
            client.close()

    def _media(self) -> set[str]:
        return {path.name for path in self._spool.glob("*.media")}

    def _choose_flags(self, unfinished: Set[UUID]) -> None:
        """Choose the flags of the next start.

        Args:
            unfinished: The tasks whose results will expire as the flags say.
        """
        if self._victim.has_worker:
            return  # what it ends is kept as long as before
        expires_soon = self._chance.random() < SHORT_SHARE
        for account in self._accounts:
            account.expect_expiry(expires_soon, unfinished)
        ttl_s = SHORT_TTL_S if expires_soon else LONG_TTL_S
        self._flags = {"workers": self._chance.choice([1, 1, 1, 2]), "task-ttl-s": ttl_s}

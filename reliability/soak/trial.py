"""The trial: a service is started, each kind of visit is made once, the load comes, and all goes quiet again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final, Literal

from postgres import running_postgres
from reliability.soak.door import Door, Keys, open_door
from reliability.soak.kinds import rates, visits
from reliability.soak.load import Load, drive
from reliability.soak.material import Material
from reliability.soak.refused_visits import MAX_BODY_BYTES, MAX_FILE_BYTES, prove_refusals
from reliability.soak.rest_visits import delete_kept, prove_lists, prove_recordings
from reliability.soak.schedule import arrivals
from reliability.soak.watch import Places, Sample, Watch
from serving import ServerProcess
from voxgender.app.assembly import store_of
from voxgender.app.key import new_key
from voxgender.app.settings import load_settings

QUIET_S: Final = 60.0
"""Longest wait, after all tasks must have expired, until nothing of them is left."""
SETTLED_S: Final = 20.0
"""Longest wait, after that, until connections of clients that have gone are closed."""


@dataclass(frozen=True)
class Plan:
    """What is to be tried.

    Attributes:
        seconds: How long the load lasts.
        store: On which store.
        workers: Processes that answer.
        share: Of the whole load.
        ttl_s: Seconds for which finished tasks are kept.
        many: Voiceprints of a large list.
    """

    seconds: float
    store: Literal["sqlite", "postgresql"] = "sqlite"
    workers: int = 1
    share: float = 0.4
    ttl_s: float = 60.0
    many: int = 50_000


@dataclass(frozen=True)
class Record:
    """What was seen.

    Attributes:
        plan: What was tried.
        began_s: When the load began, in seconds of ``time.perf_counter``.
        samples: What the service took, from its start to its end.
        load: The visits.
        answers: How many answers there were of each status.
        before: What the service took before the load, after each visit had been made once.
        after: The same after the load.
        told: What the service told of its store after the load, by the name of the metric.
        left: Files that were not there before the load.
        service_cores: Cores that the service kept busy during the load.
        own_cores: Cores that the load generator kept busy.
        exit_code: The service's own.
        logged: How often the service logged each warning and error; the error's text is left out.
    """

    plan: Plan
    began_s: float
    samples: list[Sample]
    load: Load
    answers: Counter[str]
    before: Sample
    after: Sample
    told: dict[str, float]
    left: list[str]
    service_cores: float
    own_cores: float
    exit_code: int
    logged: Counter[str]


def run(plan: Plan, folder: Path) -> Record:
    """Make the trial.

    Args:
        plan: What is to be tried.
        folder: For all that the service writes; it must be empty.
    """
    with _places(plan, folder) as places:
        keys = asyncio.run(_make_keys(places))
        # In a process of its own, which has the model in memory and leaves the load generator small.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as maker:
            material = maker.submit(Material.of, plan.many).result()
        server = ServerProcess(folder, _under(places), **_flags(plan, places))
        try:
            with Watch(server.process.pid, places) as watch:
                return asyncio.run(_trial(plan, places, server, watch, keys, material))
        finally:
            if server.process.poll() is None:
                server.stop()


async def _trial(
    plan: Plan, places: Places, server: ServerProcess, watch: Watch, keys: Keys, material: Material
) -> Record:
    address = str(server.client.base_url), server.rpc_address, keys, material, plan.ttl_s
    server.client.close()
    _say("each kind of visit once")
    async with open_door(*address) as door:
        await prove_lists(door)
        await prove_recordings(door)
        await prove_refusals(door)
        for visit in visits(door).values():
            await visit(Random(1))
        await delete_kept(door)
    _say("waiting until nothing of that is left")
    async with open_door(*address) as door:
        await _quiet(door)
    before = await _settled(watch, None)
    files = places.files()
    planned = arrivals(rates(plan.share), plan.seconds)
    _say(f"{len(planned):,} visits in {plan.seconds:g} s")
    load, own_cpu_s, cpu_s, began_s = Load(), time.process_time(), watch.cpu_s(), time.perf_counter()
    async with open_door(*address) as door:
        await drive(planned, visits(door), load, plan.ttl_s)
        took_s = time.perf_counter() - began_s
        own_cores, service_cores = (time.process_time() - own_cpu_s) / took_s, (watch.cpu_s() - cpu_s) / took_s
    answers = door.answers
    _say("waiting until all of that has expired")
    async with open_door(*address) as door:
        told = await _quiet(door)
    after = await _settled(watch, before)
    left = sorted(places.files() - files)
    exit_code = await asyncio.to_thread(server.stop)
    return Record(
        plan, began_s, watch.samples, load, answers, before, after, told, left, service_cores, own_cores, exit_code,
        _logged(server.log_path),
    )  # fmt: skip


async def _quiet(door: Door) -> dict[str, float]:
    """Wait until the service tells that no task and no recording is left; return what it tells in the end."""
    until_s = time.monotonic() + door.ttl_s + QUIET_S
    while any((await door.read_metrics()).values()) and time.monotonic() < until_s:
        await asyncio.sleep(0.5)
    return door.told


async def _settled(watch: Watch, before: Sample | None) -> Sample:
    """Look at the service once it has no more open than before, or has had the time for that."""
    until_s = time.monotonic() + (2.0 if before is None else SETTLED_S)
    while True:
        await asyncio.sleep(0.5)
        sample = await asyncio.to_thread(watch.sample)
        is_settled = before is not None and sample.descriptors <= before.descriptors
        if is_settled or time.monotonic() > until_s:
            return sample


@contextlib.contextmanager
def _places(plan: Plan, folder: Path) -> Iterator[Places]:
    (folder / "temp").mkdir()
    store = folder / "tasks.db"
    if plan.store == "sqlite":
        yield Places(folder, store)
        return
    with running_postgres(is_synced=True) as postgres:
        yield Places(folder, store, postgres.new_database())


def _url(places: Places) -> str:
    return places.database or f"sqlite:///{places.store}"


def _flags(plan: Plan, places: Places) -> dict[str, object]:
    return {
        "store-url": _url(places),
        "spool-dir": places.spool,
        "grpc": "on",
        "grpc-port": 0,
        "keys": "on",
        "workers": plan.workers,
        "extractors": 1,
        "task-ttl-s": plan.ttl_s,
        "max-body-bytes": MAX_BODY_BYTES,
        "max-file-bytes": MAX_FILE_BYTES,
    }


def _under(places: Places) -> tuple[str, ...]:
    """Return what has the service put its temporary files where they are looked at."""
    return ("env", f"TMPDIR={places.temp}") if os.name == "posix" else ()


async def _make_keys(places: Places) -> Keys:
    made = [
        new_key("plain", 0.0),
        new_key("ended", 0.0, expires_s=datetime(2020, 1, 1, tzinfo=UTC).timestamp()),
        new_key("slow", 0.0, rate_limit="1 per year"),
    ]
    store = store_of(load_settings(store_url=_url(places)))
    await store.open()
    for key, _ in made:
        await store.add_key(key)
    await store.close()
    return Keys(*(text for _, text in made))


def _logged(path: Path) -> Counter[str]:
    with path.open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines if '"warning"' in line or '"error"' in line]
    return Counter(f"{one['level']}: {one['event']}" for one in entries if one["level"] in ("warning", "error"))


def _say(words: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {words}", file=sys.stderr, flush=True)

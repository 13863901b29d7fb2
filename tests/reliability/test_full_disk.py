"""Disks that are really full: requests are refused, what was accepted stays, and with room again all goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from recordings import recording, voice
from serving import GENDER, PATH, ServerProcess, voiceprint_text, wait_for
from small_disks import SmallDisk, under_small_disks

FULL = {"type": "storage.capacity-exceeded", "message": "Storage capacity exceeded.", "detail": []}
TRIES = 12
WAIT_S = 120.0
LINES = 40
"""Far fewer than a loop that never rests would log, and more than what each second is told of a full disk."""


class Service:
    """Two workers and an extractor, with a small disk for each place where they write.

    Args:
        folder: Of the test.
    """

    def __init__(self, folder: Path) -> None:
        places = {name: folder / name for name in ("store", "spool", "temp")}
        for place in places.values():
            place.mkdir()
        flags = {"store-url": f"sqlite:///{places['store']}/tasks.db", "spool-dir": places["spool"]}
        under = ["env", f"TMPDIR={places['temp']}", *under_small_disks(*places.values())]
        self.server = ServerProcess(folder, under, workers=2, extractors=1, **flags)
        self.client = self.server.client
        self.disks = {name: SmallDisk(self.server, place) for name, place in places.items()}
        self.media = recording(voice("male", 2.0), form="FLAC")

    def reconnect(self) -> None:
        """Leave connections that a killed worker has had."""
        self.client.close()
        self.client = httpx.Client(base_url=self.server.client.base_url, timeout=WAIT_S)

    def post(self) -> httpx.Response:
        return self.client.post(PATH, json={"voiceprints": [voiceprint_text()] * 100})

    def upload(self) -> httpx.Response:
        return self.client.post(GENDER, files={"file": ("a", self.media)})

    def answering(self) -> list[object]:
        """The workers that have ever answered."""
        return [entry["worker"] for entry in self.server.entries("worker answers")]

    def readiness(self) -> int:
        return self.client.get("/readyz").status_code

    def is_done(self, location: str) -> bool:
        """Whether a task has its result."""
        answer = self.client.get(location)
        assert answer.status_code == 200
        assert answer.json()["task"]["state"] in {"pending", "running", "done"}
        return bool(answer.json()["task"]["state"] == "done")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("disks"))
    # One that starts while the store's disk is full cannot, and is tried again until there is room.
    wait_for(lambda: len(service.answering()) == 2)
    yield service
    service.client.close()
    assert service.server.stop() == 0


def accepted(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    location: str = answer.headers["location"]
    return location


def test_a_full_disk_of_the_store_refuses_what_is_new_and_keeps_what_is_there(service: Service, tmp_path: Path) -> None:
    done, waiting = accepted(service.post()), [accepted(service.upload()) for _ in range(3)]
    before = service.client.get(done).json()
    service.disks["store"].fill()
    lines = len(service.server.entries())
    for send in (service.post, service.upload):
        for _ in range(TRIES):
            answer = send()
            # What is left in the files that are there may be enough for some.
            if answer.status_code == 202:
                waiting.append(answer.headers["location"])
            else:
                assert (answer.status_code, answer.json()) == (507, FULL)
    assert answer.status_code == 507
    assert service.client.get(done).json() == before
    assert service.client.get("/metrics").status_code == 200
    wait_for(lambda: service.readiness() == 503)
    told = service.client.get("/readyz").json()["checks"]["disk"]
    assert told == {"state": "failed", "told": "0 MiB are free where the store is, less than 64 MiB"}
    others = [
        entry for entry in service.server.entries()[lines:] if entry["event"] not in {"request", "request refused"}
    ]
    assert len(others) < LINES
    service.disks["store"].make_room()
    wait_for(lambda: service.readiness() == 200)
    accepted(service.post())
    waiting.append(accepted(service.upload()))
    wait_for(lambda: all(service.is_done(location) for location in waiting))
    assert service.client.get(done).json() == before
    for name in ("tasks.db", "tasks.db-wal"):  # SQLite would follow the path to the disk of this process
        shutil.copy(service.disks["store"].path / name, tmp_path)
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (kept,) = store.execute("SELECT count(*), sum(stored_bytes) FROM task")
        totals = dict(store.execute("SELECT name, amount FROM total").fetchall())
    assert (totals["tasks"], totals["stored_bytes"]) == kept


def test_a_full_disk_of_the_spool_refuses_media_alone(service: Service) -> None:
    disk = service.disks["spool"]
    wait_for(lambda: not list(disk.path.glob("*.media")))
    disk.fill()
    for _ in range(TRIES):
        answer = service.upload()
        assert (answer.status_code, answer.json()) == (507, FULL)
        accepted(service.post())
    wait_for(lambda: service.readiness() == 503)
    disk.make_room()
    wait_for(lambda: service.readiness() == 200)
    location = accepted(service.upload())
    wait_for(lambda: service.is_done(location))
    wait_for(lambda: not list(disk.path.glob("*.media")))


def test_a_full_disk_of_the_metrics_files_stops_no_request_and_no_worker_that_is_started_again(
    service: Service,
) -> None:
    service.disks["temp"].fill()
    first = service.answering()
    os.kill(int(str(first[0])), signal.SIGKILL)
    wait_for(lambda: len(service.answering()) > len(first))
    service.reconnect()
    for _ in range(TRIES):
        accepted(service.post())
        assert "\nvoxgender_requests_total{" in service.client.get("/metrics").text
    location = accepted(service.upload())
    wait_for(lambda: service.is_done(location))
    assert sum(entry["event"] == "worker ended" for entry in service.server.entries()) == 1
    service.disks["temp"].make_room()

"""How a service with work under way ends: asked to, it finishes; killed, it leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import httpx
import numpy as np

from chaos.processes import descendants, is_alive
from recordings import recording, voice
from serving import ServerProcess

PATH = "/api/technology/gender-identification"
LONG = recording(*[np.tile(voice("male"), 8)] * 4, form="FLAC")
"""A second of work, on a core of its own."""
BRIEF = recording(np.tile(voice("male"), 8), form="FLAC")
"""A quarter of that: who reads it gives way to all others on the machine, and must be done in time nevertheless."""
SHORT = recording(voice("male"), form="FLAC")


def begun(client: httpx.Client, file: bytes = LONG) -> str:
    """Send a file, and return where its task is polled once it is running."""
    location = client.post(PATH, files={"file": file}).headers["location"]
    until_s = time.monotonic() + 60
    while client.get(location).json()["task"]["state"] == "pending":
        assert time.monotonic() < until_s, "no worker has begun"
        time.sleep(0.02)
    return location


def work_once(client: httpx.Client) -> None:
    """Have a short file done: the process that reads files has started by then."""
    location = client.post(PATH, files={"file": SHORT}).headers["location"]
    assert client.get(location, headers={"prefer": "wait=60"}).json()["task"]["state"] == "done"


def assert_gone(processes: list[int]) -> None:
    """All of them must end soon; what is left of one that nobody has waited for counts as gone."""
    until_s = time.monotonic() + 30
    while (left := [pid for pid in processes if is_alive(pid)]) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not left


def test_a_service_that_is_asked_to_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, extractors=1)
    # To load the model on busy cores alone could take longer than the time that is left to what is under way.
    work_once(server.client)
    location = begun(server.client, BRIEF)
    processes = descendants(server.process.pid)
    assert server.stop() == 0
    assert_gone(processes)
    again = ServerProcess(tmp_path, extractors=0)
    assert again.client.get(location).json()["task"]["state"] == "done"
    assert again.stop() == 0


def test_a_signal_to_all_processes_at_once_costs_no_task_a_try(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, extractors=1)
    location = begun(server.client)
    processes = descendants(server.process.pid)
    for pid in [server.process.pid, *processes]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    assert server.stop() == 0
    assert_gone(processes)
    assert "died" not in server.log_path.read_text()
    again = ServerProcess(tmp_path, extractors=1)
    done = again.client.get(location, headers={"prefer": "wait=60"}).json()
    assert done["task"]["state"] == "done"
    assert again.stop() == 0


def test_a_service_that_is_killed_leaves_no_process_and_its_task_is_done_after_its_next_start(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, extractors=1, **{"hold-s": 1})
    location = begun(server.client)
    processes = descendants(server.process.pid)
    assert len(processes) >= 2
    # The worker as well: otherwise it would finish its task before it ends.
    os.kill(processes[0], signal.SIGKILL)
    server.kill()
    assert_gone(processes)
    again = ServerProcess(tmp_path, extractors=1, **{"hold-s": 1})
    done = again.client.get(location, headers={"prefer": "wait=60"}).json()
    assert (done["task"]["state"], len(done["result"]["channels"])) == ("done", 4)
    assert again.stop() == 0

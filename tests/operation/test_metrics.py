"""``/metrics`` tells what a known workload must give, whichever process is asked and whichever has died."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import httpx
import pytest

from metrics_page import Samples, samples_of, samples_when, total
from operation.workload import FILE_NAME, SPEECH_S, Used, ended
from recordings import call
from rpc.stubs import Endless, of_voiceprints, stubs_of
from serving import EXTRACTION, GENDER, PATH, ServerProcess, running_server, voiceprint_text
from voxgender.app.metrics import State
from voxgender.app.metrics_folder import FILE_BYTES
from voxgender.app.scrape import look
from voxgender.app.store import QueueState, StoreUsage
from voxgender.core.base64 import decode_base64

OF_VOICEPRINTS, OF_MEDIA = PATH.rpartition("/")[2], GENDER.rpartition("/")[2]
OF_EXTRACTION = EXTRACTION.rpartition("/")[2]
IDENTIFY = "GenderIdentification.Identify"
CALL_S = 4.0
"""Length of the call, in which both of two channels speak."""


@pytest.fixture(scope="module")
def samples(used: Used) -> Samples:
    # Each process notes its counts and adds them up a little later, in their order.
    return samples_when(
        used.server.client,
        lambda told: (
            total(told, "voxgender_requests_total", operation=IDENTIFY) == 4
            and total(told, "voxgender_requests_total", operation=f"POST {PATH}") == 12
            and total(told, "voxgender_tasks_total") == 10 + 4
        ),
    )


def test_requests_are_counted_by_operation_and_status(samples: Samples) -> None:
    def requests(operation: str, status: str) -> float:
        return total(samples, "voxgender_requests_total", operation=operation, status=status)

    assert requests(f"POST {PATH}", "202") == 10
    assert requests(f"POST {PATH}", "422") >= 1
    assert requests(f"POST {GENDER}", "202") == 2
    assert requests("unknown", "404") == 1
    assert requests(IDENTIFY, "OK") == 4
    counted = total(samples, "voxgender_request_duration_seconds_count", operation=f"POST {PATH}")
    assert counted == total(samples, "voxgender_requests_total", operation=f"POST {PATH}") == 12


def test_voiceprints_and_speech_are_counted_whichever_worker_scored_them(samples: Samples) -> None:
    scored = 10 * 7 + 3 * 5
    assert total(samples, "voxgender_voiceprints_total", technology=OF_VOICEPRINTS) == scored
    assert total(samples, "voxgender_speech_seconds_total", technology=OF_VOICEPRINTS) == pytest.approx(
        scored * SPEECH_S
    )


def test_audio_is_counted_by_all_channels_and_so_are_tasks_by_their_end(samples: Samples) -> None:
    # Over gRPC a recording is mixed into one channel.
    assert total(samples, "voxgender_audio_seconds_total", technology=OF_MEDIA) == pytest.approx(2 * CALL_S + CALL_S)
    assert total(samples, "voxgender_audio_seconds_total", technology=OF_EXTRACTION) == pytest.approx(2 * CALL_S)
    assert 0 < total(samples, "voxgender_speech_seconds_total", technology=OF_EXTRACTION) <= 2 * CALL_S
    ends = {
        (OF_VOICEPRINTS, "done"): 10,
        (OF_MEDIA, "done"): 2,
        (OF_MEDIA, "rejected"): 1,
        (OF_EXTRACTION, "done"): 1,
    }
    for (technology, state), tasks in ends.items():
        assert total(samples, "voxgender_tasks_total", technology=technology, state=state) == tasks


def test_each_stage_of_the_work_has_its_time(samples: Samples) -> None:
    def stages(technology: str, stage: str) -> float:
        labels = {"technology": technology, "stage": stage}
        times = total(samples, "voxgender_stage_duration_seconds_count", **labels)
        assert total(samples, "voxgender_stage_duration_seconds_sum", **labels) > 0
        return times

    # One of those that were read was refused afterwards.
    assert stages(OF_VOICEPRINTS, "reading") == 10 + 1
    assert stages(OF_VOICEPRINTS, "scoring") == 10 + 3
    # Over gRPC the licence's charge alone is stored.
    assert stages(OF_VOICEPRINTS, "storing") == 10 + 3
    assert stages(OF_MEDIA, "waiting") == stages(OF_MEDIA, "storing") == 3
    for stage in ("decoding", "detecting", "encoding", "scoring"):
        assert stages(OF_MEDIA, stage) == 2


def test_refusals_are_counted_by_their_codes(samples: Samples) -> None:
    for code in ("task.not-found", "resource.not-found", "method.invalid", "voiceprints.invalid"):
        assert total(samples, "voxgender_refusals_total", protocol="rest", code=code) == 1, code


def test_what_is_the_case_now_comes_from_the_store_and_is_told_once(samples: Samples) -> None:
    assert total(samples, "voxgender_ready") == total(samples, "voxgender_store_up") == 1
    assert total(samples, "voxgender_jobs", state="waiting") == total(samples, "voxgender_jobs", state="running") == 0
    assert total(samples, "voxgender_oldest_waiting_job_age_seconds") == 0
    assert total(samples, "voxgender_store_tasks") == 10 + 3
    assert 0 < total(samples, "voxgender_store_bytes") < total(samples, "voxgender_store_capacity_bytes") == 1024**3
    assert total(samples, "voxgender_spool_bytes") == 0
    assert total(samples, "voxgender_licence_used", resource="voiceprints") == 85
    assert total(samples, "voxgender_licence_used", resource="audio_s") == pytest.approx(5 * CALL_S)
    assert total(samples, "voxgender_licence_capacity", resource="voiceprints") == 1000
    assert total(samples, "voxgender_licence_remaining_seconds") > 10 * 365 * 86400
    assert total(samples, "voxgender_build_info", models="ge2e-2") == 1
    assert total(samples, "voxgender_grpc_open_streams") == 0


def test_openmetrics_is_told_to_who_asks_for_it(used: Used, samples: Samples) -> None:
    told = samples_of(used.server.client, is_openmetrics=True)
    assert {name for name, _ in told} >= {name for name, _ in samples}


def test_no_label_holds_what_a_client_chose(used: Used) -> None:
    page = used.server.client.get("/metrics").text
    for secret in (FILE_NAME, "secret-path", "127.0.0.1", *used.voiceprints):
        assert secret not in page
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", page), "an id"


def test_a_method_that_a_path_does_not_know_is_told_as_another_one(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        for method in ("PROPFIND", "MKCOL", "LOCK"):
            assert client.request(method, PATH).status_code == 405
        page = client.get("/metrics").text
    assert "PROPFIND" not in page
    assert "LOCK" not in page


def test_the_files_of_the_counts_have_their_room_before_anything_is_counted(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from voxgender.app.metrics_folder import count_in;"
        "count_in(Path(sys.argv[1]), 'serve0'); import voxgender.app.metrics"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    files = list(tmp_path.iterdir())
    assert {path.name for path in files} == {f"{kind}_serve0.db" for kind in ("counter", "histogram", "gauge_livesum")}
    for path in files:
        assert path.stat().st_blocks * 512 >= FILE_BYTES <= path.stat().st_size
        assert path.stat().st_mode & 0o777 == 0o600


def test_all_that_is_looked_up_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting:
        """A store that tells of the one when it is asked for the other."""

        def __init__(self) -> None:
            self.is_asked = asyncio.Event()

        async def queue(self) -> QueueState:
            await self.is_asked.wait()
            return QueueState(1, 2, 3.0)

        async def usage(self) -> StoreUsage:
            self.is_asked.set()
            return StoreUsage(1, 2, 3)

    async def run() -> State:
        return await look(Waiting(), Mock(used_bytes=lambda: 5, capacity_bytes=7), None, "ge2e-2")  # type: ignore[arg-type]

    state = asyncio.run(run())
    assert state.queue == (1, 2, 3.0)
    assert state.is_ready is None


def test_no_count_falls_when_a_worker_dies_and_its_open_streams_are_forgotten(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, workers=2, extractors=0, grpc="on", **{"grpc-port": 0})
    for seed in range(20):
        assert server.client.post(PATH, json={"voiceprints": [voiceprint_text(seed)]}).status_code == 202
    message = of_voiceprints([decode_base64(voiceprint_text())])
    with Endless([message]) as messages, stubs_of(server) as stubs:
        answers = stubs.gender.Identify(messages, timeout=60)
        next(iter(answers))
        before = samples_when(
            server.client,
            lambda told: (
                total(told, "voxgender_grpc_open_streams") == 1 and total(told, "voxgender_voiceprints_total") == 21
            ),
        )
        # All of them, so that the one with the stream is among them.
        for pid in {int(pid) for pid in re.findall(r'"worker":(\d+)', server.log_path.read_text())}:
            os.kill(pid, signal.SIGKILL)
        answers.cancel()

    def is_back() -> bool:
        try:
            with httpx.Client(base_url=server.client.base_url, timeout=10) as client:
                return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    deadline = time.monotonic() + 60
    while not is_back():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with httpx.Client(base_url=server.client.base_url, timeout=30) as client:
        after = samples_when(client, lambda told: total(told, "voxgender_grpc_open_streams") == 0)
        fallen = {key for key, value in before.items() if key[0].endswith("_total") and after.get(key, 0) < value}
        assert not fallen
        assert client.post(PATH, json={"voiceprints": [voiceprint_text()]}).status_code == 202
        samples_when(client, lambda told: total(told, "voxgender_voiceprints_total") == 22)
    server.stop()


def test_jobs_that_wait_are_told_with_their_age_and_their_bytes(tmp_path: Path) -> None:
    with running_server(tmp_path, extractors=0) as client:
        for _ in range(3):
            assert client.post(GENDER, files={"file": ("a", call())}).status_code == 202
        told = samples_when(client, lambda told: total(told, "voxgender_oldest_waiting_job_age_seconds") > 0.1)
        assert total(told, "voxgender_jobs", state="waiting") == 3
        assert total(told, "voxgender_spool_bytes") == 3 * len(call())


def test_requests_beyond_the_rate_are_counted(tmp_path: Path) -> None:
    with running_server(tmp_path, rate_limit="1 per hour") as client:
        before = total(samples_of(client), "voxgender_rate_limit_hits_total", operation="submit voiceprints")
        statuses = [client.post(PATH, json={"voiceprints": [voiceprint_text()]}).status_code for _ in range(3)]
        assert statuses == [202, 429, 429]
        after = total(samples_of(client), "voxgender_rate_limit_hits_total", operation="submit voiceprints")
        assert after - before == 2


def test_a_worker_that_runs_alone_tells_what_it_did_on_a_port_of_its_own(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, extractors=0)
    flags = [f"--store-url=sqlite:///{tmp_path}/tasks.db", "--extractors=1", "--metrics-port=0"]
    log = tmp_path / "work.log"
    with log.open("wb") as file:
        worker = subprocess.Popen([sys.executable, "-m", "voxgender", "work", *flags], stderr=file)
    try:
        assert ended(server.client, server.client.post(GENDER, files={"file": ("a", call())}))["state"] == "done"
        (line,) = [line for line in log.read_text().splitlines() if '"event":"metrics"' in line]
        url = json.loads(line)["url"].removesuffix("/metrics")
        with httpx.Client(base_url=url, timeout=30) as client:
            told = samples_when(client, lambda told: total(told, "voxgender_tasks_total", state="done") == 1)
        assert total(told, "voxgender_audio_seconds_total", technology=OF_MEDIA) == pytest.approx(2 * CALL_S)
        assert total(told, "voxgender_store_tasks") == 1
        # The server knows nothing of what others did but from the store.
        assert total(samples_of(server.client), "voxgender_tasks_total") == 0
    finally:
        worker.terminate()
        assert worker.wait(60) == 0
    assert server.stop() == 0

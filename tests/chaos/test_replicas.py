"""Two services with a worker each on one PostgreSQL are one service."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from grpc import StatusCode

from recordings import call, recording, voice
from rpc.stubs import identify_messages, of_voiceprints, refused, stubs_of
from serving import GENDER, PATH, ServerProcess, voiceprint_text
from voxgender.core.base64 import decode_base64

CAPACITY = 1000


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, postgres_server: Any) -> Iterator[list[ServerProcess]]:
    folder = tmp_path_factory.mktemp("replicas")
    licence = folder / "licence.json"
    capacity = {"period": "total", "voiceprints": CAPACITY}
    licence.write_text(json.dumps({"licensee": "A", "valid_until": "2100-01-01T00:00:00Z", "capacity": capacity}))
    settings = {"store-url": postgres_server.new_database(), "spool-dir": folder / "spool", "licence-file": licence}
    servers = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        doors = {"grpc": "on", "grpc-port": 0, "rate-limit": "100 per hour"}
        servers.append(ServerProcess(folder / name, **settings, extractors=1, **doors))
    yield servers
    assert [server.stop() for server in servers] == [0, 0]


def test_a_task_that_one_accepts_is_polled_and_deleted_at_the_other(replicas: list[ServerProcess]) -> None:
    here, there = (server.client for server in replicas)
    location = here.post(GENDER, files={"file": call()}).headers["location"]
    answer = there.get(location, headers={"prefer": "wait=30"})
    assert answer.json()["task"]["state"] == "done"
    assert [channel["gender"] for channel in answer.json()["result"]["channels"]] == ["male", "female"]
    assert there.delete(location).status_code == 204
    assert here.get(location).status_code == 404


def test_work_that_one_accepts_is_done_by_whichever_worker_is_free(replicas: list[ServerProcess]) -> None:
    client = replicas[0].client
    locations = [client.post(GENDER, files={"file": call()}).headers["location"] for _ in range(12)]
    for location in locations:
        assert client.get(location, headers={"prefer": "wait=30"}).json()["task"]["state"] == "done"
    logs = [server.log_path.read_text() for server in replicas]
    assert all('"event":"task begun"' in log for log in logs)
    for location in locations:
        task_id = location.rpartition("/")[2]
        assert sum(line.count(task_id) for log in logs for line in log.splitlines() if "task begun" in line) == 1


def test_the_licence_is_never_exceeded_by_requests_to_both_at_the_same_time(replicas: list[ServerProcess]) -> None:
    body = {"voiceprints": [voiceprint_text(seed) for seed in range(30)]}

    def send(number: int) -> int:
        return replicas[number % 2].client.post(PATH, json=body).status_code

    with ThreadPoolExecutor(16) as threads:
        statuses = Counter(threads.map(send, range(60)))
    assert statuses == {202: CAPACITY // 30, 403: 60 - CAPACITY // 30}


def test_what_both_protocols_use_at_both_is_charged_to_one_licence(replicas: list[ServerProcess]) -> None:
    left = CAPACITY % 30  # of what the test before has used
    items = [decode_base64(voiceprint_text(seed)) for seed in range(left + 1)]
    with stubs_of(replicas[0]) as here, stubs_of(replicas[1]) as there:
        with refused() as refusal:
            here.identify(of_voiceprints(items))
        assert (refusal.status, refusal.code) == (StatusCode.RESOURCE_EXHAUSTED, "licensing.capacity-exceeded")
        (answer,) = there.identify(of_voiceprints(items[:left]))
        assert len(answer.results) == left
        with refused() as refusal:
            here.identify(of_voiceprints(items[:1]))
        assert refusal.code == "licensing.capacity-exceeded"


def test_recordings_over_grpc_are_heard_by_whichever_worker_is_free_and_nothing_of_them_stays(
    replicas: list[ServerProcess],
) -> None:
    recordings = [recording(voice(gender), form="FLAC") for gender in ("male", "female")] * 4
    with stubs_of(replicas[0]) as stubs, ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda file: stubs.identify(*identify_messages(file)), recordings)
        llrs = [answer.results[0].score_male.score_llr for (answer,) in answers]
    assert [llr > 0 for llr in llrs] == [True, False] * 4
    logs = [json.loads(line) for server in replicas for line in server.log_path.read_text().splitlines()]
    asked = {entry["request_id"] for entry in logs if entry.get("method") == "GenderIdentification.Identify"}
    tasks = {
        entry["task_id"] for entry in logs if entry["event"] == "task accepted" and entry.get("request_id") in asked
    }
    deleted = {entry["task_id"] for entry in logs if entry["event"] == "task deleted"}
    assert len(tasks) == len(recordings)
    assert tasks <= deleted


def test_the_rate_limit_counts_the_requests_to_both(replicas: list[ServerProcess]) -> None:
    def poll(number: int) -> int:
        return replicas[number % 2].client.get(f"{PATH}/123e4567-e89b-12d3-a456-426614174000").status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(threads.map(poll, range(120)))
    assert statuses == {404: 100, 429: 20}

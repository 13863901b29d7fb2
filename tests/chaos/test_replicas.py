"""Two services with a worker each on one PostgreSQL are one service."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from recordings import call
from serving import PATH, ServerProcess, voiceprint_text

GENDER = "/api/technology/gender-identification"
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
        servers.append(ServerProcess(folder / name, **settings, extractors=1, **{"rate-limit": "100 per hour"}))
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


def test_the_rate_limit_counts_the_requests_to_both(replicas: list[ServerProcess]) -> None:
    def poll(number: int) -> int:
        return replicas[number % 2].client.get(f"{PATH}/123e4567-e89b-12d3-a456-426614174000").status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(threads.map(poll, range(120)))
    assert statuses == {404: 100, 429: 20}

"""Keys over REST: nothing is done without one where one is demanded, and each has its own tasks, rate and capacity."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recordings import call
from serving import EXTRACTION, GENDER, PATH, ServerProcess, running_server, voiceprint_text
from voxgender.app.key import ApiKey, new_key
from voxgender.app.licence import Capacity
from voxgender.app.settings import load_settings
from voxgender.app.sqlite_store import SqliteStore

ONE = {"voiceprints": [voiceprint_text(1)]}


def add_keys(folder: Path, *keys: ApiKey) -> None:
    async def run() -> None:
        store = SqliteStore(folder / "tasks.db", 10**9)
        await store.open()
        for key in keys:
            await store.add_key(key)
        await store.close()

    asyncio.run(run())


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


PLAIN, PLAIN_TEXT = new_key("plain", 0.0)
OTHER, OTHER_TEXT = new_key("other", 0.0)
ENDED, ENDED_TEXT = new_key("ended", 0.0, expires_s=1.0)
SMALL, SMALL_TEXT = new_key("small", 0.0, capacity=Capacity("total", voiceprints=3, audio_s=0.5))
SLOW, SLOW_TEXT = new_key("slow", 0.0, rate_limit="2 per hour")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("store")
    add_keys(folder, PLAIN, OTHER, ENDED, SMALL, SLOW)
    with running_server(folder, keys="on") as client:
        yield client


def refused(answer: httpx.Response, kind: str) -> str:
    assert answer.status_code == 403, answer.text
    assert (answer.json()["type"], answer.json()["message"]) == ("request.forbidden", "Request is forbidden.")
    (detail,) = answer.json()["detail"]
    assert (detail["location"], detail["type"]) == (["header", "authorization"], kind)
    assert answer.headers["x-correlation-id"]
    return str(detail["message"])


@pytest.mark.parametrize("path", [PATH, GENDER, EXTRACTION])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_every_operation_of_a_technology_demands_a_key(client: httpx.Client, method: str, path: str) -> None:
    url = path if method == "POST" else f"{path}/123e4567-e89b-12d3-a456-426614174000"
    assert "keys add" in refused(client.request(method, url), "key.missing")
    refused(client.request(method, url, headers=bearer("vxg_00000000_guess")), "key.unknown")
    refused(client.request(method, url, headers=bearer(ENDED_TEXT)), "key.expired")
    refused(client.request(method, url, headers={"authorization": "Basic dTpw"}), "key.missing")
    assert client.request(method, url, headers=bearer(PLAIN_TEXT)).status_code in (400, 404)


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/docs", "/openapi.json", "/api/system/info", "/api/system/status"]
)
def test_what_tells_nothing_of_anybody_is_open(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_both_headers_take_a_key(client: httpx.Client) -> None:
    for headers in (bearer(PLAIN_TEXT), {"authorization": f"bearer  {PLAIN_TEXT}"}, {"x-api-key": PLAIN_TEXT}):
        assert client.post(PATH, json=ONE, headers=headers).status_code == 202


def test_a_task_is_there_for_its_own_key_alone(client: httpx.Client) -> None:
    location = client.post(PATH, json=ONE, headers=bearer(PLAIN_TEXT)).headers["location"]
    for method in ("GET", "DELETE"):
        assert client.request(method, location, headers=bearer(OTHER_TEXT)).status_code == 404
    assert client.get(location, headers=bearer(PLAIN_TEXT)).status_code == 200
    assert client.delete(location, headers=bearer(PLAIN_TEXT)).status_code == 204


def test_an_idempotency_key_of_one_caller_is_not_another_s(client: httpx.Client) -> None:
    tasks = [
        client.post(PATH, json=ONE, headers={**bearer(text), "idempotency-key": "shared"}).json()["task"]["task_id"]
        for text in (PLAIN_TEXT, OTHER_TEXT, PLAIN_TEXT)
    ]
    assert tasks[0] == tasks[2] != tasks[1]


def test_beyond_its_own_capacity_a_key_is_refused_and_others_are_not(client: httpx.Client) -> None:
    def send(count: int, text: str) -> httpx.Response:
        return client.post(PATH, json={"voiceprints": ONE["voiceprints"] * count}, headers=bearer(text))

    assert send(2, SMALL_TEXT).status_code == 202
    told = refused(send(2, SMALL_TEXT), "key.capacity-exceeded")
    assert "The key allows 3 voiceprints" in told
    assert "2 are used and 2 more" in told
    assert send(1, SMALL_TEXT).status_code == 202
    assert send(4, PLAIN_TEXT).status_code == 202


def test_each_key_has_a_rate_of_its_own(client: httpx.Client) -> None:
    answers = [client.post(PATH, json=ONE, headers=bearer(SLOW_TEXT)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[0].headers["x-ratelimit-limit"] == "2"
    assert answers[2].json()["message"] == "Rate limit exceeded: 2 per 1 hour."
    plain = client.post(PATH, json=ONE, headers=bearer(PLAIN_TEXT))
    assert plain.status_code == 202
    assert "x-ratelimit-limit" not in plain.headers


def test_two_keys_behind_one_address_do_not_use_up_each_other_s_requests(tmp_path: Path) -> None:
    add_keys(tmp_path, PLAIN, OTHER)
    with running_server(tmp_path, keys="on", rate_limit="1 per hour") as client:
        told = [client.post(PATH, json=ONE, headers=bearer(text)).status_code for text in (PLAIN_TEXT, OTHER_TEXT) * 2]
    assert told == [202, 202, 429, 429]


def test_a_recording_beyond_the_key_s_capacity_fails_and_is_not_charged(tmp_path: Path) -> None:
    add_keys(tmp_path, SMALL, PLAIN)
    server = ServerProcess(tmp_path, keys="on", extractors=1)
    told = {}
    for text in (SMALL_TEXT, PLAIN_TEXT):
        started = server.client.post(GENDER, files={"file": ("call.wav", call())}, headers=bearer(text))
        headers = {**bearer(text), "prefer": "wait=60"}
        told[text] = server.client.get(started.headers["location"], headers=headers).json()
    server.stop()
    assert told[SMALL_TEXT]["task"]["state"] == "failed"
    (detail,) = told[SMALL_TEXT]["error"]["detail"]
    assert (detail["type"], detail["location"]) == ("key.capacity-exceeded", ["header", "authorization"])
    assert told[PLAIN_TEXT]["task"]["state"] == "done"
    assert not [secret for secret in (SMALL_TEXT, PLAIN_TEXT) if secret in server.log_path.read_text()]


@pytest.mark.parametrize(
    ("host", "keys", "is_demanded"),
    [
        ("127.0.0.1", "auto", False),
        ("localhost", "auto", False),
        ("::1", "auto", False),
        ("0.0.0.0", "auto", True),
        ("::", "auto", True),
        ("voice.example", "auto", True),
        ("0.0.0.0", "off", False),
        ("127.0.0.1", "on", True),
    ],
)
def test_on_another_address_keys_are_demanded_unless_they_are_switched_off_by_name(
    host: str, keys: str, is_demanded: bool
) -> None:
    assert load_settings(host=host, keys=keys).demands_keys is is_demanded


def test_a_service_that_demands_keys_and_has_none_says_so_in_its_log(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, keys="on")
    refused(server.client.post(PATH, json=ONE), "key.missing")
    server.stop()
    warnings = [json.loads(line) for line in server.log_path.read_text().splitlines() if "keys are demanded" in line]
    assert [one["level"] for one in warnings] == ["warning"]


def test_who_is_refused_again_and_again_is_told_to_wait_and_who_has_a_key_is_not(tmp_path: Path) -> None:
    add_keys(tmp_path, PLAIN)
    with running_server(tmp_path, keys="on") as client:
        told = [client.post(PATH, headers=bearer("vxg_0_guess")).status_code for _ in range(105)]
        assert client.post(PATH, json=ONE, headers=bearer(PLAIN_TEXT)).status_code == 202
    assert told == [403] * 100 + [429] * 5


def test_the_document_tells_of_keys(client: httpx.Client, tmp_path: Path) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    operations = [one for path, every in document["paths"].items() if "technology" in path for one in every.values()]
    assert len(operations) == 9
    for operation in operations:
        assert operation["security"] == [{"bearer": []}, {"header": []}]
        assert "403" in operation["responses"]
    with running_server(tmp_path) as open_client:
        paths = open_client.get("/openapi.json").json()["paths"]
    assert paths[PATH]["post"]["security"] == [{}, {"bearer": []}, {"header": []}]


def test_the_log_tells_which_key_called_and_never_its_secret(tmp_path: Path) -> None:
    add_keys(tmp_path, PLAIN)
    server = ServerProcess(tmp_path, keys="on")
    server.client.post(PATH, json=ONE, headers=bearer(PLAIN_TEXT))
    server.stop()
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    assert {line["key_id"] for line in lines if line["event"] in ("task accepted", "request") and "key_id" in line} == {
        PLAIN.key_id
    }
    assert PLAIN_TEXT not in server.log_path.read_text()


def test_a_key_that_is_made_while_the_service_runs_opens_soon(tmp_path: Path) -> None:
    with running_server(tmp_path, keys="on") as client:
        key, text = new_key("late", time.time())
        refused(client.post(PATH, json=ONE, headers=bearer(text)), "key.unknown")
        add_keys(tmp_path, key)
        until_s = time.monotonic() + 30
        while (answer := client.post(PATH, json=ONE, headers=bearer(text))).status_code != 202:
            assert time.monotonic() < until_s, answer.text
            time.sleep(0.05)

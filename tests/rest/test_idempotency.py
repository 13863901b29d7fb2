"""A request that starts a task may be sent again under its Idempotency-Key, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from recordings import recording
from serving import EXTRACTION, GENDER, PATH, ServerProcess, running_server, voiceprint_text
from voxgender.app.submission import NamedRequest
from voxgender.core.base64 import decode_base64
from voxgender.core.errors import RequestValidationError

SILENT = {"voiceprints": [voiceprint_text(1, speech_s=0.0)]}
ONE, TWO = {"voiceprints": [voiceprint_text(1)]}, {"voiceprints": [voiceprint_text(2)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with running_server(folder) as client:
        yield client


def task_of(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"].endswith(answer.json()["task"]["task_id"])
    return str(answer.json()["task"]["task_id"])


def test_a_repeat_is_answered_with_the_same_task_also_where_its_body_comes_packed(client: httpx.Client) -> None:
    headers = {"idempotency-key": "order 66"}
    first = task_of(client.post(PATH, json=ONE, headers=headers))
    assert task_of(client.post(PATH, json=ONE, headers=headers)) == first
    written = client.build_request("POST", PATH, json=ONE).read()
    packed = {**headers, "content-encoding": "gzip", "content-type": "application/json"}
    assert task_of(client.post(PATH, content=gzip.compress(written), headers=packed)) == first
    assert task_of(client.post(PATH, json=ONE)) != first
    assert task_of(client.post(PATH, json=ONE, headers={"idempotency-key": "order 67"})) != first


@pytest.mark.parametrize("is_first", [False, True])
def test_a_repeated_recording_with_a_config_is_known_however_the_network_cuts_it(
    client: httpx.Client, is_first: bool
) -> None:
    config = b'--x\r\ncontent-disposition: form-data; name="config"\r\n\r\n{"range_to": %d}\r\n'
    file = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n' % bytes(700_000)
    headers = {"idempotency-key": f"cut {is_first}", "content-type": "multipart/form-data; boundary=x"}

    def answer_to(range_to: int, cut_bytes: int) -> httpx.Response:
        told = config % range_to
        body = (told + file if is_first else file + told) + b"--x--\r\n"

        def pieces() -> Iterator[bytes]:
            yield body[:cut_bytes]
            time.sleep(0.1)  # or they would come as one
            yield body[cut_bytes:]

        return client.post(GENDER, content=pieces(), headers={**headers, "content-length": str(len(body))})

    first = task_of(answer_to(5, 0))
    try:
        assert [task_of(answer_to(5, cut)) for cut in (1000, 70_000, 300_000, 650_000)] == [first] * 4
        assert answer_to(6, 0).status_code == 422
    finally:
        client.delete(f"{GENDER}/{first}")


@pytest.mark.parametrize(
    "change",
    [{"json": TWO}, {"json": SILENT}, {"params": {"male_prior": "0.4"}}, {"params": {"min_probability": "0.9"}}],
)
def test_another_request_under_the_same_key_is_refused(client: httpx.Client, change: dict[str, object]) -> None:
    headers = {"idempotency-key": f"change of {next(iter(change))} {len(str(change))}"}
    task_of(client.post(PATH, json=ONE, headers=headers))
    answer = client.post(PATH, headers=headers, **{"json": ONE, **change})
    (detail,) = answer.json()["detail"]
    assert (answer.status_code, answer.json()["type"]) == (422, "request.validation-error")
    assert (detail["location"], detail["type"]) == (["header", "idempotency-key"], "idempotency-key.reused")


def test_a_refused_request_may_be_put_right_under_the_same_key(client: httpx.Client) -> None:
    headers = {"idempotency-key": "put right"}
    assert client.post(PATH, json={"voiceprints": ["?"]}, headers=headers).status_code == 422
    assert client.post(PATH, json={"voiceprints": []}, headers=headers).status_code == 422
    task_of(client.post(PATH, json=ONE, headers=headers))


def test_many_repeats_at_the_same_moment_make_one_task(client: httpx.Client) -> None:
    async def send() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as every:
            sending = [every.post(PATH, json=ONE, headers={"idempotency-key": "at once"}) for _ in range(20)]
            return await asyncio.gather(*sending)

    assert len({task_of(answer) for answer in asyncio.run(send())}) == 1


def test_a_recording_that_comes_again_makes_one_task_and_leaves_one_file(client: httpx.Client, folder: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    upload, other = recording(noise), recording(noise[::-1].copy())
    headers = {"idempotency-key": "call 17"}

    def send(media: bytes, **more: dict[str, str]) -> httpx.Response:
        return client.post(GENDER, files={"file": ("call.wav", media)}, headers=headers, **more)

    first = task_of(send(upload))
    assert task_of(send(upload)) == first
    for answer in (
        send(other),
        send(upload, params={"channel_mode": "mix"}),
        send(upload, params={"male_prior": "0.3"}),
    ):
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["type"] == "idempotency-key.reused"
    media = [path for path in (folder / "tasks.db-media").rglob("*") if path.is_file() and path.stat().st_size]
    assert [path for path in media if first in str(path)] == [path for path in media if path.stat().st_size > 1000]


@pytest.mark.parametrize("name", ["", "a" * 129, "caf\u00e9", "tab\tbed"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(RequestValidationError, match="1 to 128 printable ASCII"):
        NamedRequest(name)


def test_neither_the_key_nor_the_body_can_be_found_in_the_store(tmp_path: Path) -> None:
    text = voiceprint_text(3)
    with running_server(tmp_path) as client:
        task_of(client.post(PATH, json={"voiceprints": [text]}, headers={"idempotency-key": "my secret order"}))
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"my secret order" not in stored
    assert text.encode() not in stored
    assert decode_base64(text) not in stored


def test_a_repeat_after_the_death_of_the_server_is_answered_with_the_task_from_before(tmp_path: Path) -> None:
    headers = {"idempotency-key": "across a death"}
    server = ServerProcess(tmp_path)
    first = task_of(server.client.post(PATH, json=ONE, headers=headers))
    server.kill()
    server = ServerProcess(tmp_path)
    assert task_of(server.client.post(PATH, json=ONE, headers=headers)) == first
    server.stop()
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as store:
        assert store.execute("SELECT count(*) FROM task").fetchone() == (1,)


def test_a_repeat_is_known_also_where_the_settings_have_changed_meanwhile(tmp_path: Path) -> None:
    headers = {"idempotency-key": "other settings"}
    with running_server(tmp_path) as client:
        first = task_of(client.post(PATH, json=ONE, headers=headers))
    with running_server(tmp_path, male_prior=0.4) as client:
        assert task_of(client.post(PATH, json=ONE, headers=headers)) == first


def test_two_silent_voiceprints_under_one_key_are_two_requests(client: httpx.Client) -> None:
    headers = {"idempotency-key": "silence"}
    task_of(client.post(PATH, json=SILENT, headers=headers))
    other = {"voiceprints": [voiceprint_text(2, speech_s=0.0)]}
    assert client.post(PATH, json=other, headers=headers).status_code == 422


def test_an_extraction_is_repeated_as_well_but_is_another_thing_than_an_identification(client: httpx.Client) -> None:
    upload = {"file": ("call.wav", recording(np.zeros(1600, np.float32)))}
    headers = {"idempotency-key": "one name"}
    tasks = [task_of(client.post(path, files=upload, headers=headers)) for path in (EXTRACTION, EXTRACTION, GENDER)]
    assert tasks[0] == tasks[1] != tasks[2]

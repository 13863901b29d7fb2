"""The forms in which a result is told: whole, in slices, packed, not again, as Arrow, and once it is finished."""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import PATH, running_server, voiceprint_text

COUNT = 40
BODY = json.dumps({"voiceprints": [voiceprint_text(seed, seed % 5) for seed in range(COUNT)]}).encode()
IDENTITY = {"accept-encoding": "identity"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with running_server(folder, max_body_bytes=60_000) as client:
        yield client


@pytest.fixture(scope="module")
def location(client: httpx.Client) -> str:
    answer = post(client, BODY)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def post(client: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(PATH, content=body, headers={"content-type": "application/json", **named})


def results(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()["result"]["voiceprints"]
    return told


def test_a_whole_result_says_how_long_it_is(client: httpx.Client, location: str) -> None:
    answer = client.get(location, headers=IDENTITY)
    assert len(results(answer)) == COUNT
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-total-count"] == str(COUNT)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", [{}, {"limit": 20}, {"offset": 1, "limit": 30}])
def test_a_packed_result_is_the_same(client: httpx.Client, location: str, query: dict[str, int]) -> None:
    plain = client.get(location, params=query, headers=IDENTITY)
    with client.stream("GET", location, params=query, headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in packed.headers["vary"]
        raw = b"".join(packed.iter_raw())
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) * 2 / 3


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ({"offset": 0}, slice(0, None)),
        ({"offset": 7}, slice(7, None)),
        ({"limit": 1}, slice(0, 1)),
        ({"offset": 3, "limit": 20}, slice(3, 23)),
        ({"offset": 39, "limit": 100}, slice(39, None)),
        ({"offset": 40}, slice(0, 0)),
        ({"offset": 10**9, "limit": 10**9}, slice(0, 0)),
    ],
)
def test_a_slice_holds_just_its_results(
    client: httpx.Client, location: str, query: dict[str, int], part: slice
) -> None:
    answer = client.get(location, params=query, headers=IDENTITY)
    assert results(answer) == results(client.get(location))[part]
    assert answer.headers["x-total-count"] == str(COUNT)


@pytest.mark.parametrize("query", [{"offset": -1}, {"limit": 0}, {"offset": "x"}, {"limit": 1.5}])
def test_a_slice_that_cannot_be_is_refused_by_name(client: httpx.Client, location: str, query: dict[str, Any]) -> None:
    answer = client.get(location, params=query)
    assert (answer.status_code, answer.json()["type"]) == (422, "request.validation-error")
    assert answer.json()["detail"][0]["location"] == ["query", *query]


def test_a_repeated_poll_with_the_results_tag_is_answered_without_it(client: httpx.Client, location: str) -> None:
    first = client.get(location)
    again = client.get(location, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["x-request-id"]
    other = client.get(post(client, BODY).headers["location"], headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_a_packed_request_is_scored_like_a_plain_one(client: httpx.Client, location: str) -> None:
    packed = gzip.compress(BODY)
    started = post(client, packed, content_encoding="gzip")
    assert started.status_code == 202, started.text
    assert results(client.get(started.headers["location"])) == results(client.get(location))


def test_a_request_may_come_in_chunks_of_any_size(client: httpx.Client, location: str) -> None:
    for size in (1000, 4099):
        chunks = (BODY[at : at + size] for at in range(0, len(BODY), size))
        started = client.post(PATH, content=chunks, headers={"content-type": "application/json"})
        assert started.status_code == 202, started.text
        assert results(client.get(started.headers["location"])) == results(client.get(location))


def test_a_packed_request_that_unpacks_to_too_much_is_refused(client: httpx.Client) -> None:
    answer = post(client, gzip.compress(b" " * 60_001), content_encoding="gzip")
    assert (answer.status_code, answer.json()["type"]) == (413, "request.size-limit-exceeded")
    assert "unpacked" in answer.json()["detail"][0]["message"]


def test_arrow_in_and_out_says_the_same_as_json(client: httpx.Client, location: str) -> None:
    pa = pytest.importorskip("pyarrow")
    from base64 import b64decode

    column = pa.array([b64decode(text) for text in json.loads(BODY)["voiceprints"]], pa.binary())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("voiceprint", pa.binary())])) as writer:
        writer.write_table(pa.table({"voiceprint": column}))
    arrow = "application/vnd.apache.arrow.stream"
    started = client.post(PATH, content=sink.getvalue().to_pybytes(), headers={"content-type": arrow})
    assert started.status_code == 202, started.text
    answer = client.get(started.headers["location"], headers={"accept": arrow})
    assert answer.headers["content-type"] == arrow
    rows = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    for row, told in zip(rows, results(client.get(location)), strict=True):
        assert row["gender"] == told["gender"]
        assert row["speech_length"] == pytest.approx(told["speech_length"], abs=0.006)
        if told["scores"]:
            assert row["score_llr"] == pytest.approx(told["scores"][0]["score_llr"], abs=6e-5)
            assert row["male_probability"] == pytest.approx(told["scores"][0]["probability"], abs=6e-7)
        else:
            assert row["score_llr"] is row["male_probability"] is None


def set_state(folder: Path, state: str) -> None:
    with closing(sqlite3.connect(folder / "tasks.db", timeout=30)) as store, store:
        store.execute("UPDATE task SET state = ?", (state,))


def test_a_poll_waits_for_a_task_that_is_not_finished_as_long_as_it_prefers(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        location = post(client, BODY).headers["location"]
        assert "preference-applied" not in client.get(location).headers
        done = client.get(location, headers={"prefer": "respond-async, wait=30"})
        assert (done.status_code, done.headers["preference-applied"]) == (200, "wait=30")
        set_state(tmp_path, "running")
        began_s = time.monotonic()
        running = client.get(location, headers={"prefer": "wait=1"})
        assert time.monotonic() - began_s >= 1
        assert running.json() == {
            "task": {**done.json()["task"], "state": "running", "progress": 1.0},
            "result": None,
            "error": None,
        }
        assert "etag" not in running.headers
        later = threading.Timer(0.3, set_state, (tmp_path, "done"))
        later.start()
        assert client.get(location, headers={"prefer": "wait=30"}).json() == done.json()
        later.join()


def test_a_task_that_is_unknown_is_not_waited_for(client: httpx.Client) -> None:
    answer = client.get(f"{PATH}/123e4567-e89b-12d3-a456-426614174000", headers={"prefer": "wait=60"})
    assert answer.status_code == 404

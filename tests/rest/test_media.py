"""Media over REST: a real server with real workers, and recordings of made voices."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import voxgender
from recordings import call, recording, voice
from serving import EXTRACTION, GENDER, PATH, ServerProcess
from voxgender.core.base64 import decode_base64
from voxgender.core.voiceprint import decode_voiceprint
from voxgender.files.extraction import Extractor
from voxgender.files.models import extractor_folder
from voxgender.files.recording import extract_voiceprint
from voxgender.rest.media_body import MAX_OTHER_BYTES

MAX_FILE_BYTES = 4_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {
        "extractors": 1,
        "max-file-bytes": MAX_FILE_BYTES,
        "max-audio-s": 20,
        "spool-capacity-bytes": 20_000_000,
    }
    server = ServerProcess(tmp_path_factory.mktemp("media"), **settings)
    yield server
    server.stop()


@pytest.fixture
def client(server: ServerProcess) -> httpx.Client:
    return server.client


def start(client: httpx.Client, path: str, file: bytes, **more: Any) -> httpx.Response:
    return client.post(path, files={"file": ("call.bin", file), **more.pop("parts", {})}, **more)


def finished(client: httpx.Client, started: httpx.Response) -> dict[str, Any]:
    """The answer to a poll once the task is finished."""
    assert started.status_code == 202, started.text
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        answer = client.get(started.headers["location"], headers={"prefer": "wait=20"})
        assert answer.status_code == 200, answer.text
        if answer.json()["task"]["state"] in ("done", "rejected", "failed"):
            told: dict[str, Any] = answer.json()
            return told
    raise AssertionError("the task did not end")


def identify(client: httpx.Client, file: bytes, **more: Any) -> list[dict[str, Any]]:
    told = finished(client, start(client, GENDER, file, **more))
    assert (told["task"]["state"], told["error"]) == ("done", None)
    channels: list[dict[str, Any]] = told["result"]["channels"]
    return channels


def refusal(client: httpx.Client, path: str, file: bytes, **more: Any) -> tuple[int, dict[str, Any]]:
    answer = start(client, path, file, **more)
    return answer.status_code, answer.json()


# What is told


def test_each_channel_of_a_recording_has_a_result_of_its_own(client: httpx.Client) -> None:
    started = start(client, GENDER, call())
    assert started.headers["location"] == started.headers["x-location"]
    task = started.json()["task"]
    assert started.headers["location"] == f"{GENDER}/{task['task_id']}"
    assert (set(task), task["state"]) == ({"task_id", "state"}, "pending")
    told = finished(client, started)
    channels = told["result"]["channels"]
    assert [(one["channel_number"], one["gender"]) for one in channels] == [(0, "male"), (1, "female")]
    assert all(2 < one["speech_length"] <= 4 for one in channels)
    assert all(abs(sum(score["probability"] for score in one["scores"]) - 1) < 1e-9 for one in channels)


def test_a_result_is_what_the_library_says_of_the_same_channel(client: httpx.Client) -> None:
    told = identify(client, call())
    for number, gender in enumerate(("male", "female")):
        expected = voxgender.identify(recording(voice(gender), form="FLAC"))[0].as_dict()
        assert told[number] == {"channel_number": number, **expected}


def test_a_voiceprint_is_bit_by_bit_what_the_library_makes_of_the_same_channel(client: httpx.Client) -> None:
    told = finished(client, start(client, EXTRACTION, call()))
    channels = told["result"]["channels"]
    extractor = Extractor(extractor_folder("ge2e-2"))
    for number, gender in enumerate(("male", "female")):
        expected = extract_voiceprint(recording(voice(gender), form="FLAC"), extractor)
        found = decode_voiceprint(decode_base64(channels[number]["voiceprint"]))
        assert np.array_equal(found.vector, expected.vector)
        assert (found.speech_s, channels[number]["model"]) == (expected.speech_s, "ge2e-2")
        assert channels[number]["speech_length"] == round(expected.speech_s, 2)


def test_what_is_extracted_can_be_identified(client: httpx.Client) -> None:
    channels = finished(client, start(client, EXTRACTION, call()))["result"]["channels"]
    started = client.post(PATH, json={"voiceprints": [channel["voiceprint"] for channel in channels]})
    results = client.get(started.headers["location"]).json()["result"]["voiceprints"]
    assert [{"channel_number": number, **result} for number, result in enumerate(results)] == identify(client, call())


def test_the_channels_may_be_chosen_and_mixed(client: httpx.Client) -> None:
    both = identify(client, call())
    assert identify(client, call(), params={"channels": "1"}) == both[1:]
    assert identify(client, call(), params={"channels": "1,0"}) == both[::-1]
    assert identify(client, call(), params={"channels": ""}) == both
    assert identify(client, call(), params={"channels": ["1", "0"]}) == both[::-1]
    (mixed,) = identify(client, call(), params={"channel_mode": "mix"})
    assert mixed["channel_number"] == 0
    (first,) = identify(client, call(), params={"channel_mode": "mix", "channels": "0"})
    assert first["gender"] == "male"


def test_the_range_and_the_speech_may_be_bounded(client: httpx.Client) -> None:
    man_then_woman = recording(np.concatenate((voice("male"), voice("female"))))
    (man,) = identify(client, man_then_woman, params={"range_to": 4})
    (woman,) = identify(client, man_then_woman, params={"range_from": 4, "range_to": 100})
    assert (man["gender"], woman["gender"]) == ("male", "female")
    (short,) = identify(client, man_then_woman, params={"max_speech_length": 1})
    assert short["speech_length"] == 1
    (nothing,) = identify(client, man_then_woman, params={"range_from": 50})
    assert (nothing["gender"], nothing["scores"], nothing["speech_length"]) == ("unknown", [], 0)


def test_the_parameters_may_come_in_the_body_instead_of_the_query(client: httpx.Client) -> None:
    config = {"channel_mode": "split", "channels": [1], "range_from": 0.5, "range_to": 3.5, "max_speech_length": 2}
    in_body = identify(client, call(), parts={"config": (None, json.dumps(config))})
    in_query = identify(client, call(), params={**config, "channels": "1"})
    assert in_body == in_query
    as_text = identify(client, call(), parts={"config": (None, json.dumps({**config, "channels": "1"}))})
    assert as_text == in_body


def test_what_the_config_says_goes_before_the_query_and_its_nulls_say_nothing(client: httpx.Client) -> None:
    query = {"channels": "0", "max_speech_length": 1}
    config = json.dumps({"channels": [1], "range_to": None, "max_speech_length": None})
    (told,) = identify(client, call(), params=query, parts={"config": (None, config)})
    assert (told["channel_number"], told["speech_length"]) == (1, 1)


def test_a_decision_may_be_asked_for_and_stays_with_the_task(client: httpx.Client) -> None:
    plain = identify(client, call())
    asked = identify(client, call(), params={"male_prior": 0.99, "min_probability": 0.999})
    assert [one["scores"][0]["score_llr"] for one in asked] == [one["scores"][0]["score_llr"] for one in plain]
    assert asked[0]["scores"][0]["probability"] > plain[0]["scores"][0]["probability"]


def test_silence_is_done_and_unknown(client: httpx.Client) -> None:
    silence = recording(np.zeros(32_000, np.float32))
    assert identify(client, silence) == [{"channel_number": 0, "speech_length": 0.0, "scores": [], "gender": "unknown"}]
    told = finished(client, start(client, EXTRACTION, silence))
    assert told["result"]["channels"][0]["speech_length"] == 0


@pytest.mark.parametrize("form", ["WAV", "MP3", "OGG", "AIFF"])
def test_a_format_is_known_by_its_content(client: httpx.Client, form: str) -> None:
    (told,) = identify(client, recording(voice("male"), form=form))
    assert told["gender"] == "male"


def test_a_finished_task_has_an_etag(client: httpx.Client) -> None:
    location = (started := start(client, GENDER, call())).headers["location"]
    finished(client, started)
    etag = client.get(location).headers["etag"]
    assert client.get(location, headers={"if-none-match": etag}).status_code == 304


# What cannot be


@pytest.mark.parametrize(
    ("file", "params", "code"),
    [
        (b"", {}, "media.invalid"),
        # Which of the two it is depends on the decoders that are installed.
        (b"this is no audio, whatever its name says", {}, ("media.unsupported", "media.invalid")),
        (recording(voice("male"))[:30], {}, "media.invalid"),
        (recording(np.zeros(21 * 16_000, np.float32), form="FLAC"), {}, "media.limit-exceeded"),
        (call(), {"channels": "0,2"}, "media.channel-missing"),
    ],
    ids=["nothing", "text", "broken", "too long", "no such channel"],
)
def test_a_file_that_does_not_fit_ends_its_task_as_rejected(
    client: httpx.Client, file: bytes, params: dict[str, str], code: str | tuple[str, ...]
) -> None:
    for path in (GENDER, EXTRACTION):
        told = finished(client, start(client, path, file, params=params))
        assert (told["task"]["state"], told["result"]) == ("rejected", None)
        assert told["error"]["type"] == "task.validation-error"
        (detail,) = told["error"]["detail"]
        assert detail["location"] == ["body", "file"]
        assert detail["type"] in ((code,) if isinstance(code, str) else code)
        assert "/" not in detail["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channel_mode", "both"),
        ("channels", "a"),
        ("channels", "-1"),
        ("channels", "0,,1"),
        ("range_from", "-1"),
        ("range_from", "nan"),
        ("range_to", "-0.1"),
        ("range_to", "0"),
        ("max_speech_length", "0"),
        ("max_speech_length", "inf"),
        ("male_prior", "1"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_its_name(client: httpx.Client, name: str, value: str) -> None:
    for more in ({"params": {name: value}}, {"parts": {"config": (None, json.dumps({name: value}))}}):
        status, body = refusal(client, GENDER, call(), **more)
        assert (status, body["type"]) == (422, "request.validation-error")
        where = ["query"] if "params" in more else ["body", "config"]
        assert body["detail"][0]["location"][: len(where) + 1] == [*where, name]


@pytest.mark.parametrize("config", [b"{", b"[]", b"\x00", b"", b"not json", b"\xff", b"[" * 60_000, b'{"x":"\\ud800"}'])
def test_a_config_that_is_no_json_object_is_refused(client: httpx.Client, config: bytes) -> None:
    status, body = refusal(client, GENDER, b"", parts={"config": (None, config)})
    (detail,) = body["detail"]
    assert (status, detail["location"]) == (422, ["body", "config"])
    # It is told back as text, not as Python writes bytes.
    assert detail["message"].startswith(f"config is {config.decode(errors='replace')[:40]!r}: ")


def test_an_unknown_key_of_the_config_is_refused_with_its_name(client: httpx.Client) -> None:
    for value in ([1], None):
        config = json.dumps({"channels": [0], "chanels": value})
        status, body = refusal(client, GENDER, b"", parts={"config": (None, config)})
        (detail,) = body["detail"]
        assert (status, detail["location"], detail["type"]) == (422, ["body", "config", "chanels"], "value.unknown")
        assert detail["message"] == f"chanels is '{json.dumps(value)}': there is no such parameter."


def test_an_unknown_name_in_the_query_is_ignored_however_often_it_is_said(client: httpx.Client) -> None:
    told = identify(client, call(), params={"chanels": ["1", "2"], "channels": "0", "male_priors": "9"})
    assert [one["channel_number"] for one in told] == [0]


@pytest.mark.parametrize("name", ["channel_mode", "range_from", "range_to", "max_speech_length", "male_prior"])
def test_a_parameter_that_the_query_says_twice_is_refused_with_its_name(client: httpx.Client, name: str) -> None:
    value = "mix" if name == "channel_mode" else "0.5"
    status, body = refusal(client, GENDER, b"", params={name: [value, value]})
    (detail,) = body["detail"]
    assert (status, detail["location"], detail["type"]) == (422, ["query", name], "value.repeated")


def test_a_channel_that_cannot_be_is_refused_with_its_place_and_the_name_of_the_list(client: httpx.Client) -> None:
    status, body = refusal(client, GENDER, b"", params={"channels": ["0", "a"]})
    (detail,) = body["detail"]
    assert (status, detail["location"]) == (422, ["query", "channels", 1])
    assert detail["message"].startswith("channels[1] is 'a': ")
    status, body = refusal(client, GENDER, b"", parts={"config": (None, '{"channels": [0, 1, null]}')})
    (detail,) = body["detail"]
    assert (status, detail["location"]) == (422, ["body", "config", "channels", 2])
    assert detail["message"].startswith("channels[2] is 'null': ")


def test_extraction_decides_nothing_so_it_ignores_what_is_said_of_the_decision(client: httpx.Client) -> None:
    decision = {"male_prior": 7, "min_probability": "x"}
    more = {"params": decision, "parts": {"config": (None, json.dumps(decision))}}
    assert client.delete(start(client, EXTRACTION, b"", **more).headers["location"]).status_code == 204


IMPOSSIBLE = {
    "channel_mode": "both",
    "channels": "a",
    "range_from": "-1",
    "range_to": "-1",
    "max_speech_length": "0",
    "male_prior": "1",
    "min_probability": "0",
    "offset": "-1",
    "limit": "0",
}
"""A value for each parameter that any operation has; one that reads it refuses the value."""


@pytest.mark.parametrize("path", [GENDER, EXTRACTION])
@pytest.mark.parametrize("method", ["post", "get", "delete"])
def test_the_documented_parameters_are_exactly_those_that_are_read(
    client: httpx.Client, path: str, method: str
) -> None:
    template = path if method == "post" else f"{path}/{{task_id}}"
    silence = recording(np.zeros(1600, np.float32))
    documented = client.get("/openapi.json").json()["paths"][template][method]["parameters"]

    def named(place: str) -> set[str]:
        return {one["name"] for one in documented if one["in"] == place}

    def ask(**more: Any) -> httpx.Response:
        url = path
        if method != "post":
            url = start(client, path, silence).headers["location"]
        elif "headers" not in more:
            more["files"] = {"file": b""}
        return client.request(method, url, **more)

    read = {name for name, value in IMPOSSIBLE.items() if ask(params={name: value}).status_code == 422}
    assert named("query") == read
    headers = {
        name for name in ("x-correlation-id", "x-request-id") if ask(headers={name: "a" * 129}).status_code == 400
    }
    headers |= {"idempotency-key"} if ask(headers={"idempotency-key": ""}).status_code == 422 else set()
    answer = ask(headers={"prefer": "wait=20", "if-none-match": "*"})
    headers |= {"prefer"} if "preference-applied" in answer.headers else set()
    headers |= {"if-none-match"} if answer.status_code == 304 else set()
    assert named("header") == headers
    assert named("path") == (set() if method == "post" else {"task_id"})


def test_a_channel_list_is_documented_as_the_text_that_it_is(client: httpx.Client) -> None:
    for path in (GENDER, EXTRACTION):
        parameters = client.get("/openapi.json").json()["paths"][path]["post"]["parameters"]
        (channels,) = (one["schema"] for one in parameters if one["name"] == "channels")
        assert (channels["type"], channels["default"]) == ("string", "")
        assert not {"items", "maxItems"} & channels.keys()


def test_a_poll_tells_all_channels_whatever_its_query_says(client: httpx.Client) -> None:
    location = (started := start(client, GENDER, call())).headers["location"]
    told = finished(client, started)
    for query in ({"offset": "1"}, {"limit": "1"}, {"offset": "x", "limit": "0"}):
        assert client.get(location, params=query).json() == told


def test_unknown_paths_and_methods_are_refused_in_the_contract_s_body(client: httpx.Client) -> None:
    for path in (GENDER, EXTRACTION):
        location = start(client, path, b"").headers["location"]
        for method, url, allowed in (("GET", path, "POST"), ("PUT", location, "DELETE, GET")):
            answer = client.request(method, url)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
            message = f"The method {method} is not allowed here."
            assert answer.json() == {"type": "method.invalid", "message": message, "detail": []}
        for url in (f"{path}/", f"{location}/x"):
            answer = client.get(url)
            assert answer.status_code == 404
            message = "There is nothing at this path."
            assert answer.json() == {"type": "resource.not-found", "message": message, "detail": []}


def test_a_file_that_is_too_large_is_refused_with_its_size(client: httpx.Client) -> None:
    status, body = refusal(client, GENDER, bytes(MAX_FILE_BYTES + 1))
    assert (status, body["type"], body["message"]) == (
        413,
        "request.size-limit-exceeded",
        "Request size limit exceeded.",
    )
    (detail,) = body["detail"]
    assert (detail["location"], detail["message"]) == (["body", "file"], "Input media file too large.")
    assert detail["type"] == "media.too-large"
    assert detail["context"]["max_file_size"] == MAX_FILE_BYTES
    assert detail["context"]["file_size"] > MAX_FILE_BYTES
    assert detail["context"]["size_unit"] == "bytes"


@pytest.mark.parametrize("file_bytes", [MAX_FILE_BYTES, MAX_FILE_BYTES - 1])
def test_a_file_of_the_maximum_is_taken_whatever_stands_in_the_body_besides(
    client: httpx.Client, file_bytes: int
) -> None:
    config = '{"channels": [0]}'.ljust(60_000)
    started = start(client, GENDER, bytes(file_bytes), parts={"config": (None, config)})
    assert started.status_code == 202
    assert client.delete(started.headers["location"]).status_code == 204


def test_a_body_that_no_file_may_fill_is_refused_before_it_comes(client: httpx.Client) -> None:
    declared_bytes = MAX_FILE_BYTES + MAX_OTHER_BYTES + 1
    head = (
        f"POST {GENDER} HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\n"
        f"content-length: {declared_bytes}\r\n\r\n"
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = b""
        while not answer.endswith(b"]}"):
            piece = connection.recv(65_536)
            assert piece, "the connection was closed within the answer"
            answer += piece
    assert answer.startswith(b"HTTP/1.1 413 ")
    (detail,) = json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]
    assert (detail["type"], detail["context"]["file_size"]) == ("media.too-large", declared_bytes)


@given(name=st.binary(max_size=100))
@example(name="Müller.wav".encode("latin-1"))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_may_have_any_name_in_any_encoding(client: httpx.Client, name: bytes) -> None:
    quoted = name.translate(None, b'"\\\r\n')
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + quoted + b'"\r\n\r\n'
    started = client.post(
        GENDER, content=head + b"a\r\n--x--\r\n", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert started.status_code == 202
    assert client.delete(started.headers["location"]).status_code == 204


def test_a_file_of_unknown_size_is_refused_once_it_is_too_large(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(60):
            yield bytes(100_000)
        yield b"\r\n--x--\r\n"

    answer = client.post(GENDER, content=pieces(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (413, "media.too-large")


@pytest.mark.parametrize(
    ("kind", "body", "status", "location"),
    [
        ("application/json", b"{}", 400, ["header", "content-type"]),
        ("multipart/form-data", b"--x--\r\n", 400, ["header", "content-type"]),
        ("multipart/form-data; boundary=x", b"no multipart", 400, ["body"]),
        ("multipart/form-data; boundary=x", b"", 400, ["body"]),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc',
            400,
            ["body"],
        ),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 422, ["body", "file"]),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n' * 2 + b"--x--\r\n",
            422,
            ["body", "file"],
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\na\r\n' * 17 + b"--x--\r\n",
            400,
            ["body"],
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n\xff\r\n\r\na\r\n--x--\r\n", 400, ["body"]),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Length: \xb2\r\n\r\na\r\n--x--\r\n',
            400,
            ["body"],
        ),
    ],
    ids=["json", "no boundary", "text", "nothing", "cut off", "no file", "two files", "many parts", "no name", "size"],
)
def test_a_body_that_is_not_as_it_must_be_is_refused(
    client: httpx.Client, server: ServerProcess, kind: str, body: bytes, status: int, location: list[str]
) -> None:
    answer = client.post(GENDER, content=body, headers={"content-type": kind})
    (detail,) = answer.json()["detail"]
    assert (answer.status_code, detail["location"]) == (status, location)
    assert "Error(" not in detail["message"]
    assert spooled(server) == []


def spooled(server: ServerProcess) -> list[str]:
    return [path.stem for path in (server.log_path.parent / "tasks.db-media").glob("*.media")]


def test_no_media_are_left_after_their_tasks(client: httpx.Client, server: ServerProcess) -> None:
    finished(client, start(client, GENDER, call()))
    finished(client, start(client, GENDER, b"no audio"))
    until_s = time.monotonic() + 5
    while spooled(server) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert spooled(server) == []


def test_a_spool_without_room_refuses_what_does_not_fit_and_takes_what_does(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, **{"extractors": 0, "spool-capacity-bytes": 300_000})
    try:
        small = recording(voice("male", 2.0), form="FLAC")
        assert start(server.client, GENDER, small).status_code == 202
        status, body = refusal(server.client, GENDER, bytes(290_000))
        assert (status, body["type"], body["detail"]) == (507, "storage.capacity-exceeded", [])
        assert start(server.client, GENDER, small).status_code == 202
    finally:
        server.stop()


# Tasks


def test_a_task_is_found_at_its_own_technology_alone(client: httpx.Client) -> None:
    location = (started := start(client, GENDER, call())).headers["location"]
    task_id = location.rpartition("/")[2]
    for path in (EXTRACTION, PATH):
        for method in ("GET", "DELETE"):
            assert client.request(method, f"{path}/{task_id}").status_code == 404
    assert finished(client, started)["task"]["state"] == "done"


def test_a_deleted_task_is_forgotten_whatever_its_state(client: httpx.Client, server: ServerProcess) -> None:
    long = recording(np.tile(voice("male"), 4), np.tile(voice("female"), 4), form="FLAC")
    waiting = [start(client, GENDER, long).headers["location"] for _ in range(3)]
    done = (started := start(client, GENDER, call())).headers["location"]
    for location in waiting:
        assert client.delete(location).status_code == 204
        assert client.get(location).status_code == 404
        assert client.delete(location).status_code == 404
    assert finished(client, started)["task"]["state"] == "done"
    assert client.delete(done).status_code == 204
    assert client.get(done).status_code == 404
    assert not {location.rpartition("/")[2] for location in waiting} & set(spooled(server))


def test_a_deleted_task_of_voiceprints_is_forgotten(client: httpx.Client) -> None:
    channels = finished(client, start(client, EXTRACTION, call()))["result"]["channels"]
    location = client.post(PATH, json={"voiceprints": [channels[0]["voiceprint"]]}).headers["location"]
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404
    assert client.delete(location).json()["type"] == "resource.not-found"


def test_nothing_of_a_recording_reaches_the_log(client: httpx.Client, server: ServerProcess) -> None:
    channels = finished(client, start(client, EXTRACTION, call()))["result"]["channels"]
    log = server.log_path.read_text()
    assert channels[0]["voiceprint"][100:140] not in log
    assert "Traceback" not in log
    assert '"event":"task ended"' in log


def test_the_correlation_id_of_a_request_is_in_the_log_lines_of_its_worker_too(
    client: httpx.Client, server: ServerProcess
) -> None:
    finished(client, start(client, GENDER, call(), headers={"x-correlation-id": "from-end-to-end"}))
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    ended = [line["event"] for line in lines if line.get("correlation_id") == "from-end-to-end"]
    assert {"task accepted", "task begun", "task ended"} <= set(ended)

"""The error table and the two operations of the wire contract, row by row, over a real socket."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import PATH, running_server, voiceprint_text

ERROR_TYPES = {
    "internal",
    "resource.not-found",
    "method.invalid",
    "request.forbidden",
    "request.invalid",
    "request.validation-error",
    "request.rate-limit-exceeded",
    "request.size-limit-exceeded",
    "storage.capacity-exceeded",
}
GOOD = voiceprint_text()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_server(tmp_path_factory.mktemp("store"), max_voiceprints=20, max_body_bytes=100_000) as client:
        yield client


def post(client: httpx.Client, *voiceprints: object, **headers: str) -> httpx.Response:
    return client.post(PATH, json={"voiceprints": voiceprints}, headers=headers)


def licence_file(folder: Path, valid_until: str = "2999-01-01T00:00:00Z", voiceprints: int = 3) -> Path:
    capacity = {"period": "total", "voiceprints": voiceprints}
    path = folder / "licence.json"
    path.write_text(json.dumps({"licensee": "ACME", "valid_until": valid_until, "capacity": capacity}))
    return path


def check_error(answer: httpx.Response, status: int, kind: str, message: str | None) -> list[dict[str, object]]:
    """Check the one body of all errors and return its details."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-correlation-id"]
    assert answer.headers["x-request-id"]
    body = answer.json()
    assert set(body) == {"type", "message", "detail"}
    assert body["type"] == kind
    assert kind in ERROR_TYPES
    if message is not None:
        assert body["message"] == message
    for detail in body["detail"]:
        assert set(detail) == {"location", "message", "type", "context"}
        assert all(isinstance(part, str | int) for part in detail["location"])
        assert all(isinstance(value, str | int | float | bool) for value in detail["context"].values())
    details: list[dict[str, object]] = body["detail"]
    return details


def test_a_new_task_is_answered_with_202_its_id_its_state_and_both_location_headers(client: httpx.Client) -> None:
    answer = post(client, GOOD)
    assert answer.status_code == 202
    task = answer.json()["task"]
    assert set(answer.json()) == {"task"}
    assert set(task) == {"task_id", "state"}
    assert str(uuid.UUID(task["task_id"])) == task["task_id"]
    assert task["state"] == "done"
    assert answer.headers["location"] == answer.headers["x-location"] == f"{PATH}/{task['task_id']}"


def test_polling_gives_one_result_for_each_voiceprint_in_the_order_of_the_request(client: httpx.Client) -> None:
    speech = [1.0, 2.5, 0.0, 7.25]
    started = post(client, *(voiceprint_text(seed, speech_s) for seed, speech_s in enumerate(speech)))
    answer = client.get(started.headers["location"])
    assert answer.status_code == 200
    body = answer.json()
    assert body["task"] == started.json()["task"]
    assert body["error"] is None
    results = body["result"]["voiceprints"]
    assert [result["speech_length"] for result in results] == speech
    assert results[2] == {"speech_length": 0.0, "scores": [], "gender": "unknown"}
    for result in (results[0], results[1], results[3]):
        male, female = result["scores"]
        assert (male["gender"], female["gender"]) == ("male", "female")
        assert male["probability"] + female["probability"] == pytest.approx(1, abs=1e-12)
        assert male["score_llr"] == -female["score_llr"]
        assert result["gender"] == ("male" if male["probability"] > 0.5 else "female")


def identify(client: httpx.Client, *voiceprints: str, **parameters: float) -> list[dict[str, Any]]:
    """The results of voiceprints."""
    started = client.post(PATH, params=parameters, json={"voiceprints": voiceprints})
    assert started.status_code == 202, started.text
    results: list[dict[str, Any]] = client.get(started.headers["location"]).json()["result"]["voiceprints"]
    return results


def likelier(result: dict[str, Any]) -> float:
    return max(float(score["probability"]) for score in result["scores"])


def test_a_minimum_probability_in_the_query_makes_unknown_what_is_below_it_and_changes_nothing_else(
    client: httpx.Client,
) -> None:
    voiceprints = [*(voiceprint_text(seed, 1 + seed / 4) for seed in range(15)), voiceprint_text(speech_s=0.0)]
    plain = identify(client, *voiceprints)
    reached = max(0.5, min(map(likelier, plain[:-1])) - 1e-5)
    missed = (1 + max(map(likelier, plain[:-1]))) / 2
    assert identify(client, *voiceprints, min_probability=reached) == plain
    strict = identify(client, *voiceprints, min_probability=missed)
    assert strict == [{**result, "gender": "unknown"} for result in plain] != plain


def test_a_prior_in_the_query_shifts_the_probabilities_and_leaves_the_likelihood_ratios(client: httpx.Client) -> None:
    (even,), (low,) = identify(client, GOOD), identify(client, GOOD, male_prior=0.01)
    assert [score["score_llr"] for score in low["scores"]] == [score["score_llr"] for score in even["scores"]]
    log_odds = even["scores"][0]["score_llr"] - math.log(99)
    assert low["scores"][0]["probability"] == pytest.approx(1 / (1 + math.exp(-log_odds)), abs=1e-5)


def test_a_request_that_says_nothing_gets_the_settings_and_one_that_says_something_gets_that_alone(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path, male_prior=0.01, min_probability=0.999999) as client:
        assert client.get("/api/system/info").json()["defaults"] == {"male_prior": 0.01, "min_probability": 0.999999}
        (silent,) = identify(client, GOOD)
        (lenient,) = identify(client, GOOD, min_probability=0.5)
        (even,) = identify(client, GOOD, male_prior=0.5)
        (both,) = identify(client, GOOD, male_prior=0.5, min_probability=0.5)
    assert (silent["gender"], even["gender"]) == ("unknown", "unknown")
    assert "unknown" not in (lenient["gender"], both["gender"])
    assert silent["scores"] == lenient["scores"] != even["scores"] == both["scores"]


def test_the_contract_s_own_defaults_said_aloud_change_no_byte_of_the_result(client: httpx.Client) -> None:
    answers = []
    for parameters in ({}, {"male_prior": 0.5, "min_probability": 0.5}):
        started = client.post(PATH, params=parameters, json={"voiceprints": [GOOD]})
        answers.append(client.get(started.headers["location"]).content.partition(b'"result"')[2])
    assert answers[0] == answers[1] != b""


def test_white_space_around_a_voiceprint_is_tolerated_and_changes_nothing(client: httpx.Client) -> None:
    started = post(client, GOOD, f" \r\n{GOOD}\n")
    plain, spaced = client.get(started.headers["location"]).json()["result"]["voiceprints"]
    assert plain == spaced


def test_unknown_keys_and_any_order_and_spacing_of_the_json_are_accepted(client: httpx.Client) -> None:
    body = f'\n{{ "x": [1, {{"y": null}}] ,"voiceprints" :[ "{GOOD}" ] , "z":1e9}}\t'
    answer = client.post(PATH, content=body, headers={"content-type": "application/json; charset=utf-8"})
    assert answer.status_code == 202


@pytest.mark.parametrize("method", ["POST", "GET", "unknown path", "error"])
def test_both_ids_are_echoed_on_every_answer_and_made_where_they_are_absent(client: httpx.Client, method: str) -> None:
    sent = {"x-correlation-id": "order 66", "x-request-id": "r-1"}
    task_path = post(client, GOOD).headers["location"]

    def ask(headers: dict[str, str]) -> httpx.Response:
        if method == "POST":
            return post(client, GOOD, **headers)
        if method == "error":
            return post(client, "no voiceprint", **headers)
        return client.get(task_path if method == "GET" else "/nothing", headers=headers)

    echoed = ask(sent)
    assert {name: echoed.headers[name] for name in sent} == sent
    first, second = ask({}), ask({})
    for name in sent:
        assert uuid.UUID(first.headers[name]) != uuid.UUID(second.headers[name])


@pytest.mark.parametrize("name", ["x-correlation-id", "x-request-id"])
@pytest.mark.parametrize("value", ["a" * 129, "tab\there", "b\xe9", "\x7f"])
def test_an_id_that_is_too_long_or_not_printable_is_refused_with_400(
    client: httpx.Client, name: str, value: str
) -> None:
    answer = client.post(PATH, json={"voiceprints": [GOOD]}, headers={name: value.encode("latin-1")})
    (detail,) = check_error(answer, 400, "request.invalid", "Invalid request.")
    # What is no HTTP at all is refused before anybody looks at the headers one by one.
    assert detail["location"] == ([] if value == "\x7f" else ["header", name])
    assert answer.headers[name] != value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b'{"voiceprints": ["' + GOOD.encode(),
        b'{"voiceprints": ["\xff"]}',
        b'{"voiceprints": [NaN]}',
        b'{"voiceprints": []} x',
        "{}".encode("utf-16"),
        b"[" * 90_000,
        b"\xef\xbb\xbf{}",
        b'{"voiceprints": [7, }',
        b'{"x": "\xff", "voiceprints": ["' + GOOD.encode() + b'"]}',
    ],
    ids=[
        "none",
        "white space",
        "cut off",
        "cut in an item",
        "not UTF-8",
        "NaN",
        "tail",
        "UTF-16",
        "deep",
        "BOM",
        "broken behind a wrong type",
        "not UTF-8 elsewhere",
    ],
)
def test_400_where_the_payload_cannot_be_parsed(client: httpx.Client, body: bytes) -> None:
    answer = client.post(PATH, content=body, headers={"content-type": "application/json"})
    (detail,) = check_error(answer, 400, "request.invalid", "Invalid request.")
    assert detail["location"] == ["body"]


def test_400_where_the_body_is_declared_to_be_something_else_than_json(client: httpx.Client) -> None:
    body = json.dumps({"voiceprints": [GOOD]})
    for headers in ({"content-type": "text/plain"}, {"content-type": "application/json", "content-encoding": "br"}):
        (detail,) = check_error(client.post(PATH, content=body, headers=headers), 400, "request.invalid", None)
        assert detail["location"] == ["header", list(headers)[-1]]


@pytest.mark.parametrize(
    "task_id", ["x", "123", "{3fa85f64-5717-4562-b3fc-2c963f66afa6}", "3fa85f6457174562b3fc2c963f66afa6"]
)
def test_400_where_the_task_id_is_no_uuid(client: httpx.Client, task_id: str) -> None:
    (detail,) = check_error(client.get(f"{PATH}/{task_id}"), 400, "request.invalid", "Invalid request.")
    assert detail["location"] == ["path", "task_id"]


def test_403_where_the_licensed_capacity_is_used_up_and_the_refused_work_costs_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, licence_file=licence_file(tmp_path, voiceprints=3)) as client:
        assert post(client, GOOD, GOOD).status_code == 202
        details = check_error(post(client, GOOD, GOOD), 403, "request.forbidden", "Request is forbidden.")
        assert details == [
            {
                "location": ["license"],
                "message": "Licensed processing capacity exceeded.",
                "type": "licensing.capacity-exceeded",
                "context": {},
            }
        ]
        assert post(client, GOOD).status_code == 202
        check_error(post(client, GOOD), 403, "request.forbidden", "Request is forbidden.")


def test_403_where_the_licence_has_ended_with_a_detail_type_of_its_own(tmp_path: Path) -> None:
    with running_server(tmp_path, licence_file=licence_file(tmp_path, valid_until="2001-01-01T00:00:00Z")) as client:
        (detail,) = check_error(post(client, GOOD), 403, "request.forbidden", "Request is forbidden.")
        assert (detail["location"], detail["type"]) == (["license"], "licensing.expired")


def test_404_for_an_unknown_path_an_unknown_task_and_a_path_with_a_slash_too_many(client: httpx.Client) -> None:
    for path in ("/api", f"{PATH}/{uuid.uuid4()}", f"{PATH}/", f"{PATH}/{uuid.uuid4()}/x"):
        assert check_error(client.get(path), 404, "resource.not-found", None) == []


def test_404_for_a_task_whose_time_is_over(tmp_path: Path) -> None:
    with running_server(tmp_path, task_ttl_s=3.0) as client:
        location = post(client, GOOD).headers["location"]
        assert client.get(location).status_code == 200
        time.sleep(3.1)
        check_error(client.get(location), 404, "resource.not-found", None)


def test_405_names_the_allowed_methods(client: httpx.Client) -> None:
    task_path = post(client, GOOD).headers["location"]
    for method, path, allowed in (
        ("GET", PATH, "POST"),
        ("PUT", task_path, "DELETE, GET"),
        ("POST", "/livez", "GET, HEAD"),
    ):
        answer = client.request(method, path)
        check_error(answer, 405, "method.invalid", None)
        assert answer.headers["allow"] == allowed


def test_413_where_the_declared_length_is_over_the_limit_and_the_body_is_not_waited_for(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=10) as connection:
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            "content-length: 100001\r\n\r\n"
        )
        connection.sendall(head.encode())
        answer = ""
        while not answer.endswith("]}"):
            answer += connection.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 413 ")
    body = json.loads(answer.partition("\r\n\r\n")[2])
    assert body["type"] == "request.size-limit-exceeded"
    assert body["detail"][0]["context"] == {"body_size": 100_001, "max_body_size": 100_000, "size_unit": "bytes"}


def test_413_where_a_body_of_undeclared_length_goes_over_the_limit(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(101):
            yield b" " * 1000

    answer = client.post(PATH, content=chunks(), headers={"content-type": "application/json"})
    (detail,) = check_error(answer, 413, "request.size-limit-exceeded", "Request size limit exceeded.")
    assert (detail["location"], detail["type"]) == (["body"], "body.too-large")
    assert detail["context"] == {"max_body_size": 100_000, "size_unit": "bytes"}


def test_a_body_of_exactly_the_limit_is_accepted(client: httpx.Client) -> None:
    body = json.dumps({"voiceprints": [GOOD]}).encode().ljust(100_000)
    assert client.post(PATH, content=body, headers={"content-type": "application/json"}).status_code == 202


@pytest.mark.parametrize(
    ("document", "location", "kind"),
    [
        ([], ["body"], "value.type"),
        ("x", ["body"], "value.type"),
        ({}, ["body", "voiceprints"], "value.missing"),
        ({"voiceprints": None}, ["body", "voiceprints"], "value.type"),
        ({"voiceprints": GOOD}, ["body", "voiceprints"], "value.type"),
        ({"voiceprints": []}, ["body", "voiceprints"], "list.too-short"),
        ({"voiceprints": [GOOD] * 21}, ["body", "voiceprints"], "list.too-long"),
        ({"voiceprints": [GOOD, 7]}, ["body", "voiceprints", 1], "value.type"),
        ({"voiceprints": [GOOD, None]}, ["body", "voiceprints", 1], "value.type"),
        ({"voiceprints": [GOOD, GOOD, ["x"]]}, ["body", "voiceprints", 2], "value.type"),
        ({"voiceprints": [GOOD, "*"]}, ["body", "voiceprints", 1], "base64.invalid"),
        ({"voiceprints": [GOOD, GOOD[:-1]]}, ["body", "voiceprints", 1], "base64.invalid"),
        ({"voiceprints": [GOOD, ""]}, ["body", "voiceprints", 1], "voiceprint.invalid"),
        ({"voiceprints": [GOOD, GOOD[:-4]]}, ["body", "voiceprints", 1], "voiceprint.invalid"),
        ({"voiceprints": ["QUJD", GOOD]}, ["body", "voiceprints", 0], "voiceprint.invalid"),
        (
            {"voiceprints": [GOOD, voiceprint_text(model="other")]},
            ["body", "voiceprints", 1],
            "voiceprint.model-mismatch",
        ),
    ],
)
def test_422_where_it_was_parsed_but_is_wrong_with_the_place_of_what_is_wrong(
    client: httpx.Client, document: object, location: list[str | int], kind: str
) -> None:
    (detail,) = check_error(
        client.post(PATH, json=document), 422, "request.validation-error", "Request validation error."
    )
    assert (detail["location"], detail["type"]) == (location, kind)


@pytest.mark.parametrize(
    ("parameters", "kinds"),
    [
        ({"min_probability": "0.49"}, {"min_probability": "value.out-of-range"}),
        ({"min_probability": "1"}, {"min_probability": "value.out-of-range"}),
        ({"min_probability": "90"}, {"min_probability": "value.out-of-range"}),
        ({"min_probability": "nan"}, {"min_probability": "value.out-of-range"}),
        ({"min_probability": "inf"}, {"min_probability": "value.out-of-range"}),
        ({"min_probability": ""}, {"min_probability": "value.type"}),
        ({"min_probability": "0,9"}, {"min_probability": "value.type"}),
        ({"min_probability": "\0" * 1000}, {"min_probability": "value.type"}),
        ({"male_prior": "0"}, {"male_prior": "value.out-of-range"}),
        ({"male_prior": "1"}, {"male_prior": "value.out-of-range"}),
        ({"male_prior": "1e-400"}, {"male_prior": "value.out-of-range"}),
        (
            {"male_prior": "x", "min_probability": "2"},
            {"male_prior": "value.type", "min_probability": "value.out-of-range"},
        ),
    ],
)
def test_422_where_a_parameter_of_the_query_cannot_be_with_its_name_its_value_and_what_is_wrong(
    client: httpx.Client, parameters: dict[str, str], kinds: dict[str, str]
) -> None:
    answer = client.post(PATH, params=parameters, json={"voiceprints": [GOOD]})
    details = check_error(answer, 422, "request.validation-error", "Request validation error.")
    assert [(detail["location"], detail["type"]) for detail in details] == [
        (["query", name], kind) for name, kind in kinds.items()
    ]
    for detail, (name, value) in zip(details, parameters.items(), strict=True):
        message = str(detail["message"])
        assert message.startswith(f"{name} is {value[:40]!r}: ")
        assert len(message) < 300


def test_a_refused_parameter_counts_as_a_request_so_that_no_refusal_gets_round_the_rate_limit(tmp_path: Path) -> None:
    with running_server(tmp_path, rate_limit="1 per minute") as client:
        for status in (422, 429):
            assert client.post(PATH, params={"male_prior": "x"}, json={"voiceprints": [GOOD]}).status_code == status


def test_422_for_a_json_null(client: httpx.Client) -> None:
    answer = client.post(PATH, content=b"null", headers={"content-type": "application/json"})
    check_error(answer, 422, "request.validation-error", "Request validation error.")


def test_422_tells_of_each_bad_item_up_to_a_bound_and_how_many_more_there_are(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        details = check_error(post(client, GOOD, *["*"] * 150, GOOD), 422, "request.validation-error", None)
    assert [detail["location"][-1] for detail in details] == [*range(1, 101), "voiceprints"]  # type: ignore[index]
    assert details[-1]["context"] == {"omitted": 50}


def test_no_error_repeats_what_a_client_sent_as_a_voiceprint(client: httpx.Client) -> None:
    marker = "bWFya2Vy"
    assert marker not in post(client, marker * 20).text
    assert marker not in post(client, marker * 20 + "*").text


def test_429_with_its_four_headers_once_the_limit_is_used_up(tmp_path: Path) -> None:
    with running_server(tmp_path, rate_limit="1 per 5 second") as client:
        before_s = time.time()
        first = post(client, GOOD)
        assert first.status_code == 202
        assert first.headers["x-ratelimit-remaining"] == "0"
        second = post(client, GOOD)
        details = check_error(second, 429, "request.rate-limit-exceeded", "Rate limit exceeded: 1 per 5 second.")
        assert details == []
        assert 1 <= int(second.headers["retry-after"]) <= 5
        assert int(second.headers["x-ratelimit-limit"]) == 1
        assert int(second.headers["x-ratelimit-remaining"]) == 0
        assert before_s < int(second.headers["x-ratelimit-reset"]) <= before_s + 7
        # Polling has a window of its own, so that a task that was let in can be read.
        assert client.get(first.headers["location"]).status_code == 200
        check_error(client.get(first.headers["location"]), 429, "request.rate-limit-exceeded", None)
        assert client.get("/readyz").status_code == 200


def test_507_where_the_store_is_full_and_again_202_once_results_have_expired(tmp_path: Path) -> None:
    with running_server(tmp_path, storage_capacity_bytes=600, task_ttl_s=4.0) as client:
        assert post(client, GOOD).status_code == 202
        assert post(client, GOOD).status_code == 202
        details = check_error(post(client, GOOD), 507, "storage.capacity-exceeded", "Storage capacity exceeded.")
        assert details == []
        time.sleep(4.1)
        assert post(client, GOOD).status_code == 202


def test_500_has_the_same_body_and_tells_nothing_of_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with running_server(tmp_path) as client:
        monkeypatch.setattr("voxgender.rest.voiceprints.JsonBody", fail)
        answer = post(client, GOOD)
    assert check_error(answer, 500, "internal", "Internal error.") == []
    assert "secret" not in answer.text


def test_503_where_the_store_is_broken_and_readiness_says_so(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        location = post(client, GOOD).headers["location"]
        for name in ("tasks.db", "tasks.db-wal"):
            (tmp_path / name).write_bytes(b"\0" * 100_000)
        refused = client.get(location)
        check_error(refused, 503, "internal", "The service cannot take requests now.")
        assert refused.headers["retry-after"] == "1"
        until_s = time.monotonic() + 30
        while (told := client.get("/readyz")).status_code == 200 and time.monotonic() < until_s:
            time.sleep(0.05)  # an answer holds for a second
        assert told.status_code == 503
        assert told.json()["checks"]["store"] == {"state": "failed", "told": "does not answer"}
        check_error(client.get("/api/system/status"), 503, "internal", None)
        assert client.get("/livez").json() == {"status": "ok"}


def stalled_upload(client: httpx.Client) -> socket.socket:
    """A connection on which a request's body has begun and does not go on."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    connection.sendall(head.encode() + b'{"voice')
    return connection


def test_400_where_the_body_does_not_arrive_in_time_and_the_connection_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgender.rest.body.UPLOAD_S", 0.2)
    monkeypatch.setattr("voxgender.rest.ids.DRAIN_S", 0.2)
    with running_server(tmp_path) as client, stalled_upload(client) as connection:
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"did not arrive within 0.2 s" in answer


def test_a_server_that_stops_tells_so_to_a_client_that_has_stalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgender.rest.server.SHUTDOWN_S", 1)
    monkeypatch.setattr("voxgender.rest.ids.DRAIN_S", 0.2)
    with contextlib.ExitStack() as later:
        with running_server(tmp_path) as client:
            connection = later.enter_context(stalled_upload(client))
            # Answered requests show that the server has seen the stalled one, which came before.
            assert client.get("/livez").status_code == 200
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"The service is stopping."' in answer

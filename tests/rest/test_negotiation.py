"""Headers are read as the RFCs say."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from voxgender.core.errors import RequestInvalidError
from voxgender.rest.negotiation import (
    ARROW,
    JSON,
    MAX_WAIT_S,
    answer_type,
    asked_wait_s,
    body_type,
    has_version,
    takes_gzip,
)


def request(**headers: str) -> Request:
    return request_of([(name.replace("_", "-"), value) for name, value in headers.items()])


def request_of(lines: list[tuple[str, str]]) -> Request:
    return Request({"type": "http", "headers": [(name.encode(), value.encode()) for name, value in lines]})


def test_several_lines_of_a_header_are_one_list() -> None:
    assert has_version(request_of([("if-none-match", '"a"'), ("if-none-match", 'W/"b"')]), 'W/"b"')
    assert asked_wait_s(request_of([("prefer", "respond-async"), ("prefer", "wait=5")])) == 5.0
    assert answer_type(request_of([("accept", "text/html"), ("accept", ARROW)])) == ARROW
    assert takes_gzip(request_of([("accept-encoding", "br"), ("accept-encoding", "gzip")]))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, JSON),
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/vnd.api+json", JSON),
        (ARROW, ARROW),
        (f"{ARROW}; codecs=x", ARROW),
    ],
)
def test_a_body_is_json_or_arrow_as_its_media_type_says(told: str | None, expected: str) -> None:
    assert body_type(request() if told is None else request(content_type=told)) == expected


@pytest.mark.parametrize("told", ["text/plain", "", "application/octet-stream", "application/vnd.apache.arrow.file"])
def test_other_bodies_are_refused_in_words(told: str) -> None:
    with pytest.raises(RequestInvalidError, match="send the header 'Content-Type: application/json'"):
        body_type(request(content_type=told))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        (ARROW, ARROW),
        (f"{ARROW}, application/json", ARROW),
        (f"{ARROW};q=0.5, application/json", JSON),
        (f"{ARROW};q=0.5, */*;q=0.1", ARROW),
        (f"{ARROW};q=0, text/html", JSON),
        (f"{ARROW};q=x", JSON),
        (ARROW.upper(), ARROW),
    ],
)
def test_an_answer_is_arrow_where_the_client_likes_it_no_less_than_json(accept: str | None, expected: str) -> None:
    assert answer_type(request() if accept is None else request(accept=accept)) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZip;q=0.1", True),
        ("gzip;q=0", False),
        ("br", False),
        ("*", False),
    ],
)
def test_gzip_is_taken_where_it_is_named(accept: str, expected: bool) -> None:
    assert takes_gzip(request(accept_encoding=accept)) is expected
    assert takes_gzip(request()) is False


@pytest.mark.parametrize(
    ("told", "expected"),
    [('W/"a"', True), ('"a"', True), ('"b", W/"a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_a_version_is_known_by_its_tag_weak_or_strong(told: str, expected: bool) -> None:
    assert has_version(request(if_none_match=told), 'W/"a"') is expected
    assert has_version(request(), 'W/"a"') is False


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("wait=10", 10.0),
        ("respond-async, wait=3", 3.0),
        ('Wait = "7"', 7.0),
        ("wait=5; x=1", 5.0),
        ("wait=99999", MAX_WAIT_S),
        ("wait=0", 0.0),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait", None),
        ("await=4", None),
        ("return=minimal", None),
        ("", None),
    ],
)
def test_a_wait_is_whole_seconds_up_to_a_bound(told: str, expected: float | None) -> None:
    assert asked_wait_s(request(prefer=told)) == expected
    assert asked_wait_s(request()) is None

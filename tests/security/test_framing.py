"""Where a request ends is told by its own length alone, so that nothing in it is taken for another request."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import httpx
import pytest

from hostile import GOOD
from serving import PATH, running_server

UPGRADES = (
    b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
)
HOST = b"host: localhost\r\n"
ALIVE = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_server(tmp_path_factory.mktemp("framing"), extractors=0) as client:
        yield client


@pytest.fixture
def connection(client: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=60) as connection:
        yield connection


def status_of_next(connection: socket.socket) -> int:
    """The status of the next answer, of which no byte more is read."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1) or pytest.fail(f"closed after {answer!r}")
    head, _, _ = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    left = int(fields[b"content-length"])
    while left:
        left -= len(connection.recv(left) or pytest.fail("closed in an answer"))
    return int(head.split()[1])


def start(framing: bytes, upgrade: bytes) -> bytes:
    return b"POST " + PATH.encode() + b" HTTP/1.1\r\n" + HOST + framing + upgrade + b"\r\n"


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_wish_for_another_protocol_is_passed_over_and_its_body_read(
    connection: socket.socket, upgrade: bytes, is_chunked: bool
) -> None:
    """Some clients of HTTP/2 send it with each request: curl --http2, Java's own."""
    framing = b"transfer-encoding: chunked\r\n" if is_chunked else b"content-length: %d\r\n" % len(GOOD)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD) if is_chunked else GOOD
    connection.sendall(start(framing, upgrade) + body + ALIVE)
    assert [status_of_next(connection) for _ in range(2)] == [202, 200]
    connection.sendall(start(framing, upgrade))
    connection.sendall(body[:100])
    connection.sendall(body[100:] + ALIVE)
    assert [status_of_next(connection) for _ in range(2)] == [202, 200]


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_body_behind_a_wish_for_another_protocol_is_not_taken_for_a_request(
    connection: socket.socket, upgrade: bytes
) -> None:
    connection.sendall(start(b"content-length: %d\r\n" % len(ALIVE), upgrade))
    connection.sendall(ALIVE)
    assert status_of_next(connection) == 400  # it is no JSON
    connection.sendall(b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status_of_next(connection) == 404


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_many_wishes_for_another_protocol_in_one_write_are_all_answered(
    connection: socket.socket, upgrade: bytes
) -> None:
    connection.sendall(300 * (b"GET /livez HTTP/1.1\r\n" + HOST + upgrade + b"\r\n"))
    assert [status_of_next(connection) for _ in range(300)] == [200] * 300


def test_fields_behind_a_chunked_body_are_no_headers(connection: socket.socket) -> None:
    """A proxy looks at headers alone (RFC 9110, section 6.5.1)."""
    body = b"%x\r\n%b\r\n0\r\ncontent-type: text/plain\r\nx-correlation-id: behind\r\n\r\n" % (len(GOOD), GOOD)
    connection.sendall(start(b"transfer-encoding: chunked\r\n", b"") + body)
    with http.client.HTTPResponse(connection) as answer:
        answer.begin()
        assert answer.status == 202
        assert answer.headers["x-correlation-id"] != "behind"

"""Clients that are slow, silent or deaf hold nothing but their socket, and that not for long."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from voxgender.app.settings import load_settings
from voxgender.serving.listener import bind
from voxgender.serving.server import Server

SHORT_S = 0.4
LARGE_BYTES = 16 * 1024**2
"""More than a transport takes before it lets its writer wait."""
SMALL_BYTES = 48 * 1024
"""Less than that, but more than sockets hold that are told to hold little."""


def ask(path: object) -> bytes:
    """A request for a path."""
    return f"GET /{path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


ASK = ask("")

Connect = Callable[..., socket.socket]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with as many bytes as the path says, in one piece; ``/slow`` after a while, and ``/pieces`` with many."""
    path = scope["path"][1:]
    if path == "slow":
        await asyncio.sleep(3 * SHORT_S)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100 if path == "pieces" else 0):
        await send({"type": "http.response.body", "body": bytes(LARGE_BYTES // 100), "more_body": True})
    await send({"type": "http.response.body", "body": bytes(int(path) if path.isdecimal() else 2)})


class NoService:
    """Has nothing to start and nothing to stop."""

    settings = load_settings()

    def begin_to_stop(self) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Where a server with short times listens."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setattr("voxgender.rest.server.create_app", lambda *_: app)
        patch.setattr("voxgender.rest.server.KEEP_ALIVE_S", 4 * SHORT_S)
        patch.setattr("voxgender.rest.connection.HEAD_S", SHORT_S)
        patch.setattr("voxgender.rest.connection.STALL_S", SHORT_S)
        listener = bind("127.0.0.1", 0)
        # The system's buffers shall be small, so that what a client does not read stays with the server.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        is_listening = threading.Event()
        server = Server(NoService(), listener, None, is_listening.set)  # type: ignore[arg-type]
        serving = thread.submit(server.serve)
        is_listening.wait(30)
        try:
            yield listener.getsockname()
        finally:
            server.stop()
            serving.result()


@pytest.fixture
def connect(address: tuple[str, int]) -> Iterator[Connect]:
    """Opens connections to the server."""
    with contextlib.ExitStack() as opened:

        def connect(receive_bytes: int | None = None) -> socket.socket:
            raw = opened.enter_context(socket.socket())
            if receive_bytes is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            raw.settimeout(30)
            raw.connect(address)
            return raw

        yield connect


def read_to_the_end(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(1_000_000), b""))


def read_answer(connection: socket.socket) -> int:
    """Read one answer and return its status."""
    with http.client.HTTPResponse(connection) as answer:
        answer.begin()
        answer.read()
        return answer.status


@pytest.mark.parametrize(
    "head", [b"G", b"GET / HTTP/1.1\r\nhost: localhost\r\n", b"\r\n"], ids=["line", "headers", "empty"]
)
@pytest.mark.parametrize("is_first", [True, False], ids=["first request", "later request"])
def test_a_head_that_does_not_arrive_in_time_is_refused_with_400_and_the_connection_closed(
    connect: Connect, head: bytes, is_first: bool
) -> None:
    connection = connect()
    if not is_first:
        connection.sendall(ASK)
        assert read_answer(connection) == 200
    connection.sendall(head)
    headers, _, body = read_to_the_end(connection).partition(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nconnection: close" in headers
    assert b"\r\nx-request-id: " in headers
    told = json.loads(body)
    assert told["type"] == "request.invalid"
    assert told["detail"][0]["message"] == f"Request line and headers did not arrive within {SHORT_S:g} s."


def test_a_head_that_comes_byte_by_byte_gets_no_more_time_for_it(connect: Connect) -> None:
    connection = connect()
    for byte in b"GET /" + 1000 * b"a":
        connection.sendall(bytes([byte]))
        readable, _, _ = select.select([connection], [], [], SHORT_S / 4)
        if readable:
            break
    assert read_to_the_end(connection).startswith(b"HTTP/1.1 400 ")


def test_a_connection_on_which_nothing_comes_is_closed_without_an_answer(connect: Connect) -> None:
    assert read_to_the_end(connect()) == b""


def test_a_connection_may_rest_between_two_requests_for_longer_than_a_head_may_take(connect: Connect) -> None:
    connection = connect()
    for _ in range(2):
        connection.sendall(ASK)
        assert read_answer(connection) == 200
        time.sleep(1.5 * SHORT_S)
    connection.sendall(ASK)
    assert read_answer(connection) == 200


@pytest.mark.parametrize("pause_s", [0, SHORT_S / 2], ids=["in one piece", "in two pieces"])
def test_a_head_that_waits_behind_a_request_under_way_gets_its_time_after_that(
    connect: Connect, pause_s: float
) -> None:
    connection = connect()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(ask("slow"))
    time.sleep(pause_s)
    connection.sendall(ASK[:-1])
    assert read_answer(connection) == 200
    connection.sendall(ASK[-1:])
    assert read_answer(connection) == 200


def test_a_head_that_waited_behind_a_request_and_does_not_go_on_after_it_is_refused(connect: Connect) -> None:
    connection = connect()
    connection.sendall(ask("slow") + ASK[:-1])
    assert read_answer(connection) == 200
    assert read_to_the_end(connection).startswith(b"HTTP/1.1 400 ")


def test_a_head_that_began_with_the_end_of_the_request_before_has_no_longer_either(connect: Connect) -> None:
    connection = connect()
    connection.sendall(ASK + ASK[:-1])
    assert read_answer(connection) == 200
    assert read_to_the_end(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("what", [LARGE_BYTES, SMALL_BYTES, "pieces"])
@pytest.mark.parametrize("last", [b"keep-alive", b"close"])
def test_a_client_that_does_not_read_its_answer_is_dropped_with_all_that_waits_for_it(
    connect: Connect, what: object, last: bytes
) -> None:
    connection = connect(receive_bytes=4096)
    connection.sendall(ask(what).replace(b"\r\n\r\n", b"\r\nconnection: " + last + b"\r\n\r\n"))
    wait_until_dropped(connection)


def test_a_client_that_reads_for_a_while_and_then_no_more_is_dropped(connect: Connect) -> None:
    connection = connect(receive_bytes=4096)
    connection.sendall(ask(LARGE_BYTES))
    for _ in range(LARGE_BYTES // 2 // 65_536):
        connection.recv(65_536, socket.MSG_WAITALL)
    wait_until_dropped(connection)


def wait_until_dropped(connection: socket.socket) -> None:
    """Return once the connection is reset: then nothing of what waited is left in the server's system either."""
    poller = select.poll()
    poller.register(connection, select.POLLERR)
    assert poller.poll(30_000)
    with pytest.raises(ConnectionResetError):
        read_to_the_end(connection)


def test_a_client_that_reads_slowly_gets_its_whole_answer(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxgender.rest.connection.STALL_S", 2 * SHORT_S)
    connection = connect(receive_bytes=65_536)
    connection.sendall(ask(LARGE_BYTES))
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    received = 0
    while piece := answer.read(LARGE_BYTES // 40):
        received += len(piece)
        time.sleep(SHORT_S / 5)
    assert received == LARGE_BYTES

"""A whole call ends in its time, whatever the server does with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from client.stubborn_server import stubborn_server
from serving import voiceprint_text
from voxgender.client import AsyncClient, Client, ServiceTimeoutError

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"


@pytest.fixture(params=["silent", "slow"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers nothing, or a byte now and then without an end."""
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                if request.param == "slow":
                    connection.sendall(HEAD)
                while not over.wait(0.1):
                    if request.param == "slow":
                        connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def sync_identify(url: str) -> None:
    with Client(url) as client:
        client.identify(voiceprint_text().encode(), timeout_s=0.5)


def async_identify(url: str) -> None:
    async def within() -> None:
        async with AsyncClient(url) as client:
            await client.identify(voiceprint_text().encode(), timeout_s=0.5)

    asyncio.run(within())


@pytest.mark.parametrize("identify", [sync_identify, async_identify], ids=["sync", "async"])
def test_a_server_that_does_not_answer_in_time_ends_the_call(url: str, identify: Callable[[str], None]) -> None:
    with pytest.raises(ServiceTimeoutError, match=r"not done within 0\.5 s"):
        identify(url)


SOUND = bytes(30_000_000)
"""More than all buffers between client and server hold."""


def sync_upload(url: str) -> None:
    with Client(url) as client:
        client.identify(SOUND, timeout_s=0.5)


def async_upload(url: str) -> None:
    async def within() -> None:
        async with AsyncClient(url) as client:
            await client.identify(SOUND, timeout_s=0.5)

    asyncio.run(within())


@pytest.mark.parametrize("upload", [sync_upload, async_upload], ids=["sync", "async"])
def test_an_upload_to_a_slow_reader_ends_with_its_call(upload: Callable[[str], None]) -> None:
    with stubborn_server() as server:
        with pytest.raises(ServiceTimeoutError, match=r"not done within 0\.5 s"):
            upload(server.url)
        assert server.asked.is_set()
        assert server.received_bytes < len(SOUND) / 3


def test_a_wait_for_a_connection_that_others_use_ends_with_its_call() -> None:
    with stubborn_server() as server, httpx.Client(limits=httpx.Limits(max_connections=1)) as http:
        other = threading.Thread(target=_hold, args=(http, server.url))
        with Client(server.url, http=http) as client:
            client.info()
            other.start()
            server.held.wait()
            release = threading.Timer(5, server.over.set)
            release.start()
            with pytest.raises(ServiceTimeoutError, match=r"not done within 0\.3 s"):
                client.info(timeout_s=0.3)
            assert not server.over.is_set()
            release.cancel()
        server.over.set()
        other.join()


def test_a_call_that_is_cancelled_leaves_nothing_under_way() -> None:
    async def within() -> None:
        async with AsyncClient(server.url) as client:
            call = asyncio.create_task(client.identify([voiceprint_text().encode()] * 50))
            await asyncio.to_thread(server.asked.wait)
            assert len(asyncio.all_tasks()) > 2  # this one, the call, and what it has under way
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with stubborn_server() as server:
        asyncio.run(within())


def _hold(http: httpx.Client, url: str) -> None:
    """Use a connection until the server is over."""
    with contextlib.suppress(httpx.TransportError):
        http.get(f"{url}/held", timeout=None)

"""A whole call ends in its time, whatever the server does with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

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


def test_a_call_that_is_cancelled_leaves_nothing_under_way() -> None:
    async def within() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with AsyncClient(f"http://127.0.0.1:{silent.getsockname()[1]}") as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await client.identify(voiceprint_text().encode())
                assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(within())

"""A call that ends early: what has been charged is told before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from client.charges import licence_of, stored
from client.played import PlayedService
from serving import running_server, voiceprint_text
from voxgender.client import AsyncClient, Client, ForbiddenError

Told = tuple[list[int], Exception | None]
ITEM = voiceprint_text().encode()


def sync_stream(url: str, sources: Iterable[bytes]) -> Told:
    told: list[int] = []
    try:
        with Client(url) as client:
            for part in client.stream(sources):
                told += part.item.tolist()
    except Exception as error:  # noqa: BLE001 - it is what the test is about
        return told, error
    return told, None


def async_stream(url: str, sources: Iterable[bytes]) -> Told:
    async def within() -> Told:
        told: list[int] = []
        try:
            async with AsyncClient(url) as client:
                async for part in client.stream(sources):
                    told += part.item.tolist()
        except Exception as error:  # noqa: BLE001 - it is what the test is about
            return told, error
        return told, None

    return asyncio.run(within())


both = pytest.mark.parametrize("stream", [sync_stream, async_stream], ids=["sync", "async"])


@both
def test_where_a_licence_ends_all_that_was_charged_is_told(
    tmp_path: Path, stream: Callable[[str, Iterable[bytes]], Told]
) -> None:
    with running_server(tmp_path, max_voiceprints=10, licence_file=licence_of(tmp_path, 40)) as server:
        told, error = stream(str(server.base_url), [ITEM] * 60)
    assert isinstance(error, ForbiddenError)
    assert len(told) == stored(tmp_path)[1] == 40


@both
def test_where_a_source_fails_all_that_was_charged_is_told(
    tmp_path: Path, stream: Callable[[str, Iterable[bytes]], Told]
) -> None:
    def failing() -> Iterator[bytes]:
        yield from [ITEM] * 35
        raise OSError("the share is gone")

    with running_server(tmp_path, max_voiceprints=10, licence_file=licence_of(tmp_path, 60)) as server:
        told, error = stream(str(server.base_url), failing())
    assert str(error) == "the share is gone"
    assert told == list(range(30))
    assert stored(tmp_path)[1] == 30


def test_a_list_that_overtook_the_one_that_is_refused_is_told() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if request.method == "POST" and body.count(b",") == 9:  # the first list, of ten
            await overtaken.wait()
            return httpx.Response(403, json={"type": "request.forbidden", "message": "No."})
        told = service(request)
        if service.fetched:
            overtaken.set()
        return told

    async def within() -> list[int]:
        told: list[int] = []
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            with pytest.raises(ForbiddenError):  # noqa: PT012 - the parts come before it
                async for part in AsyncClient(http=http).stream([ITEM] * 15):
                    told += part.item.tolist()
        return told

    service, overtaken = PlayedService(), asyncio.Event()
    assert asyncio.run(within()) == [10, 11, 12, 13, 14]


def test_where_a_source_is_slow_each_result_is_fetched_before_it_can_expire() -> None:
    service = PlayedService(max_voiceprints=1, task_ttl_s=0.4)  # so that a source is slow from 50 ms on
    unfetched: list[int] = []

    def slow() -> Iterator[bytes]:
        for _ in range(5):
            unfetched.append(len(service.tasks) - len(service.fetched))
            time.sleep(0.06)
            yield ITEM

    with httpx.Client(transport=httpx.MockTransport(service)) as http:
        assert len(Client(http=http).identify(slow())) == 5
    assert max(unfetched) == 0

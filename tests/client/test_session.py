"""What a client remembers of its service between two calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from client.played import PlayedService
from client.scripted import Script, answer
from client.stubborn_server import INFO
from serving import voiceprint_text
from voxgender.client import AsyncClient, Client, TooLargeError
from voxgender.client.session import INFO_S, Session

ITEM = voiceprint_text().encode()


def sync_calls(service: PlayedService, count: int) -> None:
    with httpx.Client(transport=httpx.MockTransport(service)) as http:
        client = Client(http=http)
        for _ in range(count):
            client.identify(ITEM, on_error="keep")


def async_calls(service: PlayedService, count: int) -> None:
    async def within() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as http:
            client = AsyncClient(http=http)
            for _ in range(count):
                await client.identify(ITEM, on_error="keep")

    asyncio.run(within())


both = pytest.mark.parametrize("calls", [sync_calls, async_calls], ids=["sync", "async"])


def infos(service: PlayedService) -> int:
    return [request.url.path for request in service.requests].count("/api/system/info")


@both
def test_what_the_service_takes_is_asked_once_for_several_calls(calls: Callable[[PlayedService, int], None]) -> None:
    service = PlayedService()
    calls(service, 3)
    assert (infos(service), len(service.tasks)) == (1, 3)


@both
@pytest.mark.parametrize("status", [413, 422])
def test_what_the_service_takes_is_asked_again_once_it_took_less(
    calls: Callable[[PlayedService, int], None], status: int
) -> None:
    refusal = {"type": "x", "message": "No.", "detail": [{"location": ["body", "voiceprints", 0], "message": "No."}]}
    service = PlayedService(lambda request: httpx.Response(status, json=refusal) if request.method == "POST" else None)
    calls(service, 3)
    assert infos(service) == 3


def test_a_list_that_a_proxy_in_front_finds_too_large_is_cut_and_all_of_it_is_told_in_order() -> None:
    def proxy(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(413, text="<html>") if len(request.content) > most_bytes else None

    most_bytes = 2 * len(ITEM) + 100
    service = PlayedService(proxy)
    with httpx.Client(transport=httpx.MockTransport(service)) as http:
        client = Client(http=http)
        results = client.identify([ITEM] * 17)
        assert results.item.tolist() == list(range(17))
        assert sorted(results.tasks) == sorted(service.tasks)
        assert sum(service.tasks.values()) == 17
        keys = [request.headers["idempotency-key"] for request in service.requests if request.method == "POST"]
        assert len(set(keys)) == len(keys)
        most_bytes = 0
        with pytest.raises(TooLargeError):
            client.identify([ITEM] * 3)
        kept = client.identify([ITEM] * 3, on_error="keep")
    assert {type(error) for error in kept.errors.values()} == {TooLargeError}
    assert list(kept.errors) == [0, 1, 2]


def test_what_the_service_takes_is_asked_again_after_a_while() -> None:
    script, session = Script([answer(200, INFO)]), Session("http://h")
    for _ in range(2):
        told = script.play(session.info(script.call()))
        assert told.limits.max_voiceprints == INFO["limits"]["max_voiceprints"]  # type: ignore[index]
        script.replies = []
    script.replies = [answer(200, INFO)]
    script.clock.now_s += INFO_S
    script.play(session.info(script.call()))
    assert len(script.requests) == 2

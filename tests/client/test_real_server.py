"""Both clients against a real server: what they tell is what the library tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import voxgender
from serving import running_server, voiceprint_text
from voxgender.client import AsyncClient, Client, Progress, Results
from voxgender.core.base64 import decode_base64

Ask = Callable[..., Any]

VOICEPRINTS = [
    voxgender.decode_voiceprint(decode_base64(voiceprint_text(seed, speech_s=seed % 5))) for seed in range(25)
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes ten voiceprints at a time."""
    with running_server(tmp_path_factory.mktemp("server"), max_voiceprints=10, extractors=1) as http:
        yield str(http.base_url)


def sync_ask(url: str) -> Ask:
    def ask(verb: str, *arguments: Any, **options: Any) -> Any:
        with Client(url) as client:
            return getattr(client, verb)(*arguments, **options)

    return ask


def async_ask(url: str) -> Ask:
    def ask(verb: str, *arguments: Any, **options: Any) -> Any:
        async def within() -> Any:
            async with AsyncClient(url) as client:
                return await getattr(client, verb)(*arguments, **options)

        return asyncio.run(within())

    return ask


@pytest.fixture(params=[sync_ask, async_ask], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest, url: str) -> Ask:
    """Asks one of both clients: a method's name, and its arguments."""
    chosen: Callable[[str], Ask] = request.param
    return chosen(url)


def told(results: Results | voxgender.Results) -> list[Any]:
    return [result.as_dict() for result in results]


def test_voiceprints_are_split_to_what_the_server_takes_and_told_in_order_as_the_library_tells_them(ask: Ask) -> None:
    seen: list[Progress] = []
    results = ask("identify", VOICEPRINTS, progress=seen.append)
    assert told(results) == told(voxgender.identify(VOICEPRINTS))
    assert results.item.tolist() == list(range(25))
    assert len(results.tasks) == 3
    assert seen == [Progress(10, 25), Progress(20, 25), Progress(25, 25)]

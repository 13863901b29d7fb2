"""A real server whose answers get lost on their way: what has been done is not done again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import voxgender
from client.charges import licence_of, stored
from client.cutting_proxy import cutting_proxy
from recordings import recording, voice
from serving import ServerProcess, running_server, voiceprint_text
from voxgender.client import AsyncClient, Client, Results
from voxgender.core.base64 import decode_base64

VOICEPRINTS = [voxgender.decode_voiceprint(decode_base64(voiceprint_text(seed))) for seed in range(40)]


def sync_identify(url: str) -> Results:
    with Client(url) as client:
        return client.identify(VOICEPRINTS)


def async_identify(url: str) -> Results:
    async def within() -> Results:
        async with AsyncClient(url) as client:
            return await client.identify(VOICEPRINTS)

    return asyncio.run(within())


@pytest.mark.parametrize("identify", [sync_identify, async_identify], ids=["sync", "async"])
def test_no_task_is_made_or_charged_twice_where_answers_are_lost(
    tmp_path: Path, identify: Callable[[str], Results]
) -> None:
    licence = licence_of(tmp_path, len(VOICEPRINTS))
    with running_server(tmp_path, max_voiceprints=10, licence_file=licence) as server:
        with cutting_proxy(str(server.base_url), lambda answer: answer % 2 == 1) as proxy:
            results = identify(proxy.url)
            cuts = proxy.cuts
        assert stored(tmp_path) == (4, 40)
    assert [one.as_dict() for one in results] == [one.as_dict() for one in voxgender.identify(VOICEPRINTS)]
    assert results.item.tolist() == list(range(40))
    assert cuts >= 8


def test_a_recording_is_heard_once_where_the_answer_to_its_upload_is_lost(tmp_path: Path) -> None:
    sound = recording(voice("female"))
    (tmp_path / "woman.wav").write_bytes(sound)
    server = ServerProcess(tmp_path, extractors=1)
    # Answer 0 tells what the service is, 1 and 2 accept the upload.
    with cutting_proxy(str(server.client.base_url), lambda answer: answer in (1, 2, 4)) as proxy:
        with Client(proxy.url) as client:
            results = client.identify(tmp_path / "woman.wav")
        assert proxy.cuts == 3
    server.stop()
    assert stored(tmp_path)[0] == 1
    assert [one.as_dict() for one in results] == [one.as_dict() for one in voxgender.identify(sound)]

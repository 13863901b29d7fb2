"""The server dies while a call is under way, and is started again: the call ends with all results, none twice."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from client.charges import licence_of, stored
from serving import ServerProcess, voiceprint_text
from voxgender.client import AsyncClient, Client, Progress, Results
from voxgender.client.sources import MAX_LIST
from voxgender.core.base64 import decode_base64
from voxgender.core.scoring import score_bytes
from voxgender.files.heads import load_scorer

COUNT = 200_000
KILLED_AT = (30_000, 110_000)
# 997 is prime, so that no two lists are alike.
FEW = [decode_base64(voiceprint_text(seed, speech_s=seed % 7 + 1)) for seed in range(997)]


def sync_identify(url: str, told: Callable[[Progress], None]) -> Results:
    with Client(url) as client:
        return client.identify(islice(cycle(FEW), COUNT), progress=told)


def async_identify(url: str, told: Callable[[Progress], None]) -> Results:
    async def within() -> Results:
        async with AsyncClient(url) as client:
            return await client.identify(islice(cycle(FEW), COUNT), progress=told)

    return asyncio.run(within())


class MortalServer:
    """A server that is killed when the call has come so far, and started again on the same port and store."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.kills = 0
        self._folder = folder
        self._licence = licence_of(folder, COUNT)
        self._reached = [threading.Event() for _ in KILLED_AT]
        self._server = self._started()
        self._killer = threading.Thread(target=self._kill)
        self._killer.start()

    def told(self, progress: Progress) -> None:
        """Take how far the call is; the server is killed meanwhile, at whatever it does just then."""
        for done, reached in zip(KILLED_AT, self._reached, strict=True):
            if progress.done >= done:
                reached.set()

    def end(self) -> None:
        """Stop it for good."""
        for reached in self._reached:
            reached.set()
        self._killer.join()
        self._server.stop()

    def _kill(self) -> None:
        for reached in self._reached:
            reached.wait()
            self._server.kill()
            self.kills += 1
            self._server = self._started()

    def _started(self) -> ServerProcess:
        settings = {"port": self.port, "licence-file": self._licence, "extractors": 0}
        return ServerProcess(self._folder, **settings)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[MortalServer]:
    server = MortalServer(tmp_path)
    yield server
    server.end()


@pytest.mark.parametrize(
    "identify", [sync_identify, pytest.param(async_identify, marks=pytest.mark.slow)], ids=["sync", "async"]
)
def test_a_call_of_200_000_voiceprints_survives_the_death_of_its_server_and_nothing_is_charged_twice(
    tmp_path: Path, mortal: MortalServer, identify: Callable[[str, Callable[[Progress], None]], Results]
) -> None:
    results = identify(mortal.url, mortal.told)
    assert mortal.kills >= 1
    expected = score_bytes(load_scorer("ge2e-2"), FEW)
    rounded = np.resize(np.round(expected.llr.astype(np.float64), 4), COUNT)
    assert results.item.tolist() == list(range(COUNT))
    assert results.llr.tolist() == rounded.tolist()
    assert results.speech_s.tolist() == np.resize(expected.speech_s, COUNT).tolist()
    assert len(results.tasks) == len(set(results.tasks)) == COUNT // MAX_LIST
    # The licence allows each voiceprint once: one charge too many would have ended the call.
    assert stored(tmp_path) == (COUNT // MAX_LIST, COUNT)

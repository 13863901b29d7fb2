"""The machine's clock is set, by hours, while a server runs: nothing ends early, stays for ever or is allowed twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from serving import PATH, ServerProcess, voiceprint_text, wait_for

COMPILER = shutil.which("cc")
HOUR_S, DAY_S = 3600, 86_400
JUMPS_S = (5 * HOUR_S, -5 * HOUR_S, 40 * DAY_S, 0)
MEAN_S = 60
"""Far less than a jump, and far more than any answer takes."""

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler: apt-get install gcc libc6-dev")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What puts the clock of a program ahead."""
    built = tmp_path_factory.mktemp("set-clock") / "set_clock.so"
    source = Path(__file__).with_name("set_clock.c")
    subprocess.run([str(COMPILER), "-O1", "-fPIC", "-shared", "-o", built, source], check=True)
    return built


class OtherTime:
    """A server whose clock of the day is set while it runs.

    Args:
        folder: For its store and its log.
        library: What sets it.
        **settings: Its flags.
    """

    def __init__(self, folder: Path, library: Path, **settings: object) -> None:
        self._file = folder / "clock"
        if not self._file.exists():
            self.set(0)
        under = ["env", f"SET_CLOCK_FILE={self._file}", f"LD_PRELOAD={library}"]
        self._server = ServerProcess(folder, under, extractors=0, **settings)
        self.client = self._server.client

    def set(self, ahead_s: int) -> None:
        """Put the clock so far ahead of this test's, or behind it; the program has mapped the file."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(ahead_s.to_bytes(8, "little", signed=True))

    def wait_for_date(self, ahead_s: int) -> None:
        """Return once its answers' date is so far ahead; it is made once a second."""

        def is_so() -> bool:
            told = parsedate_to_datetime(self.client.get("/livez").headers["date"]).timestamp()
            return abs(told - time.time() - ahead_s) < MEAN_S

        wait_for(is_so)

    def post(self) -> httpx.Response:
        return self.client.post(PATH, json={"voiceprints": [voiceprint_text()]})

    def close(self) -> None:
        assert self._server.stop() == 0


def test_no_result_ends_early_not_even_over_a_restart(tmp_path: Path, library: Path) -> None:
    flags = {"task-ttl-s": 600}
    with closing(OtherTime(tmp_path, library, **flags)) as server:
        locations = [server.post().headers["location"]]
        for ahead_s in JUMPS_S[:3]:
            server.set(ahead_s)
            server.wait_for_date(ahead_s)
            locations.append(server.post().headers["location"])
            assert [server.client.get(location).status_code for location in locations] == [200] * len(locations)
    with closing(OtherTime(tmp_path, library, **flags)) as server:
        server.wait_for_date(JUMPS_S[2])
        assert [server.client.get(location).status_code for location in locations] == [200] * len(locations)
        server.set(0)
        assert [server.client.get(location).status_code for location in locations] == [200] * len(locations)


def test_no_result_stays_and_nobody_is_kept_out_until_a_clock_that_was_set_back_is_there_again(
    tmp_path: Path, library: Path
) -> None:
    with closing(OtherTime(tmp_path, library, **{"task-ttl-s": 2, "rate-limit": "1 per 2 second"})) as server:
        server.set(5 * HOUR_S)
        location = server.post().headers["location"]
        server.set(-5 * HOUR_S)
        wait_for(lambda: server.client.get(location).status_code == 404)
        wait_for(lambda: server.post().status_code == 202)


def test_to_set_the_clock_lets_in_no_more_than_the_limit_and_the_reset_is_told_by_the_clock(
    tmp_path: Path, library: Path
) -> None:
    with closing(OtherTime(tmp_path, library, **{"rate-limit": "2 per hour"})) as server:
        assert [server.post().status_code for _ in range(3)] == [202, 202, 429]
        for ahead_s in JUMPS_S:
            server.set(ahead_s)
            refused = server.post()
            assert refused.status_code == 429
            reset_s = int(refused.headers["x-ratelimit-reset"]) - (time.time() + ahead_s)
            assert HOUR_S - MEAN_S < reset_s < HOUR_S + MEAN_S
            assert HOUR_S - MEAN_S < int(refused.headers["retry-after"]) < HOUR_S + MEAN_S


def test_a_licence_gives_each_day_once_however_the_clock_is_set(tmp_path: Path, library: Path) -> None:
    capacity = {"period": "day", "voiceprints": 2}
    licence = tmp_path / "licence.json"
    licence.write_text(json.dumps({"licensee": "A", "valid_until": "2999-01-01T00:00:00Z", "capacity": capacity}))
    noon_s = 12 * HOUR_S - int(time.time()) % DAY_S  # so that no day ends meanwhile
    with closing(OtherTime(tmp_path, library, **{"licence-file": licence})) as server:
        for days, given in ((0, 2), (1, 2), (0, 0), (2, 2), (1, 0), (-1, 2), (2, 0)):
            server.set(noon_s + days * DAY_S)
            assert [server.post().status_code for _ in range(3)] == [202] * given + [403] * (3 - given)

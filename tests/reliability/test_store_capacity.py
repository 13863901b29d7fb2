"""What a store and a spool may hold is given and no more, and what ends makes room."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from recordings import recording
from serving import GENDER, PATH, ServerProcess, running_server, voiceprint_text, wait_for

WAIT_S = 120.0
ROW_BYTES, VOICEPRINT_BYTES = 256, 8
"""What a task takes up besides its result, and each voiceprint of its result."""
SPARE_BYTES = 1000
"""More than a body has besides its file, which counts until the end of the body, and less than a file."""
FULL = {"type": "storage.capacity-exceeded", "message": "Storage capacity exceeded.", "detail": []}


def post(client: httpx.Client, items: int) -> httpx.Response:
    return client.post(PATH, json={"voiceprints": [voiceprint_text()] * items})


def test_a_store_is_filled_to_the_last_byte_and_has_room_again_by_deletion(tmp_path: Path) -> None:
    capacity_bytes = 2 * ROW_BYTES + 30 * VOICEPRINT_BYTES
    with running_server(tmp_path, extractors=0, storage_capacity_bytes=capacity_bytes) as client:
        first = post(client, 10)
        for items, status in ((21, 507), (20, 202), (1, 507)):
            answer = post(client, items)
            assert answer.status_code == status
        assert answer.json() == FULL
        assert client.delete(first.headers["location"]).status_code == 204
        assert post(client, 10).status_code == 202


def test_a_full_store_has_room_again_by_expiry(tmp_path: Path) -> None:
    capacity_bytes = ROW_BYTES + 30 * VOICEPRINT_BYTES
    with running_server(tmp_path, extractors=0, storage_capacity_bytes=capacity_bytes, task_ttl_s=1) as client:
        assert post(client, 30).status_code == 202
        wait_for(lambda: post(client, 30).status_code == 202)


def test_uploads_at_the_same_time_never_go_beyond_what_a_spool_may_hold_and_what_is_done_makes_room(
    tmp_path: Path,
) -> None:
    media = recording(np.zeros(4000, np.float32), form="WAV")
    flags = {"spool-capacity-bytes": 5 * len(media) + SPARE_BYTES, "spool-dir": tmp_path / "spool"}
    server = ServerProcess(tmp_path, extractors=0, **flags)

    def upload(_: int) -> httpx.Response:
        return server.client.post(GENDER, files={"file": ("a", media)})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(upload, range(24)))
        taken = [answer for answer in answers if answer.status_code == 202]
        # An upload takes up a little more until it is known how long its file is, so some may come too early.
        taken += [answer for answer in map(upload, range(5)) if answer.status_code == 202]
    assert len(taken) == 5
    assert Counter(answer.status_code for answer in answers).keys() <= {202, 507}
    refused = upload(0)
    assert (refused.status_code, refused.json()) == (507, FULL)
    assert sum(path.stat().st_size for path in (tmp_path / "spool").glob("*.media")) == 5 * len(media)
    assert server.client.delete(taken[0].headers["location"]).status_code == 204
    assert [upload(0).status_code for _ in range(2)] == [202, 507]
    assert server.stop() == 0
    server = ServerProcess(tmp_path, extractors=1, **flags)
    wait_for(lambda: not list((tmp_path / "spool").glob("*.media")))
    assert upload(0).status_code == 202
    assert server.stop() == 0

"""A server of two workers that everything was asked of once, and the workload that it had."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from recordings import call, recording, voice
from rpc.stubs import identify_messages, of_voiceprints, stubs_of
from serving import EXTRACTION, GENDER, PATH, ServerProcess, voiceprint_text
from voxgender.core.base64 import decode_base64

FILE_NAME = "name-of-a-file-that-nobody-logs.flac"
CORRELATION = "all-of-one-run"
SPEECH_S = 3.0
"""Of each voiceprint that is sent."""
WAIT_S = 120.0


@dataclass(frozen=True)
class Used:
    """A server and what it was asked.

    Attributes:
        server: It still runs.
        voiceprints: As they were sent, in Base64.
    """

    server: ServerProcess
    voiceprints: list[str]


def ended(client: httpx.Client, started: httpx.Response) -> dict[str, object]:
    """The end of a task of media."""
    assert started.status_code == 202, started.text
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        answer = client.get(started.headers["location"], headers={"prefer": "wait=20"})
        told: dict[str, object] = answer.json()["task"]
        if told["state"] in ("done", "rejected", "failed"):
            return told
    raise AssertionError("the task did not end")


def use(folder: Path) -> Used:
    """10 requests of 7 voiceprints, 3 streams of 5, a call in REST and one in gRPC, an extraction, and some errors."""
    licence = folder / "licence.json"
    capacity = {"period": "total", "voiceprints": 1000, "audio_s": 500}
    licence.write_text(json.dumps({"licensee": "A", "valid_until": "2999-01-01T00:00:00Z", "capacity": capacity}))
    flags = {"licence-file": licence, "extractors": 1, "grpc": "on", "grpc-port": 0}
    server = ServerProcess(folder, workers=2, **flags)
    texts = [voiceprint_text(seed, speech_s=SPEECH_S) for seed in range(7)]
    with httpx.Client(base_url=server.client.base_url, headers={"x-correlation-id": CORRELATION}, timeout=60) as client:
        for _ in range(10):
            assert client.post(PATH, json={"voiceprints": texts}).status_code == 202
        assert client.post(PATH, json={"voiceprints": ["no voiceprint"]}).status_code == 422
        assert client.post(PATH, content=b"{").status_code in (400, 422)
        assert client.get(f"{PATH}/{'0' * 8}-0000-4000-a000-{'0' * 12}").status_code == 404
        assert client.get("/secret-path").status_code == 404
        assert client.put(PATH).status_code == 405
        files = {"file": (FILE_NAME, call())}
        assert ended(client, client.post(GENDER, files=files))["state"] == "done"
        assert ended(client, client.post(EXTRACTION, files=files))["state"] == "done"
        assert ended(client, client.post(GENDER, files={"file": (FILE_NAME, b"no audio")}))["state"] == "rejected"
    with stubs_of(server) as stubs:
        items = [decode_base64(text) for text in texts[:5]]
        for _ in range(3):
            assert len(stubs.identify(of_voiceprints(items))[0].results) == 5
        assert len(stubs.identify(*identify_messages(recording(voice("male"))))) > 0
    return Used(server, texts)

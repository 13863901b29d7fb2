"""Nothing of a voice, and no secret, is found where it does not belong, whichever way it went and whatever went wrong.

Recognisable voiceprints, recordings, names and keys go through every door of a service that logs all it can, and then
all that it has written is searched for them: its log, its store, its folders, metrics, traces, and answers.
"""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pyarrow as pa
import pytest

from operation.test_traces import Receiver
from operation.workload import ended
from recordings import recording, voice
from rest.test_keys import add_keys, bearer
from rpc.stubs import identify_messages, of_voiceprints, stubs_of
from serving import EXTRACTION, GENDER, PATH, START_S, ServerProcess, wait_for
from voxgender.app.key import new_key
from voxgender.core.layout import Layout
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

KEY, KEY_TEXT = new_key("marked", 0.0)
GUESS = "vxg_00000000_guessed-secret-of-nobody"
FILE_NAME = "marked-name-of-a-file"
LICENSEE = "marked-licensee"
IDEMPOTENCY = "marked-idempotency-key"
USER_AGENT = "marked-user-agent"
QUERY = "marked-query"
CORRELATION = "marked-correlation-id"
ARROW = "application/vnd.apache.arrow.stream"
PIECE = 24
"""Bytes of a marker that are searched for: enough to be no chance, few enough to be found when a text is cut."""


def pieces(data: bytes) -> Iterator[bytes]:
    """Parts of some bytes, and of their Base64 at each of its three beginnings."""
    for at in range(len(data) // 3, len(data) - 4 * PIECE, 3 * PIECE):
        part = data[at : at + PIECE]
        yield part
        for shift in range(3):
            # Ends depend on what stands beside them.
            yield base64.b64encode(data[at + shift : at + shift + 2 * PIECE])[4:-4]


@dataclass
class Marks:
    """What must be found nowhere.

    Attributes:
        voices: Parts of voiceprints and recordings.
        secrets: Texts.
    """

    voices: set[bytes] = field(default_factory=set)
    secrets: set[bytes] = field(default_factory=set)

    def in_file(self, path: Path, *, but: set[bytes] = frozenset()) -> set[bytes]:  # type: ignore[assignment]
        return self.within(path.read_bytes(), but=but)

    def within(self, content: bytes, *, but: set[bytes] = frozenset()) -> set[bytes]:  # type: ignore[assignment]
        return {mark for mark in (self.voices | self.secrets) - but if mark in content}


def marked_voiceprint(seed: int, layout: Layout) -> tuple[bytes, set[bytes]]:
    """A voiceprint and its parts, as it is written and as it is in memory, in both orders of bytes."""
    vector = np.random.default_rng(seed).normal(size=286).astype(np.float32)
    vector /= np.linalg.norm(vector)
    data = encode_voiceprint(Voiceprint("ge2e-2", 3.0, vector), layout)
    views = (data, vector.astype("<f4").tobytes(), vector.astype(">f4").tobytes())
    return data, {part for view in views for part in pieces(view)}


def marked_recording() -> tuple[bytes, set[bytes]]:
    """A recording and its parts: its bytes, and its samples as numbers of other kinds."""
    samples = voice("male", seconds=2.0, seed=77)
    data = recording(samples)
    whole = np.frombuffer(data[44:], "<i2")
    loud = int(np.abs(whole).argmax())
    some = whole[loud : loud + 200]
    views = (some.tobytes(), (some / 32768).astype("<f4").tobytes())
    return data, {part for view in views for part in pieces(view)}


@dataclass
class Used:
    server: ServerProcess
    folder: Path
    marks: Marks
    extracted: set[bytes]
    answers: list[bytes]
    traces: list[bytes]
    commands: list[bytes]
    limits: list[str]


def refusals(client: httpx.Client, texts: list[str], media: bytes) -> Iterator[httpx.Response]:
    """Errors of every kind, with marked things in what is refused."""
    good = texts[0]
    yield client.post(PATH, json={"voiceprints": [good[:-8] + "????", good, good[:200]]})
    yield client.post(PATH, content=json.dumps({"voiceprints": [good]})[:-2].encode())
    yield client.post(PATH, json={good: [good]})
    yield client.post(PATH, json=[good])
    yield client.post(PATH, content=good.encode(), headers={"content-type": good[:40]})
    yield client.post(PATH, json={"voiceprints": [good]}, params={"male_prior": good})
    yield client.post(PATH, json={"voiceprints": [good]}, params={"min_probability": QUERY})
    yield client.post(PATH, json={"voiceprints": [good] * 30})
    yield client.post(PATH, content=base64.b64decode(good), headers={"content-type": ARROW})
    yield client.post(PATH, content=base64.b64decode(good), headers={"content-encoding": "gzip"})
    yield client.post(PATH, json={"voiceprints": [good]}, headers={"idempotency-key": "é".encode()})
    yield client.get(f"{PATH}/{good[:60]}")
    yield client.get(f"/{good[:60]}")
    yield client.get(f"{PATH}/{'0' * 8}-0000-4000-a000-{'0' * 12}", params={"offset": good})
    yield client.post(GENDER, content=media)
    yield client.post(GENDER, files={"other": (FILE_NAME, media)})
    yield client.post(GENDER, files={"file": (FILE_NAME, media)}, params={"channels": good})
    yield client.post(GENDER, files={"file": (FILE_NAME, media), "config": (None, media[:2000])})
    yield client.post(GENDER, files={"file": (FILE_NAME, media * 20)})
    yield client.post(PATH, json={"voiceprints": [good]}, headers=bearer(GUESS))
    yield client.post(PATH, json={"voiceprints": [good]}, headers={"origin": "https://other.example"})


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    folder = tmp_path_factory.mktemp("marked")
    for name in ("tmp", "secrets", "work"):
        (folder / name).mkdir()
    (folder / "secrets" / "voxgender_licence_file").write_text(str(folder / "marked-licence.json"))
    capacity = {"period": "total", "voiceprints": 10_000, "audio_s": 1000}
    told = {"licensee": LICENSEE, "valid_until": "2999-01-01T00:00:00Z", "capacity": capacity}
    (folder / "marked-licence.json").write_text(json.dumps(told))
    add_keys(folder / "work", KEY)
    collector = Receiver()
    flags = {
        **{"log-level": "debug", "keys": "on", "extractors": 1, "grpc": "on", "grpc-port": 0, "max-voiceprints": 20},
        **{"max-file-bytes": 300_000, "otlp-endpoint": collector.url, "secrets-dir": folder / "secrets"},
    }
    # As large as this account may have them, which is without a bound as a rule.
    under = ("env", f"TMPDIR={folder / 'tmp'}", "sh", "-c", 'ulimit -S -c "$(ulimit -H -c)" && exec "$@"', "sh")
    server = ServerProcess(folder / "work", under=under, **flags)
    used = Used(server, folder, Marks(), set(), [], collector.bodies, [], [])
    try:
        use(used)
        yield used
    finally:
        server.kill()
        collector.close()


def use(used: Used) -> None:
    """Send what is marked through every door, and break what can be broken."""
    marks = used.marks
    secrets = (KEY_TEXT, KEY_TEXT.split("_", 2)[2], GUESS, FILE_NAME, LICENSEE, IDEMPOTENCY, USER_AGENT, QUERY)
    marks.secrets = {text.encode() for text in secrets}
    voiceprints = []
    layouts: tuple[Layout, ...] = ("int8", "float32", "int8", "float32")
    for seed, layout in enumerate(layouts):
        data, parts = marked_voiceprint(seed, layout)
        voiceprints.append(data)
        marks.voices |= parts
    media, parts = marked_recording()
    marks.voices |= parts
    texts = [base64.b64encode(data).decode() for data in voiceprints]
    headers = {"user-agent": USER_AGENT, "x-correlation-id": CORRELATION, **bearer(KEY_TEXT)}
    named = {"idempotency-key": IDEMPOTENCY}
    with httpx.Client(base_url=used.server.client.base_url, headers=headers, timeout=120) as client:
        accepted = [client.post(PATH, json={"voiceprints": texts}, headers=named)]
        table = pa.table({"voiceprint": pa.array(voiceprints, pa.binary())})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        accepted.append(client.post(PATH, content=sink.getvalue().to_pybytes(), headers={"content-type": ARROW}))
        assert [answer.status_code for answer in accepted] == [202, 202]
        used.answers += [client.get(answer.headers["location"]).content for answer in accepted]
        for path in (GENDER, EXTRACTION):
            started = client.post(path, files={"file": (FILE_NAME, media)}, headers=named if path == GENDER else {})
            assert ended(client, started)["state"] == "done"
            answer = client.get(started.headers["location"])
            if path == EXTRACTION:
                for channel in answer.json()["result"]["channels"]:
                    used.extracted |= set(pieces(base64.b64decode(channel["voiceprint"])))
                assert client.delete(started.headers["location"]).status_code == 204
            else:
                used.answers.append(answer.content)
        assert ended(client, client.post(GENDER, files={"file": (FILE_NAME, media[44:])}))["state"] == "rejected"
        refused = list(refusals(client, texts, media))
        assert {answer.status_code for answer in refused} == {400, 403, 404, 413, 422}
        used.answers += [answer.content + str(answer.headers).encode() for answer in refused]
        call_over_rpc(used, voiceprints, media)
        look_at_processes(used)
        crash(used, client, media)
        used.answers += [client.get(path).content for path in ("/metrics", "/readyz", "/api/system/info")]


def call_over_rpc(used: Used, voiceprints: list[bytes], media: bytes) -> None:
    metadata = [("authorization", f"Bearer {KEY_TEXT}"), ("x-correlation-id", CORRELATION)]
    with stubs_of(used.server) as stubs:

        def tell(messages: Any, metadata: Any = metadata) -> None:
            call = stubs.gender.Identify(iter(messages), timeout=120, metadata=metadata)
            try:
                used.answers += [answer.SerializeToString() for answer in call]
            except grpc.RpcError as error:
                told = (error.details() or "", *(str(one) for one in error.trailing_metadata()))
                used.answers.append("\n".join(told).encode())

        tell([of_voiceprints(voiceprints)])
        tell(identify_messages(media))
        tell([of_voiceprints([voiceprints[0][:-9]])])
        tell([of_voiceprints([media[:3000]])])
        tell(identify_messages(voiceprints[0]))
        tell(identify_messages(media[44:]))
        tell([of_voiceprints(voiceprints)], [("authorization", f"Bearer {GUESS}")])


def look_at_processes(used: Used) -> None:
    """Note what any user of the machine may see of the service's processes, and how large a core file of one may be."""
    root = psutil.Process(used.server.process.pid)
    for process in (root, *root.children(recursive=True)):
        used.commands.append(Path(f"/proc/{process.pid}/cmdline").read_bytes())
        (line,) = (
            line
            for line in Path(f"/proc/{process.pid}/limits").read_text().splitlines()
            if line.startswith("Max core file size")
        )
        used.limits.append(line.split()[4])


def crash(used: Used, client: httpx.Client, media: bytes) -> None:
    """Have the process that reads a recording crash, as a decoder's fault would have it, until that is given up."""
    started = client.post(EXTRACTION, files={"file": (FILE_NAME, media)})
    root = psutil.Process(used.server.process.pid)
    deadline = time.monotonic() + 120
    while client.get(started.headers["location"]).json()["task"]["state"] in ("pending", "running"):
        assert time.monotonic() < deadline
        for worker in root.children():
            for process in worker.children():
                with contextlib.suppress(psutil.Error):
                    if "multiprocessing.spawn" in " ".join(process.cmdline()):
                        process.send_signal(signal.SIGSEGV)
        time.sleep(0.05)
    answer = client.get(started.headers["location"])
    assert answer.json()["task"]["state"] == "failed"
    used.answers.append(answer.content)
    assert client.delete(started.headers["location"]).status_code == 204


@pytest.fixture(scope="module")
def log(used: Used) -> bytes:
    return used.server.log_path.read_bytes()


def test_the_marks_would_be_found(used: Used) -> None:
    data, _ = marked_voiceprint(1, "float32")
    assert len(used.marks.voices) > 200
    assert used.marks.within(b"x" + base64.b64encode(data))
    assert used.marks.within(b"xy" + base64.b64encode(b"1" + data))
    assert used.marks.within(data[5:])
    assert used.marks.within(marked_recording()[0])


def test_no_line_of_the_log_holds_anything_of_a_voice_or_a_secret(used: Used, log: bytes) -> None:
    lines = [json.loads(line) for line in log.splitlines()]
    assert len(lines) > 60
    assert used.marks.within(log) == set()
    assert not [part for part in used.extracted if part in log]
    # These belong there.
    assert {line["key_id"] for line in lines if "key_id" in line} == {KEY.key_id}
    assert CORRELATION.encode() in log


def test_no_answer_to_a_mistake_no_metric_and_no_trace_holds_them(used: Used) -> None:
    # Of a parameter that is wrong, and of a media type, up to 100 letters are told to who sent them.
    own = {QUERY.encode()}
    for answer in used.answers:
        assert used.marks.within(answer, but=own) == set(), answer[:300]
    wait_for(lambda: bool(used.traces))  # they are handed over some seconds after they were made
    for body in used.traces:
        assert used.marks.within(body) == set()
        assert not [part for part in used.extracted if part in body]


def test_no_file_holds_them_once_the_tasks_have_ended(used: Used) -> None:
    # What was deleted is written over at once, and gone from the write-ahead log within 10 s.
    deadline = time.monotonic() + START_S
    while found := {
        path.relative_to(used.folder): parts
        for path in used.folder.rglob("*")
        if path.is_file() and path.name != "marked-licence.json"
        if (parts := used.marks.in_file(path) | {part for part in used.extracted if part in path.read_bytes()})
    }:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    written = [path for path in used.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".db", ".log"}
    assert [path for path in written if path.name.startswith("core")] == []


def test_of_a_key_the_store_has_a_hash_alone_and_the_licence_key_of_a_request_a_digest(used: Used) -> None:
    with closing(sqlite3.connect(used.folder / "work" / "tasks.db")) as connection:
        dump = "\n".join(connection.iterdump()).encode()
    assert KEY.key_id.encode() in dump
    assert used.marks.within(dump) == set()


def test_no_command_line_tells_a_setting_of_the_secrets_and_no_process_may_leave_a_core_file(used: Used) -> None:
    assert len(used.commands) >= 3
    for command in used.commands:
        assert b"marked-licence" not in command
        assert used.marks.within(command) == set()
    assert set(used.limits) == {"0"}

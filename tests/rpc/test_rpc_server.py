"""The gRPC door of ``voxgender serve``: ports, processes, certificates, and its end."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from phonexia.grpc.common.status_pb2 import GetStatusRequest

from recordings import recording, voice
from rpc.stubs import identify_messages, of_voiceprints, paused, refused, seconds, stubs_of
from rpc.traces import entries, left_over, media
from serving import START_S, ServerProcess, voiceprint_text, wait_for
from voxgender.app.service import Service
from voxgender.app.settings import load_settings
from voxgender.core.base64 import decode_base64
from voxgender.core.errors import SettingsError
from voxgender.rpc.server import RpcServer

VOICEPRINT = decode_base64(voiceprint_text())
SHORT = recording(voice("male", 1.0), form="FLAC")
Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers that answer gRPC; none outlives the test."""
    servers: list[ServerProcess] = []

    def start(**flags: object) -> ServerProcess:
        servers.append(ServerProcess(tmp_path, **{"grpc": "on", "grpc-port": 0, "extractors": 0, **flags}))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def not_started(tmp_path: Path, *flags: str) -> str:
    """The one sentence that a server ends with that cannot start."""
    store = f"--store-url=sqlite:///{tmp_path}/other.db"
    command = [sys.executable, "-m", "voxgender", "serve", "--port=0", "--extractors=0", store, *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    (sentence,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    return sentence


def listening_sockets(pid: int) -> int:
    """How many TCP sockets of a process wait for connections."""
    ours = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            ours.add(str(link.readlink()))
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return sum(line[3] == "0A" and f"socket:[{line[9]}]" in ours for line in lines)


# Ports and processes


def test_several_processes_answer_on_one_port_which_no_other_service_can_take(start: Start, tmp_path: Path) -> None:
    server = start(workers=2)
    wait_for(lambda: len(entries(server, "worker answers")) == 2)
    pids = {entry["worker"] for entry in entries(server, "worker answers")}

    def answered() -> bool:
        for _ in range(10):
            with stubs_of(server) as stubs:
                stubs.status.GetStatus(GetStatusRequest(), timeout=30)
        calls = [entry for entry in entries(server, "request") if entry.get("method") == "Status.GetStatus"]
        return {entry["worker"] for entry in calls} == pids

    wait_for(answered)
    port = server.rpc_address.rpartition(":")[2]
    sentence = not_started(tmp_path, f"--grpc-port={port}")
    assert f"VOXGENDER_GRPC_PORT (--grpc-port) is {port}: Address already in use" in sentence
    assert "switch gRPC off by VOXGENDER_GRPC=off" in sentence
    assert server.stop() == 0


def test_a_port_that_another_program_has_is_told_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = not_started(tmp_path, f"--grpc-port={port}")
    assert f"VOXGENDER_HOST (--host) is 127.0.0.1 and VOXGENDER_GRPC_PORT (--grpc-port) is {port}: " in sentence


def test_where_grpc_is_off_nothing_listens_for_it(start: Start) -> None:
    server = start(grpc="off")
    assert server.rpc_address == ""
    assert listening_sockets(server.process.pid) == 1


def test_the_port_is_free_again_at_once_for_the_next_service(start: Start) -> None:
    server = start()
    port = server.rpc_address.rpartition(":")[2]
    with stubs_of(server) as stubs:
        stubs.identify(of_voiceprints([VOICEPRINT]))
        assert server.stop() == 0
    again = start(**{"grpc-port": port})
    with stubs_of(again) as stubs:
        assert len(stubs.identify(of_voiceprints([VOICEPRINT]))) == 1


# Certificates


@pytest.fixture
def other_key(tmp_path: Path, certificate: tuple[Path, Path]) -> Path:
    path = tmp_path / "other.pem"
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path


def refusal_of(tmp_path: Path, certificate: Path | None, key: Path | None) -> str:
    """What is said of a certificate and its key."""
    settings = load_settings(
        store_url=f"sqlite:///{tmp_path}/tasks.db", grpc_certificate_file=certificate, grpc_key_file=key
    )
    with pytest.raises(SettingsError) as caught:
        RpcServer(Service.of_settings(settings), "127.0.0.1:0")
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_certificate_without_its_key_or_a_key_without_its_certificate_is_refused(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    both = "VOXGENDER_GRPC_CERTIFICATE_FILE and VOXGENDER_GRPC_KEY_FILE go together, but only one of them is set"
    assert refusal_of(tmp_path, certificate[0], None) == both
    assert refusal_of(tmp_path, None, certificate[1]) == both


def test_a_file_that_cannot_be_read_is_refused_by_its_setting(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    missing = tmp_path / "missing.pem"
    assert refusal_of(tmp_path, missing, certificate[1]).startswith(
        f"VOXGENDER_GRPC_CERTIFICATE_FILE (--grpc-certificate-file) is {missing}: No such file"
    )
    assert refusal_of(tmp_path, certificate[0], tmp_path).startswith(
        f"VOXGENDER_GRPC_KEY_FILE (--grpc-key-file) is {tmp_path}: Is a directory"
    )


def test_files_that_are_no_certificate_and_its_key_are_refused_without_what_they_hold(
    tmp_path: Path, certificate: tuple[Path, Path], other_key: Path
) -> None:
    good, key = certificate
    secret = "".join(key.read_text().splitlines()[1:-1])
    text, cut, locked = tmp_path / "text.pem", tmp_path / "cut.pem", tmp_path / "locked.pem"
    text.write_text("no certificate\n")
    cut.write_bytes(good.read_bytes()[:100])
    command = ["openssl", "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:secret"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    for pair in ((text, key), (good, text), (cut, key), (good, other_key), (key, good), (good, locked)):
        sentence = refusal_of(tmp_path, *pair)
        assert str(pair[0]) in sentence
        assert str(pair[1]) in sentence
        assert "which are no certificate and its unencrypted key in PEM" in sentence
        assert secret[20:60] not in sentence


def test_a_certificate_that_cannot_be_used_keeps_a_server_of_several_processes_from_its_start(tmp_path: Path) -> None:
    sentence = not_started(tmp_path, "--grpc-port=0", "--workers=2", "--grpc-key-file=/none.pem")
    assert "VOXGENDER_GRPC_CERTIFICATE_FILE and VOXGENDER_GRPC_KEY_FILE go together" in sentence


# The end


def test_a_terminated_server_takes_no_new_calls_tells_its_watchers_and_finishes_the_streams_under_way(
    start: Start,
) -> None:
    server, go_on = start(), threading.Event()
    with stubs_of(server) as stubs, stubs_of(server) as others:
        watch = others.health.Watch(HealthCheckRequest(), timeout=60)
        assert next(watch).status == HealthCheckResponse.SERVING
        answers = stubs.gender.Identify(paused([of_voiceprints([VOICEPRINT])] * 3, go_on), timeout=60)
        next(answers)
        server.process.terminate()
        assert next(watch).status == HealthCheckResponse.NOT_SERVING
        with stubs_of(server) as new, refused() as refusal:
            new.status.GetStatus(GetStatusRequest(), timeout=30)
        assert refusal.status is grpc.StatusCode.UNAVAILABLE
        go_on.set()
        assert [len(answer.results) for answer in answers] == [1, 1]
        watch.cancel()
        assert server.process.wait(START_S) == 0


def test_a_recording_that_is_being_heard_when_the_server_stops_is_answered(start: Start) -> None:
    server = start(extractors=1)
    long = recording(np.tile(voice("male", 4.0), 8), form="FLAC")
    with stubs_of(server) as stubs:
        # To load the model on busy cores alone could take longer than the time that is left to what is under way.
        stubs.identify(*identify_messages(SHORT))
        answers = stubs.gender.Identify(iter(identify_messages(long, 1_000_000)), timeout=60)
        wait_for(lambda: len(entries(server, "task begun")) == 2)
        server.process.terminate()
        (answer,) = answers
    assert seconds(answer.processed_audio_length) == 32.0
    assert server.process.wait(START_S) == 0
    assert left_over(server) == []


def test_a_watcher_does_not_keep_a_server_from_its_end(start: Start) -> None:
    server = start()
    with stubs_of(server) as stubs:
        watch = stubs.health.Watch(HealthCheckRequest(), timeout=60)
        next(watch)
        server.process.terminate()
        assert server.process.wait(START_S) == 0
        # Its stream has ended as all do: the server did not have to break it off.
        assert list(watch)[-1].status == HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("kind", ["voiceprints", "audio"])
def test_a_second_interrupt_gives_up_the_streams_under_way_and_nothing_of_them_stays(start: Start, kind: str) -> None:
    server, go_on = start(), threading.Event()
    messages = identify_messages(SHORT, 5000) if kind == "audio" else [of_voiceprints([VOICEPRINT])] * 2
    with stubs_of(server) as stubs:
        answers = stubs.gender.Identify(paused(messages, go_on), timeout=60)
        if kind == "audio":
            wait_for(lambda: len(media(server)) == 1)
        else:
            next(answers)
        try:
            server.process.send_signal(signal.SIGINT)
            # HTTP has nothing under way, and has ended.
            wait_for(lambda: any("Finished" in entry["event"] for entry in entries(server)))
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(START_S) == 0
            with refused() as refusal:
                next(answers)
        finally:
            go_on.set()
    assert refusal.status is grpc.StatusCode.UNAVAILABLE
    assert left_over(server) == []
    # What was under way has ended before the service has.
    assert json.loads(server.log_path.read_text().splitlines()[-1])["event"] == "stopped"

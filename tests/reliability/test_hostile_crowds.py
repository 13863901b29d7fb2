"""Many clients at once that are slow, silent or broken: others are served, and nothing of them stays."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator

import pytest

from hostile import (
    GOOD,
    asked,
    connected,
    cpu_s,
    descriptors,
    errors,
    head,
    is_well,
    memory_bytes,
    reset,
    submission,
)
from rpc.stubs import of_voiceprints, stubs_of
from serving import PATH, ServerProcess, voiceprint_text, wait_for
from voxgender.core.base64 import decode_base64

CLIENTS = 100
"""Of each kind."""
FEW_FILES = 80
MEDIA_PATH = "/api/technology/gender-identification"
MULTIPART = "multipart/form-data; boundary=x"
UPLOAD = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n'

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("crowds"), extractors=0)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def few_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that may have few files and connections open, and answers gRPC as well."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit, of util-linux, is not installed")
    tmp_path = tmp_path_factory.mktemp("files")
    under = ["prlimit", f"--nofile={FEW_FILES}:{FEW_FILES}"]
    server = ServerProcess(tmp_path, under=under, extractors=0, grpc="on", **{"grpc-port": 0})
    yield server
    server.stop()


@contextlib.contextmanager
def crowd(server: ServerProcess, clients: int, sent: bytes, receive_bytes: int | None = None) -> Iterator[None]:
    """Clients that have all sent something and then do nothing."""
    with contextlib.ExitStack() as opened:
        for _ in range(clients):
            connection = opened.enter_context(connected(server))
            if receive_bytes is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            connection.sendall(sent)
        yield


def test_crowds_of_slow_clients_of_every_kind_keep_nobody_else_from_being_served(server: ServerProcess) -> None:
    many = server.client.post(
        PATH, content=b'{"voiceprints": [' + b",".join([GOOD[17:-2]] * 5000) + b"]}", headers=JSON
    )
    assert many.status_code == 202
    assert is_well(server)
    open_before, memory_before = descriptors(server), memory_bytes(server)
    with (
        crowd(server, CLIENTS, b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx: "),
        crowd(server, CLIENTS, submission()[:-1]),
        crowd(server, CLIENTS, submission(UPLOAD, MULTIPART, MEDIA_PATH)[:-9]),
        crowd(server, CLIENTS, head("GET", many.headers["location"]), receive_bytes=4096),
        crowd(server, CLIENTS, b""),
    ):
        wait_for(lambda: descriptors(server) >= open_before + 5 * CLIENTS)
        assert all(is_well(server) for _ in range(10))
        assert memory_bytes(server) - memory_before < 5 * CLIENTS * 500_000
    wait_for(lambda: descriptors(server) <= open_before + 1)
    wait_for(lambda: media(server) == 0)
    assert is_well(server)


def media(server: ServerProcess) -> int:
    """How many recordings are in the spool."""
    return len(list(server.log_path.parent.glob("tasks.db-media/*.media")))


@pytest.mark.parametrize(
    "request_bytes",
    [submission(), submission(UPLOAD, MULTIPART, MEDIA_PATH), head("GET", "/api/system/info")],
    ids=["voiceprints", "a recording", "a question"],
)
def test_a_connection_may_be_reset_at_any_byte_of_its_request(server: ServerProcess, request_bytes: bytes) -> None:
    assert is_well(server)
    open_before, media_before = descriptors(server), media(server)
    step = max(1, len(request_bytes) // 150)
    for size in [*range(0, len(request_bytes), step), len(request_bytes)]:
        connection = connected(server)
        connection.sendall(request_bytes[:size])
        reset(connection)
    wait_for(lambda: descriptors(server) <= open_before + 1)
    assert is_well(server)
    assert errors(server) == []
    # A whole request may have been taken, nothing of one that broke off.
    assert media(server) - media_before <= 1


def test_without_descriptors_new_connections_are_refused_old_ones_served_and_all_is_well_once_there_are_some(
    few_files: ServerProcess,
) -> None:
    server = few_files
    assert is_well(server)
    wait_for(lambda: descriptors(server) < FEW_FILES - 30)
    told_before, open_before = server.log_path.read_bytes().count(b"\n"), descriptors(server)
    with contextlib.ExitStack() as opened:
        old = opened.enter_context(connected(server))
        assert asked(old, head("GET", "/livez"))[0] == 200
        for _ in range(2 * FEW_FILES):
            opened.enter_context(connected(server))
        wait_for(lambda: descriptors(server) == FEW_FILES)
        assert not is_well(server)  # for that a connection is needed
        began_s = cpu_s(server)
        time.sleep(1)
        assert cpu_s(server) - began_s < 0.5  # it does not ask again and again for a descriptor
        for _ in range(5):
            assert asked(old, submission())[0] == 202
        status, told = asked(old, submission(UPLOAD, MULTIPART, MEDIA_PATH))
        assert (status, b"The service cannot take requests now." in told) == (503, True)
    wait_for(lambda: is_well(server))
    wait_for(lambda: descriptors(server) <= open_before + 1)
    with stubs_of(server) as stubs:
        assert len(stubs.identify(of_voiceprints([decode_base64(voiceprint_text())]))) == 1
    with connected(server) as connection:
        assert asked(connection, submission(UPLOAD, MULTIPART, MEDIA_PATH))[0] == 202
    assert server.log_path.read_bytes().count(b"\n") - told_before < 100


def test_grpc_s_connections_may_take_all_descriptors_and_give_them_back(few_files: ServerProcess) -> None:
    server = few_files
    host, _, port = server.rpc_address.partition(":")
    assert is_well(server)
    with contextlib.ExitStack() as opened:
        old = opened.enter_context(connected(server))
        assert asked(old, head("GET", "/livez"))[0] == 200
        for _ in range(2 * FEW_FILES):
            opened.enter_context(socket.create_connection((host, int(port)), timeout=30))
        wait_for(lambda: descriptors(server) >= FEW_FILES)
        assert asked(old, submission())[0] == 202
    wait_for(lambda: is_well(server))
    with stubs_of(server) as stubs:
        assert len(stubs.identify(of_voiceprints([decode_base64(voiceprint_text())]))) == 1

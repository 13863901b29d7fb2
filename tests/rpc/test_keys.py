"""Keys over gRPC: the same ones, in the metadata."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from phonexia.grpc.common.licensing_pb2 import LicensingInfoRequest
from phonexia.grpc.common.licensing_pb2_grpc import LicensingStub
from phonexia.grpc.common.status_pb2 import GetStatusRequest
from phonexia.grpc.common.status_pb2_grpc import StatusStub
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import IdentifyRequest
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2_grpc import GenderIdentificationStub
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import ExtractRequest
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2_grpc import (
    VoiceprintExtractionStub,
)

from serving import ServerProcess, voiceprint_text
from voxgender.app.key import new_key
from voxgender.app.licence import Capacity
from voxgender.app.sqlite_store import SqliteStore
from voxgender.core.base64 import decode_base64

KEY, TEXT = new_key("one", 0.0, capacity=Capacity("total", voiceprints=3))


def with_store(folder: Path, work: Callable[[SqliteStore], Awaitable[object]]) -> None:
    async def run() -> None:
        store = SqliteStore(folder / "tasks.db", 10**9)
        await store.open()
        await work(store)
        await store.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def channel(server_folder: Path) -> Iterator[grpc.Channel]:
    with_store(server_folder, lambda store: store.add_key(KEY))
    server = ServerProcess(server_folder, grpc="on", keys="on", extractors=0, **{"grpc-port": 0})
    with grpc.insecure_channel(server.rpc_address) as channel:
        yield channel
    server.stop()


def identify(channel: grpc.Channel, count: int, *metadata: tuple[str, str]) -> int:
    request = IdentifyRequest()
    for _ in range(count):
        request.voiceprints.add().content = decode_base64(voiceprint_text(1))
    answers = GenderIdentificationStub(channel).Identify(iter([request]), metadata=metadata, timeout=60)
    return sum(len(answer.results) for answer in answers)


def refusal(code: grpc.StatusCode, name: str, error: grpc.RpcError) -> None:
    assert (error.code(), dict(error.trailing_metadata())["x-error-code"]) == (code, name)


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ([], "key.missing"),
        ([("authorization", "Bearer vxg_0_x")], "key.unknown"),
        ([("x-api-key", "x")], "key.unknown"),
    ],
)
def test_both_technologies_demand_a_key(channel: grpc.Channel, metadata: list[tuple[str, str]], name: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        identify(channel, 1, *metadata)
    refusal(grpc.StatusCode.UNAUTHENTICATED, name, refused.value)
    with pytest.raises(grpc.RpcError) as refused:
        VoiceprintExtractionStub(channel).Extract(iter([ExtractRequest()]), metadata=metadata, timeout=60)
    refusal(grpc.StatusCode.UNAUTHENTICATED, name, refused.value)


def test_the_key_opens_and_its_capacity_bounds_what_is_done(channel: grpc.Channel) -> None:
    assert identify(channel, 2, ("authorization", f"Bearer {TEXT}")) == 2
    with pytest.raises(grpc.RpcError) as refused:
        identify(channel, 2, ("x-api-key", TEXT))
    refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "key.capacity-exceeded", refused.value)
    assert identify(channel, 1, ("x-api-key", TEXT)) == 1


def test_a_stream_ends_once_its_key_is_removed(channel: grpc.Channel, server_folder: Path) -> None:
    key, text = new_key("brief", 0.0)
    with_store(server_folder, lambda store: store.add_key(key))
    request = IdentifyRequest()
    request.voiceprints.add().content = decode_base64(voiceprint_text(1))
    opened = None
    until_s = time.monotonic() + 60
    while opened is None:  # a new key is known within half a second
        assert time.monotonic() < until_s
        requests: queue.SimpleQueue[IdentifyRequest | None] = queue.SimpleQueue()
        requests.put(request)
        stream = GenderIdentificationStub(channel).Identify(
            iter(requests.get, None), metadata=[("x-api-key", text)], timeout=60
        )
        with contextlib.suppress(grpc.RpcError):
            opened = next(stream)
    with_store(server_folder, lambda store: store.remove_key(key.key_id))

    def go_on() -> None:
        while time.monotonic() < until_s:
            requests.put(request)
            next(stream)
            time.sleep(0.2)

    with pytest.raises(grpc.RpcError) as refused:
        go_on()
    refusal(grpc.StatusCode.UNAUTHENTICATED, "key.unknown", refused.value)


def test_health_licence_and_status_are_open(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert LicensingStub(channel).Info(LicensingInfoRequest(), timeout=60).is_valid
    assert StatusStub(channel).GetStatus(GetStatusRequest(), timeout=60).name

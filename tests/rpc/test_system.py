"""What operators' tools ask: health, reflection, status, licence; and the ids that bind a request to its log lines."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.wrappers_pb2 import DoubleValue, Int64Value, StringValue
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from phonexia.grpc.common.core_pb2 import Audio
from phonexia.grpc.common.licensing_pb2 import LicensingInfoRequest, LicensingInfoResult, ModelInfo
from phonexia.grpc.common.status_pb2 import GetStatusRequest
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import IdentifyRequest
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import MergeRequest
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2_grpc import VoiceprintMergingStub

from recordings import recording, voice
from rpc.stubs import Stubs, extract_messages, identify_messages, of_voiceprints, refused, stubs_of
from rpc.traces import entries
from serving import ServerProcess, voiceprint_text, wait_for
from voxgender import __version__
from voxgender.core.base64 import decode_base64

SERVICES = {
    "phonexia.grpc.technologies.gender_identification.v1.GenderIdentification",
    "phonexia.grpc.technologies.speaker_identification.v1.VoiceprintExtraction",
    "phonexia.grpc.common.Licensing",
    "phonexia.grpc.common.Status",
    "grpc.health.v1.Health",
}
VOICEPRINT = decode_base64(voiceprint_text())


@pytest.fixture(scope="module")
def stubs(rpc_server: ServerProcess) -> Iterator[Stubs]:
    with stubs_of(rpc_server) as stubs:
        yield stubs


@pytest.mark.parametrize("service", ["", *sorted(SERVICES)])
def test_each_service_and_the_whole_serve_whether_checked_or_watched(stubs: Stubs, service: str) -> None:
    request = HealthCheckRequest(service=service)
    assert stubs.health.Check(request, timeout=30).status == HealthCheckResponse.SERVING
    watch = stubs.health.Watch(request, timeout=30)
    assert next(watch).status == HealthCheckResponse.SERVING
    watch.cancel()


def test_the_health_of_an_unknown_service_is_not_found(stubs: Stubs) -> None:
    with refused() as refusal:
        stubs.health.Check(HealthCheckRequest(service="other"), timeout=30)
    assert refusal.status is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services_and_describes_their_messages(stubs: Stubs) -> None:
    database = ProtoReflectionDescriptorDatabase(stubs.channel)
    assert set(database.get_services()) == SERVICES | {"grpc.reflection.v1alpha.ServerReflection"}
    pool = DescriptorPool(database)
    for service in SERVICES:
        assert pool.FindServiceByName(service).methods


def test_the_status_tells_version_model_and_what_is_set(rpc_server: ServerProcess, stubs: Stubs) -> None:
    told = stubs.status.GetStatus(GetStatusRequest(), timeout=30)
    info = rpc_server.client.get("/api/system/info").json()
    assert (told.name, told.version) == ("voxgender", __version__)
    assert told.technology_name == "gender-identification"
    assert [told.model_info.name] == info["models"]
    assert told.model_info.version
    kinds = {
        "max_file_bytes": Int64Value,
        "max_audio_s": DoubleValue,
        "rate_limit": StringValue,
        "male_prior": DoubleValue,
        "min_probability": DoubleValue,
    }
    values = {}
    for name, kind in kinds.items():
        value = kind()
        assert told.configuration[name].Unpack(value)
        values[name] = value.value
    assert values == {
        "max_file_bytes": 500 * 1024**2,
        "max_audio_s": 7200.0,
        "rate_limit": "",
        "male_prior": 0.5,
        "min_probability": 0.5,
    }
    assert set(told.configuration) == set(kinds)


def test_without_a_licence_work_is_always_allowed(stubs: Stubs) -> None:
    told = stubs.licensing.Info(LicensingInfoRequest(), timeout=30)
    assert told == LicensingInfoResult(
        valid_until="",
        is_valid=True,
        technology_name="gender-identification",
        model_info=ModelInfo(name="ge2e-2", version=told.model_info.version),
    )


def test_a_service_of_the_protocol_that_is_not_offered_is_told_as_unimplemented(stubs: Stubs) -> None:
    with refused() as refusal:
        VoiceprintMergingStub(stubs.channel).Merge(MergeRequest(), timeout=30)
    assert refusal.status is grpc.StatusCode.UNIMPLEMENTED


# Ids and the log


def ids_of(call: grpc.Call) -> dict[str, str]:
    told = {str(name): str(value) for name, value in call.initial_metadata() or ()}
    return {name: told[name] for name in ("x-correlation-id", "x-request-id")}


def request_line(server: ServerProcess, ids: dict[str, str]) -> dict[str, object]:
    """The log line at the end of an RPC; the client may have its answer before."""

    def found() -> list[dict[str, object]]:
        wanted = {"correlation_id": ids["x-correlation-id"], "request_id": ids["x-request-id"]}
        return [entry for entry in entries(server, "request") if wanted.items() <= entry.items()]

    wait_for(lambda: len(found()) == 1)
    return found()[0]


def test_ids_that_a_call_brings_are_taken_over_told_back_and_logged(rpc_server: ServerProcess, stubs: Stubs) -> None:
    ids = {"x-correlation-id": "of the whole 1", "x-request-id": "~" * 128}
    answers = stubs.gender.Identify(iter([of_voiceprints([VOICEPRINT])]), timeout=30, metadata=tuple(ids.items()))
    assert ids_of(answers) == ids
    assert len(list(answers)) == 1
    line = request_line(rpc_server, ids)
    assert (line["method"], line["status"]) == ("GenderIdentification.Identify", "OK")


def test_ids_that_a_call_does_not_bring_are_made_anew_for_each_and_told_also_where_it_is_refused(
    rpc_server: ServerProcess, stubs: Stubs
) -> None:
    calls = [stubs.gender.Identify(iter([of_voiceprints([item])]), timeout=30) for item in (VOICEPRINT, b"x", b"x")]
    made = [ids_of(call) for call in calls]
    assert len({value for ids in made for value in ids.values()}) == 6
    assert len(list(calls[0])) == 1
    for call, ids in zip(calls[1:], made[1:], strict=True):
        with refused():
            next(call)
        assert request_line(rpc_server, ids)["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("name", ["x-correlation-id", "x-request-id"])
def test_an_id_that_is_too_long_is_refused_by_its_name_and_replaced(
    rpc_server: ServerProcess, stubs: Stubs, name: str
) -> None:
    for metadata in ([(name, "a" * 129)], [(name, "a" * 5000)]):
        answers = stubs.gender.Identify(iter([of_voiceprints([VOICEPRINT])]), timeout=30, metadata=metadata)
        with refused() as refusal:
            list(answers)
        assert (refusal.status, refusal.code) == (grpc.StatusCode.INVALID_ARGUMENT, "request.unparsable")
        assert "at most 128 printable ASCII characters" in refusal.message
        assert len(ids_of(answers)[name]) == 36
    assert "a" * 129 not in rpc_server.log_path.read_text()
    assert name in refusal.message


def test_a_rejected_recording_is_logged_with_the_status_that_its_caller_was_told(
    rpc_server: ServerProcess, stubs: Stubs
) -> None:
    answers = stubs.gender.Identify(iter(identify_messages(bytes(5000))), timeout=30)
    with refused() as refusal:
        next(answers)
    assert refusal.status is grpc.StatusCode.INVALID_ARGUMENT
    assert request_line(rpc_server, ids_of(answers))["status"] == "INVALID_ARGUMENT"


def test_nothing_of_a_voiceprint_or_of_a_recording_reaches_the_log(rpc_server: ServerProcess, stubs: Stubs) -> None:
    marker = b"kXq7PlantedMarker9"
    file = recording(voice("male", 0.5))
    stubs.identify(of_voiceprints([VOICEPRINT]))
    stubs.identify(*identify_messages(file + marker, 1000))
    stubs.extract(*extract_messages(file + marker))
    for sent in (
        [of_voiceprints([marker * 3])],
        [of_voiceprints([VOICEPRINT, VOICEPRINT[:-10] + marker])],
        [IdentifyRequest(audio=Audio(content=marker * 100))],
        [IdentifyRequest(audio=Audio(content=b"RIFF" + marker * 100))],
        [of_voiceprints([VOICEPRINT]), IdentifyRequest(audio=Audio(content=marker))],
    ):
        with refused() as refusal:
            stubs.identify(*sent)
        assert marker.decode() not in refusal.message
    # The lines of the last one have been written once those of a later one are there.
    answers = stubs.gender.Identify(iter([]), timeout=30)
    assert list(answers) == []
    request_line(rpc_server, ids_of(answers))
    log = rpc_server.log_path.read_bytes()
    assert b"request refused" in log
    for secret in (marker, VOICEPRINT[97:130], file[8000:8030]):
        for written in (secret, secret.hex().encode(), base64.b64encode(secret)[:-4], repr(secret)[2:-1].encode()):
            assert written not in log
    assert b"llr" not in log

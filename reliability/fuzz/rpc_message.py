"""The reader of Identify messages: its lane for alike voiceprints against protobuf."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from phonexia.grpc.common.core_pb2 import Audio
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import IdentifyConfig

from reliability.fuzz.target import Target
from rest.json_cases import voiceprint_bytes
from rpc.test_identify_message import ALIKE, MANY, assert_same, message


def check(data: bytes) -> None:
    """Hold the reader against protobuf: the bytes alone, many times, and many times with another end."""
    data, knob = data[:-1], data[-1] if data else 0
    assert_same(data)
    assert_same(data * MANY)
    assert_same(data * MANY + data[: knob % (len(data) + 1)])
    assert_same(data[: knob % (len(data) + 1)] * MANY + data)


def seeds() -> Iterable[bytes]:
    """Return messages of one voiceprint, of several, of many alike, and with other fields."""
    for number in range(8):
        yield message([voiceprint_bytes(number)]) + bytes([number])
        yield message([voiceprint_bytes(number)], config=IdentifyConfig(), audio=Audio(content=b"x")) + bytes([number])
    yield message([voiceprint_bytes(number) for number in range(6)]) + b"\x05"
    yield message([one[:20] for one in ALIKE]) + b"\x00"
    yield message([b"", b"a", b"aa"]) + b"\x02"


TARGET: Final = Target(
    "messages of Identify: the lane for alike voiceprints reads what protobuf reads, and refuses what it refuses",
    check,
    seeds,
    [b"\x0a", b"\x0a\x02\x0a\x00", b"\x0a\x83\x00\x0a\x81\x80\x00", b"\x0a\xff\xff\xff\xff\x0f", b"\x12", b"\x1a"],
    max_bytes=2048,
)

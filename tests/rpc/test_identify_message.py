"""Both ways of reading a message of voiceprints read the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from phonexia.grpc.common.core_pb2 import Audio, Voiceprint
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyConfig,
    IdentifyRequest,
)

from voxgender.core.scoring import FEW_ITEMS
from voxgender.rpc.identify_message import AlikeVoiceprints, read_request, voiceprints_of

MANY = FEW_ITEMS + 1
ALIKE = [bytes([number % 256]) * 300 for number in range(MANY)]


def message(items: list[bytes], **others: object) -> bytes:
    """The bytes of a message as protobuf writes it."""
    request = IdentifyRequest(voiceprints=[Voiceprint(content=item) for item in items], **others)  # type: ignore[arg-type]
    return request.SerializeToString()


def assert_same(data: bytes) -> None:
    """Reading must give what protobuf gives, its refusal included."""
    try:
        expected = IdentifyRequest.FromString(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            read_request(data)
        return
    voiceprints, rest = voiceprints_of(read_request(data))
    assert [voiceprints[position] for position in range(len(voiceprints))] == [
        one.content for one in expected.voiceprints
    ]
    assert rest == expected or (rest is None and not expected.HasField("audio") and not expected.HasField("config"))


@given(st.integers(1, 500), st.integers(1, 80), st.randoms(use_true_random=False))
def test_voiceprints_of_one_length_are_read_alike(width: int, count: int, chance: object) -> None:
    items = [np.random.default_rng([width, number]).bytes(width) for number in range(count)]
    assert isinstance(read_request(message(items)), AlikeVoiceprints) == (count > FEW_ITEMS)
    assert_same(message(items))


@given(st.lists(st.binary(max_size=3), max_size=60))
def test_voiceprints_of_any_lengths_are_read_alike(items: list[bytes]) -> None:
    assert_same(message(items))


@given(st.data())
def test_whatever_is_changed_in_a_message_is_read_as_protobuf_reads_it(data: st.DataObject) -> None:
    changed = bytearray(message(ALIKE))
    for _ in range(data.draw(st.integers(1, 3))):
        # Near the beginnings of items, where the structure is.
        at = data.draw(st.integers(0, MANY - 1)) * (len(changed) // MANY) + data.draw(st.integers(0, 8))
        kind = data.draw(st.sampled_from(["change", "insert", "delete", "cut"]))
        if kind == "change" and at < len(changed):
            changed[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            changed[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        elif kind == "delete":
            del changed[at : at + data.draw(st.integers(1, 4))]
        else:
            del changed[at:]
    assert_same(bytes(changed))


@given(st.binary(max_size=200))
@example(b"\x0a")
@example(b"\x0a\x00" * MANY)
@example(b"\x0a\x02\x0a\x00" * MANY)
@example(b"\x0a\x02\x0a\x05" * MANY)
@example(b"\x0a\x83\x00\x0a\x81\x80\x00x" * MANY)
@example(b"\x0a\xff\xff\xff\xff\xff\xff" * MANY)
@example(b"\x0a\x05\x0a\x01x\x0a\x00" * MANY)
def test_any_bytes_are_read_as_protobuf_reads_them(data: bytes) -> None:
    assert_same(data)


def test_what_stands_besides_the_voiceprints_is_not_lost() -> None:
    for others in ({"audio": Audio(content=b"x")}, {"config": IdentifyConfig()}):
        assert_same(message(ALIKE, **others))
        voiceprints, rest = voiceprints_of(read_request(message(ALIKE, **others)))
        assert (len(voiceprints), rest is not None) == (MANY, True)


def test_a_voiceprint_of_another_length_anywhere_leaves_the_message_to_protobuf() -> None:
    for position in (0, MANY // 2, MANY - 1):
        items = [*ALIKE]
        items[position] = b"odd"
        assert not isinstance(read_request(message(items)), AlikeVoiceprints)
        assert_same(message(items))
    assert all(len(one) == len(other) for one, other in pairwise(ALIKE))

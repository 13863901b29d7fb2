"""A batch of voiceprints gives what its items give one by one, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voiceprint_cases import SPECIAL_FLOAT32, content, edited, encoded, items, with_special_number
from voxgender.core import batch as batch_module
from voxgender.core.batch import BatchReader, decode_batch
from voxgender.core.errors import VoiceprintError
from voxgender.core.layout import Frame, Layout
from voxgender.core.voiceprint import Voiceprint, decode_columns, decode_voiceprint, encode_voiceprint

Told = tuple[str, bytes, str, bytes] | tuple[type[VoiceprintError], str]

ONE = encode_voiceprint(Voiceprint("ge2e-2", 2.0, np.array([1.0, -0.5], np.float32)))


def told_one_by_one(batch: Sequence[bytes]) -> list[Told]:
    told: list[Told] = []
    for item in batch:
        try:
            told.append(content(decode_voiceprint(item)))
        except VoiceprintError as error:
            told.append((type(error), str(error)))
    return told


def told_at_once(batch: Sequence[bytes], reader: BatchReader | None = None) -> list[Told]:
    """What the batch tells of each position, after checking that it tells of each exactly once."""
    decoded = decode_batch(batch) if reader is None else reader.read(batch)
    told: dict[int, Told] = {position: (type(error), str(error)) for position, error in decoded.errors.items()}
    assert list(decoded.errors) == sorted(decoded.errors)
    for group, positions in decoded.groups:
        assert len(group) == len(positions) == len(group.vectors) > 0
        assert (group.speech_s.dtype, positions.dtype) == (np.float32, np.int64)
        assert group.vectors.dtype == np.float32 or (group.vectors.dtype == np.int8 and group.scale is not None)
        for row, position in enumerate(positions.tolist()):
            assert position not in told
            vector = group.vectors[row] if group.scale is None else group.vectors[row] * group.scale[row]
            told[position] = content(Voiceprint(group.model, float(group.speech_s[row]), vector))
    assert sorted(told) == list(range(len(batch)))
    return [told[position] for position in range(len(batch))]


def assert_agrees(batch: Sequence[bytes]) -> None:
    assert told_at_once(batch) == told_one_by_one(batch)


@settings(max_examples=200)
@given(st.lists(items(), max_size=8))
@example([])
@example([b""])
@example([b"{", ONE])
def test_a_batch_of_anything_agrees_with_its_items(batch: list[bytes]) -> None:
    assert_agrees(batch)


@settings(max_examples=200)
@given(encoded(), st.data())
def test_a_batch_of_one_length_agrees_with_its_items(first: bytes, draws: st.DataObject) -> None:
    alike = edited(st.just(first)).map(lambda data: data[: len(first)].ljust(len(first), b"}"))
    assert_agrees([first, *draws.draw(st.lists(alike, min_size=1, max_size=5)), first])


@given(st.lists(with_special_number(), min_size=1, max_size=6), encoded())
def test_special_numbers_are_judged_alike(special: list[bytes], first: bytes) -> None:
    assert_agrees([first, *special])


@pytest.mark.parametrize(
    ("layout", "key"),
    [
        ("int8", "speech_length_s"),
        ("int8", "scale"),
        ("float32", "speech_length_s"),
        ("float32", "vector"),
    ],
)
@pytest.mark.parametrize("number", SPECIAL_FLOAT32)
@pytest.mark.parametrize("speech_s", [0.0, 2.0])
def test_each_special_number_at_each_place_is_judged_alike(
    layout: Layout, key: str, number: str, speech_s: float
) -> None:
    valid = encode_voiceprint(Voiceprint("ge2e-2", speech_s, np.array([1.0, -0.5, 0.25], np.float32)), layout)
    at = len(valid) - 5 if key == "vector" else valid.index(key.encode() + b"d") + len(key) + 1
    special = valid[:at] + bytes.fromhex(number) + valid[at + 4 :]
    assert_agrees([valid, special, valid])
    assert_agrees([special, valid, special])


@pytest.mark.parametrize("at", range(len(ONE)))
def test_a_change_of_any_byte_is_judged_alike(at: int) -> None:
    for bits in (0x01, 0x80, 0xFF):
        changed = ONE[:at] + bytes([ONE[at] ^ bits]) + ONE[at + 1 :]
        assert_agrees([ONE, changed, ONE])


def test_models_dimensions_and_layouts_may_be_mixed() -> None:
    batch = [
        encode_voiceprint(Voiceprint(model, 1.0 + dimension, np.arange(1, dimension + 1, dtype=np.float32)), layout)
        for model in ("ge2e-2", "other1")
        for dimension in (3, 4)
        for layout in ("int8", "float32")
    ]
    assert_agrees(batch)
    assert_agrees(batch[::-1])
    kinds = [(group.model, group.vectors.shape[1]) for group, _ in decode_batch(batch).groups]
    assert set(kinds) == {("ge2e-2", 3), ("ge2e-2", 4), ("other1", 3), ("other1", 4)}


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_a_first_item_with_its_members_in_another_order_is_read_like_the_rest(order: tuple[int, int, int]) -> None:
    scale, vector, end = ONE.index(b"i\x05scale"), ONE.index(b"i\x06vector"), len(ONE) - 1
    parts = [ONE[1:scale], ONE[scale:vector], ONE[vector:end]]
    other = b"{" + b"".join(parts[index] for index in order) + b"}"
    assert told_one_by_one([other]) == told_one_by_one([ONE])
    assert_agrees([other])
    assert_agrees([other, ONE])
    assert_agrees([ONE, other])


@pytest.mark.parametrize("layout", ["int8", "float32"])
def test_voiceprints_of_the_common_layout_are_one_group_in_order(layout: Layout) -> None:
    batch = [encode_voiceprint(Voiceprint("ge2e-2", 1.0 + n, np.array([n + 1.0, 1.0])), layout) for n in range(9)]
    ((group, positions),) = decode_batch(batch).groups
    assert positions.tolist() == list(range(9))
    assert group.speech_s.tolist() == [1.0 + n for n in range(9)]


@pytest.mark.parametrize("layout", ["int8", "float32"])
def test_voiceprints_of_the_common_layout_are_not_read_one_by_one(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = [Voiceprint("ge2e-2", 1.0, np.full(3, value)) for value in (1e-30, 0.5, 500.0, 1e30)]
    silent = [Voiceprint("ge2e-2", 0.0, np.full(3, value)) for value in (0.0, 0.5)]
    batch = [encode_voiceprint(voiceprint, layout) for voiceprint in [*loud, *silent]]
    read: list[bytes] = []
    monkeypatch.setattr(batch_module, "decode_columns", lambda item: read.append(item) or decode_columns(item))
    ((_, positions),) = decode_batch(batch).groups
    assert positions.tolist() == [0, 1, 2, 3, 4, 5]
    assert read == batch[:1]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_the_items_may_be_any_buffers_of_bytes(kind: Any) -> None:
    batch = [kind(item) for item in (ONE, b"{", ONE)]
    assert_agrees(batch)


FRAMES = {
    frame.size_bytes: [frame]
    for dimension in (1, 2, 4, 7)
    for frame in (Frame.of("ge2e-2", dimension, "int8"), Frame.of("ge2e-2", dimension, "float32"))
}


@settings(max_examples=300)
@given(items())
@example(ONE)
@example(ONE[:-1] + b"]")
def test_one_item_of_a_known_layout_is_read_as_strictly_as_any(item: bytes) -> None:
    assert told_at_once([item], BatchReader(FRAMES)) == told_one_by_one([item])


@pytest.mark.parametrize("layout", ["int8", "float32"])
@pytest.mark.parametrize("number", SPECIAL_FLOAT32)
def test_one_special_number_of_a_known_layout_is_judged_as_strictly(layout: Layout, number: str) -> None:
    valid = encode_voiceprint(Voiceprint("ge2e-2", 2.0, np.array([1.0, -0.5], np.float32)), layout)
    places = [valid.index(b"speech_length_sd") + 16]
    places.append(valid.index(b"scaled") + 6 if layout == "int8" else len(valid) - 5)
    for at in places:
        item = valid[:at] + bytes.fromhex(number) + valid[at + 4 :]
        told = {type(error): str(error) for error in BatchReader(FRAMES).read([item]).errors.values()}
        assert told == {type(error): str(error) for error in decode_batch([item, item]).errors.values()}

"""Voiceprints from Arrow streams: what PyArrow writes is read alike, whatever else comes is refused or harmless."""

from __future__ import annotations

import asyncio
import io
import struct
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arrow_messages
from voxgender.core.errors import RequestInvalidError, RequestValidationError, VoxgenderError
from voxgender.core.scoring import BLOCK_ITEMS
from voxgender.core.voiceprint import MAX_VOICEPRINT_BYTES
from voxgender.rest import arrow_body
from voxgender.rest.arrow_body import MAX_BATCH_ROWS, MAX_BLOCK_BYTES, MAX_MESSAGES, ArrowBody, read_arrow
from voxgender.rest.arrow_format import MAX_METADATA_BYTES
from voxgender.rest.arrow_metadata import MAX_FIELDS
from voxgender.rest.arrow_rows import Block

END = arrow_messages.END
TYPES = [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(20)]
OTHER_COLUMNS: list[tuple[pa.DataType, Any]] = [
    (pa.null(), None),
    (pa.bool_(), True),
    (pa.int8(), 1),
    (pa.float64(), 1.5),
    (pa.decimal128(5), 1),
    (pa.date32(), 1),
    (pa.timestamp("s", "UTC"), 1),
    (pa.duration("s"), 1),
    (pa.month_day_nano_interval(), (1, 2, 3)),
    (pa.string(), "text"),
    (pa.large_string(), "text"),
    (pa.string_view(), "a text that is too long to be inline"),
    (pa.binary_view(), b"bytes that are too many to be inline"),
    (pa.binary(3), b"abc"),
    (pa.list_(pa.string_view()), ["a text that is too long to be inline", "b"]),
    (pa.large_list(pa.int8()), [1, 2]),
    (pa.list_(pa.int8(), 2), [1, 2]),
    (pa.list_view(pa.int8()), [1, 2]),
    (pa.large_list_view(pa.int8()), [1]),
    (pa.map_(pa.string(), pa.int8()), [("key", 1)]),
    (pa.struct([("a", pa.int8()), ("b", pa.struct([("c", pa.string())]))]), {"a": 1, "b": {"c": "d"}}),
    (pa.dictionary(pa.int8(), pa.string()), "word"),
    (pa.dictionary(pa.int8(), pa.list_(pa.string())), ["word"]),
    (pa.run_end_encoded(pa.int16(), pa.string()), "run"),
    (pa.dense_union([pa.field("0", pa.int8())]), None),
    (pa.sparse_union([pa.field("0", pa.int8()), pa.field("1", pa.string())]), None),
]


def column(kind: pa.DataType, value: Any, rows: int) -> pa.Array:
    """A column that is of no interest."""
    if pa.types.is_union(kind):
        types = pa.array([0] * rows, pa.int8())
        if kind.mode == "sparse":
            return pa.UnionArray.from_sparse(types, [pa.array([1] * rows, pa.int8()), pa.array(["x"] * rows)])
        return pa.UnionArray.from_dense(types, pa.array(range(rows), pa.int32()), [pa.array([1] * rows, pa.int8())])
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(pa.array([0] * rows, kind.index_type), pa.array([value], kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        ends, values = ([rows], [value]) if rows else ([], [])
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, kind.run_end_type), pa.array(values, kind.value_type))
    return pa.array([value] * rows, kind)


def stream(table: pa.Table, max_rows: int | None = None, **options: Any) -> bytes:
    """What PyArrow writes."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=max_rows)
    return out.getvalue()


def voiceprints(items: Sequence[bytes | None], kind: pa.DataType | None = None, **options: Any) -> bytes:
    """A stream with nothing but these."""
    return stream(pa.table({"voiceprint": pa.array(items, kind or pa.binary())}), **options)


def views(items: Sequence[bytes], chosen: Sequence[int]) -> pa.Array:
    """A column of views of some of the items, an even number of one length; each half of them is in a buffer."""
    size, half = len(items[0]), len(items[0]) * len(items) // 2
    places = [(size, items[item][:4], *divmod(item * size, half)) for item in chosen]
    data = b"".join(items)
    buffers = [b"".join(struct.pack("<i4sii", *place) for place in places), data[:half], data[half:]]
    return pa.Array.from_buffers(pa.binary_view(), len(chosen), [None, *map(pa.py_buffer, buffers)])


def blocks_of(chunks: Iterable[bytes]) -> list[Block]:
    """What is read, as it comes; empty blocks left out."""
    body = ArrowBody()
    blocks = [block for chunk in chunks for block in body.feed(chunk) if len(block)]
    body.finish()
    return blocks


def items_of(*chunks: bytes) -> list[bytes]:
    return [bytes(item) for block in blocks_of(chunks) for item in block]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def refused(data: bytes) -> VoxgenderError:
    with pytest.raises((RequestInvalidError, RequestValidationError)) as error:
        items_of(data)
    assert error.value.location[0] == "body"
    return error.value


def pyarrow_items(data: bytes) -> list[bytes | None] | None:
    """What PyArrow reads, or None where it refuses."""
    try:
        with pa.ipc.open_stream(data) as reader:
            items: list[bytes | None] = []
            for batch in reader:
                batch.validate(full=True)
                items += batch.column("voiceprint").to_pylist()
            return items
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError):
        return None


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, list[bytes]]:
    """A table with voiceprints among other columns."""
    kind = draw(st.sampled_from(TYPES))
    rows = draw(st.integers(0, 6))
    shortest = 13 if kind == pa.binary_view() else 0
    lengths = [20] * rows
    if kind != pa.binary(20) and draw(st.booleans()):
        lengths = draw(st.lists(st.integers(shortest, 40), min_size=rows, max_size=rows))
    items = [draw(st.binary(min_size=length, max_size=length)) for length in lengths]
    columns = [("voiceprint", pa.array(items, kind))]
    for number, (other, value) in enumerate(draw(st.lists(st.sampled_from(OTHER_COLUMNS), max_size=4))):
        columns.insert(draw(st.integers(0, len(columns))), (f"other {number}", column(other, value, rows)))
    names, arrays = zip(*columns, strict=True)
    table = pa.table(list(arrays), names=list(names))
    if draw(st.booleans()):
        table = table.replace_schema_metadata({"a key": "a value"})
    first = draw(st.integers(0, rows))
    return table.slice(first), items[first:]


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A stream after some edits: bytes changed, removed, doubled or cut off, and numbers blown up."""
    table, _ = draw(tables())
    data = bytearray(
        stream(table, draw(st.sampled_from([2, None])), compression=draw(st.sampled_from([None, None, "lz4"])))
    )
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.sampled_from([1, 2, 4, 8, 64]))
        match draw(st.sampled_from(["number", "number", "number", "byte", "double", "remove", "cut"])):
            case "number":
                width = draw(st.sampled_from([1, 2, 4, 8]))
                number = draw(
                    st.sampled_from([0, 1, 3, 4, 7, 8, 16, 100, 2**16, 2**31, 2**32, 2**40, 2**62, 2**63, -1, -8])
                )
                at -= at % width
                data[at : at + width] = struct.pack("<Q", number % 2**64)[:width]
            case "byte":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "double":
                data[at:at] = data[at : at + size]
            case "remove":
                del data[at : at + size]
            case "cut":
                del data[at:]
    return bytes(data)


@given(tables(), st.sampled_from([1, 2, 100]), st.sampled_from([1, 5, 64, 10**6]))
@settings(deadline=None)
def test_voiceprints_are_found_among_columns_of_every_type_at_every_chunk_size(
    case: tuple[pa.Table, list[bytes]], max_rows: int, chunk_bytes: int
) -> None:
    table, items = case
    assert items_of(*cut(stream(table, max_rows), chunk_bytes)) == items


@pytest.mark.parametrize("kind", OTHER_COLUMNS, ids=lambda kind: str(kind[0]))
def test_a_column_of_each_type_is_passed_over(kind: tuple[pa.DataType, Any]) -> None:
    arrays = [column(*kind, 3), pa.array([b"a" * 20] * 3), column(*kind, 3)]
    assert items_of(stream(pa.table(arrays, names=["before", "voiceprint", "after"]), 2)) == [b"a" * 20] * 3


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_stream_reads_the_same_wherever_it_is_cut_in_two(kind: pa.DataType) -> None:
    items = [bytes([number]) * 20 for number in range(5)]
    data = stream(pa.table({"n": pa.array(range(5)), "voiceprint": pa.array(items, kind)}), 3)
    for at in range(len(data) + 1):
        assert items_of(data[:at], data[at:]) == items


@given(broken(), st.sampled_from([7, 10**6]))
@settings(deadline=None)
def test_a_broken_stream_is_refused_or_read_as_pyarrow_reads_it(data: bytes, chunk_bytes: int) -> None:
    check_broken(data, chunk_bytes)


@pytest.mark.slow
@given(broken(), st.sampled_from([1, 7, 64, 10**6]))
@settings(deadline=None, max_examples=20_000, suppress_health_check=list(HealthCheck))
def test_many_broken_streams_are_refused_or_read_as_pyarrow_reads_them(data: bytes, chunk_bytes: int) -> None:
    check_broken(data, chunk_bytes)


def check_broken(data: bytes, chunk_bytes: int) -> None:
    try:
        items = items_of(*cut(data, chunk_bytes))
    except (RequestInvalidError, RequestValidationError):
        return
    # PyArrow refuses more: it reads the other columns as well.
    assert pyarrow_items(data) in (items, None)


def test_no_claim_of_the_metadata_takes_memory_or_reads_past_the_data() -> None:
    items = [bytes([number]) * 20 for number in range(3)]
    for kind in TYPES:
        data = voiceprints(items, kind)
        for number in (2**31 - 1, 2**40, 2**62, 2**63, 2**64 - 1):
            for width in (4, 8):
                for at in range(0, len(data) - 8, width):
                    blown_up = data[:at] + struct.pack("<Q", number)[:width] + data[at + width :]
                    tracemalloc.start()
                    check_broken_without_oracle(blown_up, items)
                    peak_bytes = tracemalloc.get_traced_memory()[1]
                    tracemalloc.stop()
                    assert peak_bytes < 200_000, (kind, number, width, at)


def check_broken_without_oracle(data: bytes, items: list[bytes]) -> None:
    try:
        read = items_of(data)
    except (RequestInvalidError, RequestValidationError):
        return
    assert len(read) <= len(items)
    assert all(item in data for item in read)


def test_a_record_batch_of_any_size_is_never_held_whole() -> None:
    data = voiceprints([bytes(400)] * 20_000)
    chunks = cut(data, 65_536)
    body = ArrowBody()
    tracemalloc.start()
    rows = sum(len(block) for chunk in chunks for block in body.feed(chunk))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 20_000
    assert peak_bytes < 3_000_000 < len(data) / 2


def test_voiceprints_of_one_length_come_as_rows_in_blocks_that_a_scorer_takes() -> None:
    items = [number.to_bytes(20, "big") for number in range(2 * BLOCK_ITEMS + 3)]
    for kind in TYPES:
        blocks = blocks_of([voiceprints(items, kind)])
        assert [len(block) for block in blocks] == [BLOCK_ITEMS, BLOCK_ITEMS, 3]
        for block in blocks:
            assert isinstance(block, np.ndarray)
            assert block.dtype == np.uint8
            assert block.shape[1] == 20
        assert [bytes(item) for block in blocks for item in block] == items


def test_voiceprints_of_several_lengths_come_one_by_one() -> None:
    for items in ([b"a" * 20, b"b" * 21, b""], [b"aa", b"b", b"ccc"], [b"", b""]):
        assert blocks_of([voiceprints(items)]) == [items]


def test_a_block_that_is_in_one_chunk_is_not_copied() -> None:
    data = voiceprints([b"a" * 20] * 9)
    (block,) = blocks_of([data])
    assert np.shares_memory(block, np.frombuffer(data, np.uint8))


def test_long_voiceprints_make_small_blocks() -> None:
    items = [bytes(MAX_VOICEPRINT_BYTES)] * 100
    blocks = blocks_of([voiceprints(items)])
    assert sum(len(block) for block in blocks) == 100
    assert max(len(block) * MAX_VOICEPRINT_BYTES for block in blocks) <= MAX_BLOCK_BYTES


def test_bytes_between_voiceprints_are_passed_over() -> None:
    items = [bytes([number]) * 20 for number in range(6)]
    for size in (1, 10**6):
        data = stream(pa.table({"voiceprint": views(items, [0, 3, 4])}))
        assert items_of(*cut(data, size)) == [items[0], items[3], items[4]]


@pytest.mark.parametrize("end", [END, b""], ids=["marker", "no marker"])
def test_a_stream_ends_with_its_marker_or_after_any_message(end: bytes) -> None:
    data = voiceprints([b"a" * 20]).removesuffix(END)
    assert items_of(data + end) == [b"a" * 20]


def test_a_stream_that_is_cut_off_within_a_message_is_refused() -> None:
    data = voiceprints([b"a" * 20, b"b" * 20], max_rows=1)
    read = {}
    for size in range(len(data)):
        try:
            read[size] = len(items_of(data[:size]))
        except RequestInvalidError:
            continue
    # After the schema, after each record batch; the marker itself may be missing, but not half of it.
    assert list(read.values()) == [0, 1, 2]
    assert max(read) == len(data) - len(END)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b'{"voiceprints": []}', "a message begins otherwise"),
        (b"ARROW1\x00\x00" + bytes(40), "write a stream instead"),
        (END, "ends without a schema"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", MAX_METADATA_BYTES + 8), f"at most {MAX_METADATA_BYTES}"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", -8), "has -8 bytes"),
        (voiceprints([b"a" * 20]) + b"\x00", "goes on after the end"),
        (voiceprints([b"a" * 20]).removesuffix(END) + voiceprints([b"a" * 20]), "second schema"),
        (stream(pa.table({"voiceprint": [b"a"]}), metadata_version=pa.ipc.MetadataVersion.V4), "version V4"),
    ],
)
def test_what_is_no_stream_is_told_apart(data: bytes, told: str) -> None:
    error = refused(data)
    assert isinstance(error, RequestInvalidError)
    assert told in str(error)


@pytest.mark.parametrize(
    ("data", "reason", "told"),
    [
        (stream(pa.table({"id": [1], "vp": [b"a"]})), "value.missing", "its first columns: 'id', 'vp'"),
        (stream(pa.table({})), "value.missing", "its first columns: none"),
        (stream(pa.table([[b"a"], [b"a"]], ["voiceprint"] * 2)), "value.duplicate", "2 columns"),
        (stream(pa.table({"voiceprint": ["aaaa"]})), "value.type", "of type utf8"),
        (
            stream(pa.table({"voiceprint": pa.array([b"a"]).dictionary_encode()})),
            "value.type",
            "a dictionary of binary",
        ),
        (voiceprints([b"a" * 20], compression="lz4"), "body.compressed", "uncompressed"),
        (voiceprints([b"a" * 20], compression="zstd"), "body.compressed", "uncompressed"),
        (
            stream(pa.table({**{str(n): [1] for n in range(MAX_FIELDS)}, "voiceprint": [b"a"]})),
            "columns.too-many",
            "leave out all but 'voiceprint'",
        ),
    ],
)
def test_what_is_no_stream_of_voiceprints_is_told_apart(data: bytes, reason: str, told: str) -> None:
    error = refused(data)
    assert isinstance(error, RequestValidationError)
    assert error.location == ("body", "voiceprints")
    assert error.reason == reason
    assert told in str(error)


def test_a_null_is_refused_with_its_place_in_the_whole_stream() -> None:
    for kind in TYPES:
        error = refused(voiceprints([b"a" * 20] * 5 + [None], kind, max_rows=4))
        assert isinstance(error, RequestValidationError)
        assert (error.location, error.reason) == (("body", "voiceprints", 5), "value.missing")


@pytest.mark.parametrize(
    ("item", "kind"),
    [(bytes(MAX_VOICEPRINT_BYTES + 1), pa.binary()), (bytes(12), pa.binary_view())],
    ids=["too long", "too short"],
)
def test_a_length_that_no_voiceprint_has_is_refused_with_its_place(item: bytes, kind: pa.DataType) -> None:
    error = refused(voiceprints([b"a" * 20] * 5 + [item], kind, max_rows=4))
    assert isinstance(error, RequestValidationError)
    assert (error.location, error.reason) == (("body", "voiceprints", 5), "voiceprint.invalid")
    assert f"{len(item)} bytes" in str(error)


def test_voiceprints_in_another_order_than_their_rows_are_refused_with_the_remedy() -> None:
    error = refused(stream(pa.table({"voiceprint": views([b"a" * 20, b"b" * 20], [1, 0])})))
    assert isinstance(error, RequestValidationError)
    assert error.reason == "column.unordered"
    assert "large_binary" in str(error)


def test_a_record_batch_of_too_many_rows_is_refused_before_it_has_come() -> None:
    data = voiceprints([b""] * (MAX_BATCH_ROWS + 1))
    body = ArrowBody()
    with pytest.raises(RequestValidationError, match="smaller record batches"):
        list(body.feed(data[:2000]))


def test_a_stream_of_too_many_messages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_body, "MAX_MESSAGES", 6)
    assert len(items_of(voiceprints([b"a" * 20] * 5, max_rows=1))) == 5
    with pytest.raises(RequestValidationError, match="larger record batches"):
        items_of(voiceprints([b"a" * 20] * 6, max_rows=1))
    assert MAX_MESSAGES > 6


def test_deeply_nested_columns_are_refused() -> None:
    kind: pa.DataType = pa.int8()
    for _ in range(60):
        kind = pa.struct([("inner", kind)])
    schema = pa.schema([("voiceprint", pa.binary()), ("deep", kind)])
    error = refused(stream(schema.empty_table()))
    assert isinstance(error, RequestValidationError)
    assert error.reason == "columns.too-many"


BINARY = {
    "column": arrow_messages.BINARY,
    "rows": 2,
    "nodes": [(2, 0)],
    "buffers": [(0, 0), (0, 12), (16, 8)],
    "body": struct.pack("<4i", 0, 4, 8, 0) + b"aaaabbbb" + b"\x03" + bytes(15),
}
VIEWS = {
    "column": arrow_messages.VIEW,
    "rows": 2,
    "nodes": [(2, 0)],
    "buffers": [(0, 0), (0, 32), (32, 26)],
    "counts": [1],
    "body": struct.pack("<i4sii", 13, b"aaaa", 0, 0)
    + struct.pack("<i4sii", 13, b"bbbb", 0, 13)
    + b"a" * 13
    + b"b" * 45,
}
FIXED = {
    "column": arrow_messages.FIXED,
    "width": 4,
    "rows": 2,
    "nodes": [(2, 0)],
    "buffers": [(0, 0), (0, 8)],
    "body": b"aaaabbbb" + bytes(8),
}


def made(column: int, width: int = 0, endianness: int = 0, **batch: Any) -> bytes:
    """A stream with one record batch, as it is told."""
    schema = arrow_messages.schema(("voiceprint", column), width=width, endianness=endianness)
    return schema + arrow_messages.batch(**batch) + END


def view_body(*last: int) -> bytes:
    """The body of ``VIEWS`` with another length, buffer and place of its last value."""
    size, buffer, place = last
    body = bytes(VIEWS["body"])
    return body[:16] + struct.pack("<i4sii", size, b"bbbb", buffer, place) + body[32:]


@pytest.mark.parametrize("case", [BINARY, VIEWS, FIXED], ids=["binary", "view", "fixed"])
def test_the_streams_that_are_spoilt_below_are_good(case: dict[str, Any]) -> None:
    width = 13 if case is VIEWS else 4
    assert items_of(made(**case)) == [b"a" * width, b"b" * width] == pyarrow_items(made(**case))


@pytest.mark.parametrize(
    ("case", "change"),
    [
        (BINARY, {"endianness": 1}),
        (BINARY, {"rows": 1}),
        (BINARY, {"rows": -2, "nodes": [(-2, 0)]}),
        (BINARY, {"nodes": [(2, 0), (2, 0)]}),
        (BINARY, {"nodes": []}),
        (BINARY, {"buffers": [*BINARY["buffers"], (0, 0)]}),
        (BINARY, {"buffers": BINARY["buffers"][:2]}),
        (BINARY, {"body_bytes": -8}),
        (BINARY, {"body_bytes": -8, "rows": 0, "nodes": [(0, 0)], "buffers": [(0, 0)] * 3}),
        (BINARY, {"buffers": [(0, 0), (-8, 12), (16, 8)]}),
        (BINARY, {"buffers": [(0, 0), (0, 12), (16, -8)]}),
        (BINARY, {"buffers": [(0, 0), (0, 12), (16, 2**40)]}),
        (BINARY, {"buffers": [(0, 0), (0, 12), (2**62, 2**62)]}),
        (BINARY, {"buffers": [(0, 0), (2**63 - 8, 2**63 - 1), (16, 8)]}),
        (BINARY, {"buffers": [(0, 0), (0, 8), (16, 8)]}),  # an offset too few
        (BINARY, {"buffers": [(24, 8), (0, 12), (16, 8)], "nodes": [(2, 1)]}),  # bits after the offsets
        (BINARY, {"nodes": [(2, 1)]}),  # a null, and no bits
        (BINARY, {"body": struct.pack("<4i", 0, 4, 9, 0) + bytes(24)}),
        (BINARY, {"body": struct.pack("<4i", -1, 4, 8, 0) + bytes(24)}),
        (BINARY, {"body": struct.pack("<4i", 0, 5, 4, 0) + bytes(24)}),
        (BINARY, {"body": struct.pack("<4i", 0, 2**31 - 1, 8, 0) + bytes(24)}),
        (VIEWS, {"body": view_body(-1, 0, 13)}),
        (VIEWS, {"body": view_body(13, -1, 13)}),
        (VIEWS, {"body": view_body(13, 1, 13)}),
        (VIEWS, {"body": view_body(13, 0, -1)}),
        (VIEWS, {"body": view_body(14, 0, 13)}),
        (VIEWS, {"body": view_body(13, 0, 2**31 - 1)}),
        (VIEWS, {"body": view_body(13, 0, 21), "buffers": [(0, 0), (0, 32), (-8, 34)]}),
        (VIEWS, {"counts": [2], "buffers": [*VIEWS["buffers"], (0, -8)]}),
        (VIEWS, {"counts": [2]}),
        (VIEWS, {"counts": [1, 0]}),
        (VIEWS, {"counts": []}),
        (VIEWS, {"counts": [-1], "buffers": [(0, 0)]}),
        (FIXED, {"width": -4}),
        (FIXED, {"width": 5}),
        (FIXED, {"width": 2**31 - 1}),
    ],
)
def test_metadata_that_contradicts_itself_is_refused(case: dict[str, Any], change: dict[str, Any]) -> None:
    error = refused(made(**(case | change)))
    assert isinstance(error, RequestInvalidError)


def test_a_negative_count_of_buffers_cannot_make_up_for_another() -> None:
    schema = arrow_messages.schema(("other", arrow_messages.VIEW), ("voiceprint", arrow_messages.VIEW))
    other = {"nodes": [(2, 0)] * 2, "buffers": [(0, 0)] * 2 + VIEWS["buffers"], "rows": 2, "body": VIEWS["body"]}
    assert items_of(schema + arrow_messages.batch(**other, counts=[0, 1])) == items_of(made(**VIEWS))
    for counts in ([-1, 2], [2, -1]):
        assert isinstance(refused(schema + arrow_messages.batch(**other, counts=counts)), RequestInvalidError)


def test_data_before_its_offsets_is_refused_with_the_remedy() -> None:
    body = b"aaaabbbb" + struct.pack("<4i", 0, 4, 8, 0)
    error = refused(made(**(BINARY | {"body": body, "buffers": [(0, 0), (8, 12), (0, 8)]})))
    assert isinstance(error, RequestValidationError)
    assert error.reason == "column.unordered"


@pytest.mark.parametrize(
    ("case", "change", "items"),
    [
        (BINARY, {"nodes": [(2, 1)], "buffers": [(0, 1), (8, 12), (24, 8)]}, [b"aaaa", b"bbbb"]),  # no null after all
        (BINARY, {"body": bytes(40), "buffers": [(0, 0), (0, 12), (2**62, 0)]}, [b"", b""]),
        (BINARY, {"body": bytes(40), "buffers": [(0, 0), (0, 12), (-1, 0)]}, [b"", b""]),
        (FIXED, {"width": 0}, [b"", b""]),
        (FIXED, {"width": 0, "buffers": [(0, 0), (2**62, 0)]}, [b"", b""]),
    ],
)
def test_what_is_odd_but_clear_is_read(case: dict[str, Any], change: dict[str, Any], items: list[bytes]) -> None:
    if "nodes" in change:
        change = change | {"body": b"\x03" + bytes(7) + case["body"]}
    assert items_of(made(**(case | change))) == items


def test_of_a_long_name_little_is_told() -> None:
    error = refused(arrow_messages.schema(("x" * 100_000, arrow_messages.BINARY)))
    assert "xxx" in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize("rows", [0, 1])
def test_other_requests_have_their_turn_between_small_record_batches(rows: int) -> None:
    batch = arrow_messages.batch(rows, [(rows, 0)], [(0, 0), (0, 4)], b"a" * 8)
    stream = arrow_messages.schema(("voiceprint", arrow_messages.FIXED), width=4) + 50 * batch + END

    async def chunks() -> AsyncIterator[bytes]:
        yield stream

    async def run() -> tuple[int, int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        running = asyncio.create_task(other())
        read = 0
        async for block in read_arrow(chunks()):
            assert len(block)
            read += len(block)
        running.cancel()
        return read, turns

    read, turns = asyncio.run(run())
    assert read == 50 * rows
    assert turns >= 50


def test_a_body_that_ends_too_early_is_refused_when_it_is_awaited() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in cut(voiceprints([b"a" * 20])[:-20], 10):
            yield chunk

    async def run() -> list[Block]:
        return [block async for block in read_arrow(chunks())]

    with pytest.raises(RequestInvalidError, match="cut off"):
        asyncio.run(run())


def test_the_page_tells_the_limits() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "arrow.md").read_text(encoding="utf-8")
    assert f"any number up to {MAX_BATCH_ROWS:,};" in page
    assert f"| messages of a stream | at most {MAX_MESSAGES:,} |" in page
    assert f"| columns | at most {MAX_FIELDS}," in page

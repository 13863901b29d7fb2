"""Both lanes say the same of every body, however it is cut into pieces; little of it is ever held."""

from __future__ import annotations

import base64
import contextlib
import json
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rest.json_cases import BROKEN, OTHER_MODEL, SCORER, VALID, bodies, mutated
from voxgender.core.errors import (
    BodyTooLargeError,
    InputError,
    RequestInvalidError,
    RequestValidationError,
    VoiceprintError,
    VoiceprintListError,
)
from voxgender.core.scoring import BLOCK_ITEMS, FEW_ITEMS, MAX_ERRORS, Scoring, score_bytes
from voxgender.rest import json_body
from voxgender.rest.json_body import JsonBody
from voxgender.rest.json_list import list_of, mismatch

Outcome = tuple[Any, ...]


def outcome(scoring: Scoring, read: Iterable[None]) -> Outcome:
    """Everything that is told of a body."""
    try:
        for _ in read:
            pass
        return "scored", len(scoring), scoring.results().to_bytes()
    except VoiceprintListError as error:
        told = [(position, type(one), str(one)) for position, one in error.errors.items()]
        return VoiceprintListError, len(scoring), error.left_out, told
    except RequestValidationError as error:
        return RequestValidationError, error.location, error.reason, str(error)
    except InputError as error:
        return type(error), str(error)


def at_once(body: bytes) -> Outcome:
    """The strict lane alone: one parser over the whole text."""
    scoring = Scoring(SCORER)

    def read() -> Iterator[None]:
        texts: list[str] = []
        for position, entry in enumerate(list_of(body)):
            if not isinstance(entry, str):
                raise mismatch(position)
            texts.append(entry)
        scoring.add_texts(texts)
        yield

    return outcome(scoring, read())


def in_pieces(pieces: Sequence[bytes]) -> Outcome:
    """Both lanes, as a server reads."""
    scoring = Scoring(SCORER)
    body = JsonBody(scoring)

    def read() -> Iterator[None]:
        for piece in pieces:
            yield from body.feed(piece)
        yield from body.finish()

    return outcome(scoring, read())


def cut(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    """A body in pieces of the sizes, again and again."""
    pieces, at = [], 0
    while at < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[at : at + size])
        at += size
    return pieces


@contextlib.contextmanager
def small_steps() -> Iterator[None]:
    """Everything that is done to bodies of megabytes is done to short ones."""
    with mock.patch.multiple(json_body, BLOCK_BYTES=100, KEPT_BYTES=0, SMALL_BYTES=0, MIN_RUN_ROWS=2, FEW_ITEMS=5):
        yield


sizes = st.lists(st.sampled_from([1, 2, 7, 50, 99, 100, 101, 256, 1000, 5000]), min_size=1, max_size=3)
any_body = st.one_of(bodies(), mutated())


def check_lanes(body: bytes, piece_sizes: Sequence[int]) -> None:
    strict = at_once(body)
    with small_steps():
        assert in_pieces(cut(body, piece_sizes)) == strict
    assert in_pieces(cut(body, piece_sizes)) == strict


@settings(max_examples=1000, deadline=None)
@given(any_body, sizes)
@example(b"", [1])
@example(b" ", [1])
@example(b'{"voiceprints": []}', [100])
@example(b'["x[",",",",",",",1]', [100])
@example(b'{"k":"AAAA","BBBB":1, "voiceprints": ["AAAA","AAAA"]}', [100])
@example(b'{"voiceprints": ["AAAA","BBBB",]}', [100])
@example(b'{"voiceprints": ["AAAA","AAAA","AAAA"', [100])
@example(b'{"voiceprints": [["AAAA","AAAA","AAAA"],"AAAA"]}', [100])
@example(b'{"a":["\\ud800","AAAA"],"voiceprints": ["AAAA","AAAA","AAAA"]}', [100])
def test_the_lanes_agree_on_valid_and_mutated_bodies_in_any_pieces(body: bytes, piece_sizes: list[int]) -> None:
    check_lanes(body, piece_sizes)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=100_000, deadline=None)
@given(any_body, sizes)
def test_the_lanes_agree_on_a_hundred_thousand_bodies(body: bytes, piece_sizes: list[int]) -> None:
    check_lanes(body, piece_sizes)


@settings(max_examples=300, deadline=None)
@given(bodies(), sizes)
def test_what_is_scored_is_what_pythons_own_json_and_base64_read(body: bytes, piece_sizes: list[int]) -> None:
    with small_steps():
        found = in_pieces(cut(body, piece_sizes))
    if found[0] != "scored":
        return
    items = [base64.b64decode(text.strip(), validate=True) for text in json.loads(body)["voiceprints"]]
    assert found == ("scored", len(items), b"".join(score_bytes(SCORER, [item]).to_bytes() for item in items))


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n    ", ":")])
@pytest.mark.parametrize("number", range(4))
def test_every_cut_of_a_body_gives_the_same(separators: tuple[str, str], number: int) -> None:
    body = json.dumps({"a": "[", "voiceprints": VALID[number::4] * 2, "z": [1]}, separators=separators).encode()
    strict = at_once(body)
    assert strict[0] == "scored"
    with small_steps():
        for at in range(len(body)):
            assert in_pieces([body[:at], body[at:]]) == strict


def test_items_of_one_length_do_not_pass_the_parser_and_others_leave_the_lane_only_for_themselves() -> None:
    texts = [VALID[0]] * 4000
    texts[1500] = texts[3000] = VALID[1]
    body = json.dumps({"voiceprints": texts}).encode()
    with mock.patch.object(Scoring, "add_texts", autospec=True, side_effect=Scoring.add_texts) as strict:
        assert in_pieces(cut(body, [65536]))[:2] == ("scored", 4000)
    assert sum(len(call.args[1]) for call in strict.mock_calls) < 200


@pytest.mark.parametrize("wrong", [*BROKEN, OTHER_MODEL])
def test_a_wrong_item_among_many_is_told_at_its_place(wrong: str) -> None:
    texts = [VALID[0]] * 3000
    texts[1234] = wrong
    kind, _, _, told = in_pieces(cut(json.dumps({"voiceprints": texts}).encode(), [65536]))
    assert (kind, [position for position, _, _ in told]) == (VoiceprintListError, [1234])


def test_of_many_wrong_items_the_first_are_told_and_the_others_counted() -> None:
    body = json.dumps({"voiceprints": ["AAAA"] * 5000}).encode()
    kind, count, left_out, told = in_pieces(cut(body, [65536]))
    assert (kind, count, left_out) == (VoiceprintListError, 5000, 5000 - MAX_ERRORS)
    assert [position for position, _, _ in told] == list(range(MAX_ERRORS))


def test_items_beyond_the_maximum_are_counted_and_not_read() -> None:
    scoring = Scoring(SCORER, max_items=700)
    body = JsonBody(scoring)
    with mock.patch.object(json_body, "MIN_RUN_ROWS", 2):
        for piece in cut(json.dumps({"voiceprints": [VALID[0]] * 1400 + ["*"] * 1400}).encode(), [65536]):
            list(body.feed(piece))
        list(body.finish())
    assert len(scoring) == 2800
    assert len(scoring.results()) < 2000


def test_runs_under_other_keys_are_left_out_of_the_result() -> None:
    body = json.dumps({"first": ["x"] * 900, "voiceprints": [VALID[0]] * 900, "last": [VALID[1]] * 900}).encode()
    assert in_pieces(cut(body, [4096])) == at_once(body)


def big_body(texts: Sequence[str], times: int) -> Iterator[bytes]:
    """A body in pieces, made on the way."""
    block = ", ".join(json.dumps(text) for text in texts).encode()
    yield b'{"voiceprints": [' + block
    for _ in range(times - 1):
        yield b", " + block
    yield b"]}"


@pytest.mark.parametrize("texts", [VALID[:1] * 400, VALID[:4] * 100, [" " + VALID[0]] * 400])
def test_a_large_body_takes_little_memory(texts: list[str]) -> None:
    scoring = Scoring(SCORER)
    body = JsonBody(scoring)
    tracemalloc.start()
    body_bytes = 0
    try:
        for piece in big_body(texts, 16_000_000 // sum(map(len, texts))):
            body_bytes += len(piece)
            for _ in body.feed(piece):
                pass
        list(body.finish())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body_bytes > 16_000_000
    assert peak_bytes < 8_000_000


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"other": "' + b"x" * 1_700_000, BodyTooLargeError),
        (b'{"other": [' + b"1," * 900_000, BodyTooLargeError),
        (b'{"voiceprints": ["' + b"A" * 1_700_000, BodyTooLargeError),
        (b'{"voiceprints": [' + b"0.5," * 700_000, RequestValidationError),
        (b'{"voiceprints": ["AAAA" "' + b"A" * 1_700_000, RequestInvalidError),
        (b" " * 1_700_000, BodyTooLargeError),
        (b"[" * 1_700_000, RequestInvalidError),
        (b'{"voiceprints": ["AAAA", "\x01", ' + b'"AAAA",' * 300_000, RequestInvalidError),
    ],
)
def test_a_body_of_megabytes_without_voiceprints_is_not_held(body: bytes, error: type[InputError]) -> None:
    reader = JsonBody(Scoring(SCORER))
    pieces = iter(cut(body, [65536]))

    def read() -> None:
        for piece in pieces:
            list(reader.feed(piece))

    with pytest.raises(error):
        read()


def test_a_long_text_that_comes_byte_by_byte_is_not_looked_at_again_with_each_byte() -> None:
    reader = JsonBody(Scoring(SCORER))
    list(reader.feed(b'{"voiceprints": ["' + b"A" * 100_000))
    with mock.patch.object(JsonBody, "_read_pending", autospec=True, side_effect=JsonBody._read_pending) as reads:
        for _ in range(50_000):
            list(reader.feed(b"A"))
    assert reads.call_count == 0


def test_a_client_cannot_guess_a_placeholder() -> None:
    marks = set()
    for _ in range(100):
        body = JsonBody(Scoring(SCORER))
        list(body.feed(json.dumps({"voiceprints": VALID[:1] * 8000}).encode()))
        marks.add(body._mark)
    assert len(marks) == 100
    assert all(len(mark) == 16 for mark in marks)


def test_voiceprint_errors_do_not_hold_what_was_sent() -> None:
    secret = "c2VjcmV0" * 10
    _, _, _, told = in_pieces([json.dumps({"voiceprints": [secret, f"{secret}*"]}).encode()])
    assert next(kind for _, kind, _ in told) is VoiceprintError
    assert not any(secret[:8] in text or "secret" in text for _, _, text in told)


def test_many_small_lists_under_other_keys_are_no_hindrance() -> None:
    other = [[f"tag {number}"] for number in range(300)] + [VALID[:2] * 5 for _ in range(100)]
    body = json.dumps({"other": other, "voiceprints": [VALID[0]] * 6000}).encode()
    assert in_pieces(cut(body, [65536])) == at_once(body)


def test_odd_voiceprints_are_taken_a_few_at_a_time_so_that_no_step_takes_long() -> None:
    odd = base64.b64encode(base64.b64decode(VALID[1]).replace(b"versioni\x01", b"versionU\x01")).decode()
    scoring = Scoring(SCORER)
    body = JsonBody(scoring)
    with mock.patch.object(Scoring, "add_records", autospec=True, side_effect=Scoring.add_records) as rows:
        for piece in cut(json.dumps({"voiceprints": [odd] * 3000}).encode(), [65536]):
            list(body.feed(piece))
        list(body.finish())
    taken = [len(call.args[1]) for call in rows.mock_calls]
    assert len(scoring) == len(scoring.results()) == 3000
    assert max(taken) == FEW_ITEMS


def test_alike_voiceprints_soon_come_in_large_blocks() -> None:
    scoring = Scoring(SCORER)
    sizes = []
    records = np.frombuffer(base64.b64decode(VALID[0]) * BLOCK_ITEMS, np.uint8).reshape(BLOCK_ITEMS, -1)
    while scoring.block_items < BLOCK_ITEMS:
        sizes.append(scoring.block_items)
        scoring.add_records(records[: scoring.block_items])
    assert sizes == [FEW_ITEMS * 2**step for step in range(len(sizes))]


def test_a_long_list_of_other_things_is_refused_without_building_them() -> None:
    body = b'{"voiceprints": [' + b"[]," * 50_000 + b"[]]}"
    tracemalloc.start()
    try:
        kind, location, reason, _ = in_pieces(cut(body, [65536]))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (kind, location, reason) == (RequestValidationError, ("body", "voiceprints"), "value.type")
    assert peak_bytes < 1_000_000

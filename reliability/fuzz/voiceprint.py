"""The reader of voiceprints: against py-ubjson and the rules, in blocks against one by one, and as it was written."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import ubjson

from core.test_batch import told_at_once, told_one_by_one
from reliability.fuzz.target import Target, drawn
from rest.json_cases import SCORER, voiceprint_bytes
from voiceprint_cases import SPECIAL_FLOAT32, content, encoded, items, with_special_number
from voxgender.core.batch import BatchReader
from voxgender.core.errors import VoiceprintError
from voxgender.core.voiceprint import MAX_DIMENSION, Voiceprint, decode_voiceprint, encode_voiceprint

KEYS: Final = {"format", "version", "model", "speech_length_s", "scale", "vector"}
_COUNT: Final = re.compile(rb"#([iUIlL])", re.DOTALL)
_FORMS: Final = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
_MODEL: Final = re.compile("[!-~]{1,64}")
_GOOD: Final = {item: told_one_by_one([item])[0] for item in (voiceprint_bytes(0), voiceprint_bytes(1))}
_FLOAT: Final = re.compile(rb"(speech_length_sd|scaled).{4}", re.DOTALL)
_ONE: Final = struct.pack(">f", 1.0)
_LARGEST: Final = float(np.finfo(np.float32).max)


def check(data: bytes) -> None:
    """Hold the reader against py-ubjson, blocks against single items, and writing against reading."""
    data, knobs = data[:-3], data[-3:].rjust(3, b"\0")
    told = told_one_by_one([data])[0]
    check_oracle(data, told)
    check_blocks(data, knobs)
    if len(told) == 4:
        check_writing(decode_voiceprint(data))


def check_oracle(data: bytes, told: Sequence[Any]) -> None:
    """Raise where py-ubjson and the rules of the format tell otherwise."""
    if len(told) != 4 and claims_too_much(data):
        return  # py-ubjson would make lists of as many elements as are claimed
    expected = oracle(data)
    if (None if len(told) != 4 else tuple(told)) != expected:
        raise AssertionError(f"{data!r} is read as {told!r}, and by py-ubjson and the rules as {expected!r}")


def claims_too_much(data: bytes) -> bool:
    """Return whether anything that looks like a count is more than the bytes that there are."""
    for found in _COUNT.finditer(data):
        form = _FORMS[found[1]]
        raw = data[found.end() : found.end() + struct.calcsize(form)]
        if len(raw) == struct.calcsize(form) and struct.unpack(form, raw)[0] > len(data):
            return True
    return False


def oracle(data: bytes) -> tuple[str, bytes, str, bytes] | None:
    """Return what the bytes hold as py-ubjson reads them, where that is a voiceprint by the rules of the format."""
    keys: list[str] = []

    def members_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys.extend(key for key, _ in pairs)
        return dict(pairs)

    file = io.BytesIO(data)
    try:
        members = ubjson.load(file, no_bytes=True, object_pairs_hook=members_of)
    except (ubjson.DecoderException, ValueError, RecursionError):
        return None
    if file.tell() != len(data) or not isinstance(members, dict) or len(keys) != len(set(keys)):
        return None
    if not KEYS - {"scale"} <= members.keys() <= KEYS:
        return None
    model, speech_s, scale, vector = (members.get(key) for key in ("model", "speech_length_s", "scale", "vector"))
    if members["format"] != "voxgender" or type(members["version"]) is not int or members["version"] != 1:
        return None
    if not isinstance(model, str) or not _MODEL.fullmatch(model):
        return None
    if type(speech_s) not in (int, float) or not 0 <= speech_s <= _LARGEST or not isinstance(vector, list):
        return None
    if not 1 <= len(vector) <= MAX_DIMENSION or not all(type(value) in (int, float) for value in vector):
        return None
    rounded = np.float32(speech_s)
    values = np.array(vector, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if any(type(value) is float for value in vector):
            numbers = values.astype(np.float32)
            if scale is not None or "scale" in members or not np.isfinite(numbers).all():
                return None
        else:
            if type(scale) not in (int, float) or not (values.min() >= -128 and values.max() <= 127):
                return None
            step = np.float32(scale)
            if not np.isfinite(step * np.float32(128)) or not (step > 0 or (step == 0 and rounded == 0)):
                return None
            numbers = values.astype(np.float32) * step
    return content(Voiceprint(model, float(rounded), numbers))


def check_blocks(data: bytes, knobs: bytes) -> None:
    """Raise where a block tells otherwise than its items one by one, for a new reader and for one that knows layouts.

    The block holds the item, one with a byte changed, one with plain numbers in their place, and good ones. Of the
    plain one a reader learns the layout, so that the item itself is read as a row.
    """
    changed = bytearray(data)
    if changed:
        changed[int.from_bytes(knobs[:2], "big") % len(changed)] ^= knobs[2] or 1
    other, plain = bytes(changed), with_plain_numbers(data)
    told = _GOOD | {item: told_one_by_one([item])[0] for item in {data, other, plain}}
    known = BatchReader(SCORER.frames)
    for some, reader in (([plain, data, other, *_GOOD], None), ([other, data, *_GOOD], known), ([data], known)):
        expected, found = [told[item] for item in some], told_at_once(some, reader)
        if found != expected:
            raise AssertionError(f"{some!r} are read in a block as {found!r}, one by one as {expected!r}")


def with_plain_numbers(data: bytes) -> bytes:
    """Return an item with 1 for its length of speech, its scale and the last number of a vector of floats."""
    plain = _FLOAT.sub(lambda found: found[1] + _ONE, data)
    return plain[:-5] + _ONE + plain[-1:] if b"[$d#" in data else plain


def check_writing(voiceprint: Voiceprint) -> None:
    """Raise where a voiceprint is not read as it was written: exactly as floats, to half a step as integers."""
    again = decode_voiceprint(encode_voiceprint(voiceprint, "float32"))
    if content(again) != content(voiceprint):
        raise AssertionError(f"{content(voiceprint)!r} is read as {content(again)!r} after it was written")
    try:
        stepped = encode_voiceprint(voiceprint, "int8")
    except VoiceprintError:
        return  # too large or too small for a scale
    near = decode_voiceprint(stepped)
    largest = float(np.abs(voiceprint.vector).max())
    if largest > 1e-30 and not np.allclose(near.vector, voiceprint.vector, rtol=0, atol=largest / 127 * 0.5001):
        raise AssertionError(f"{voiceprint.vector!r} is read as {near.vector!r} after it was written as int8")


def seeds() -> Iterable[bytes]:
    """Return voiceprints of both layouts, as py-ubjson writes them, and nearly valid ones; each with three knobs."""
    for number in range(8):
        data = voiceprint_bytes(number)
        yield data + bytes([0, number, 1])
        members = ubjson.loadb(data, no_bytes=True)
        for counted in (True, False):
            yield ubjson.dumpb(members, container_count=counted, no_float32=counted) + bytes([0, 80 + number, 255])
    special = drawn(with_special_number(), 40)
    for number, data in enumerate([*special, *drawn(encoded(), 40), *drawn(items(), 100)]):
        yield data + bytes([0, number % 256, 1 + number % 255])


TARGET: Final = Target(
    "voiceprints: read as py-ubjson and the rules of the format read them, in blocks as one by one, bit by bit, and "
    "again as they were written",
    check,
    seeds,
    [
        *(bytes([len(key)]).join([b"i", key.encode()]) for key in sorted(KEYS)),
        *(bytes.fromhex(number) for number in SPECIAL_FLOAT32),
        *(b"[$" + marker + b"#" for marker in (b"i", b"U", b"I", b"l", b"L", b"d", b"D")),
        *b"{ } [ ] # $ N T F Z C H".split(),
        b"Si\x09voxgender",
        b"i\x01",
        b"U\xff",
        b"I\x7f\xff",
        b"l\x7f\xff\xff\xff",
    ],
)

"""The two lanes that read a JSON body: they must tell the same of any bytes in any pieces, and so must Python's own."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NoReturn

from reliability.fuzz.target import Target, cut, drawn
from rest.json_cases import BROKEN, ODD, SCORER, TOKENS, VALID, bodies, mutated
from rest.test_json_body import Outcome, at_once, in_pieces, small_steps
from voxgender.core.errors import RequestInvalidError, RequestValidationError, VoiceprintListError, VoxgenderError
from voxgender.core.voiceprint import decode_voiceprint

SIZES: Final = (1, 2, 3, 7, 50, 99, 100, 101, 256, 1000, 5000)
"""Sizes of pieces; the last two bytes of an input choose two of them."""
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def check(data: bytes) -> None:
    """Hold both lanes, in whole and in pieces, against the parser alone, and that against Python's own parser."""
    body, sizes = data[:-2], [SIZES[knob % len(SIZES)] for knob in data[-2:]] or [1]
    strict = at_once(body)
    # A body as short as these goes to the parser as it is, unless the sizes of all steps are made short as well.
    with small_steps():
        compare(body, strict, in_pieces([body]))
        compare(body, strict, in_pieces(cut(body, sizes)))
    check_oracle(body, strict)


def compare(body: bytes, strict: Outcome, found: Outcome) -> None:
    """Raise where the lanes tell otherwise than the parser alone."""
    if found != strict:
        raise AssertionError(f"of {body!r} the lanes tell {found!r}, the parser {strict!r}")


def check_oracle(body: bytes, told: Outcome) -> None:
    """Raise where Python's own JSON and Base64 tell otherwise: the kind of outcome, the count, the bad items."""
    expected, kind = oracle(body), told[0]
    if kind == "scored":
        is_same = expected == (told[1], [])
    elif kind is VoiceprintListError:
        positions = [position for position, _, _ in told[3]]
        is_same = not isinstance(expected, str) and expected[0] == told[1]
        is_same = (
            is_same and len(expected[1]) == len(positions) + told[2] and expected[1][: len(positions)] == positions
        )
    elif kind is RequestValidationError:
        is_same = expected == "no list of texts"
    else:
        is_same = issubclass(kind, RequestInvalidError) and (expected == "no JSON" or is_refused_by_one(body, told))
    if not is_same:
        raise AssertionError(f"of {body!r} is told {told!r}, and Python's own parser tells {expected!r}")


def is_refused_by_one(body: bytes, told: Outcome) -> bool:
    """Return whether the parser may refuse for a reason of its own: half of a surrogate pair, or deep nesting."""
    return _SURROGATE.search(body) is not None or "nested too deeply" in told[-1]


def oracle(body: bytes) -> str | tuple[int, list[int]]:
    """Return what Python's own readers tell: how many items there are, and which of them are no voiceprints."""
    try:
        told = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_int=float, parse_float=float)
    except (ValueError, RecursionError):
        return "no JSON"
    texts: Any = told.get("voiceprints") if isinstance(told, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return "no list of texts"
    return len(texts), [position for position, text in enumerate(texts) if not is_voiceprint(text)]


@lru_cache(maxsize=4096)
def is_voiceprint(text: str) -> bool:
    """Return whether a text is canonical Base64 of a voiceprint whose model is loaded."""
    try:
        plain = text.strip(" \t\r\n").encode("ascii")
        data = base64.b64decode(plain, validate=True)
        if base64.b64encode(data) != plain:
            return False
        voiceprint = decode_voiceprint(data)
    except (ValueError, VoxgenderError):
        return False
    head = SCORER.heads.get(voiceprint.model)
    return head is not None and len(voiceprint.vector) == len(head.head.weight)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def seeds() -> Iterable[bytes]:
    """Return bodies in every spelling, good and nearly so, each with two choices of sizes."""
    yield json.dumps({"voiceprints": VALID, "more": [VALID[:1] * 5]}).encode() + b"\x03\x05"
    for text in BROKEN:
        yield json.dumps({"voiceprints": [text] * 5}).encode() + b"\x06\x06"
    for number, body in enumerate([*drawn(bodies(), 120), *drawn(mutated(), 120)]):
        yield body + bytes([number % 11, number // 11 % 11])


TARGET: Final = Target(
    "JSON bodies: the lanes for runs and for the rest, whole and in pieces, tell the same count and bits, or the same "
    "error, place and words, as one strict parser, and accept what Python's own JSON and Base64 accept",
    check,
    seeds,
    [b'"voiceprints"', b"\\u", b"1e999", b"\\ud800", *TOKENS, *(text.encode() for text in [*VALID[:4], *BROKEN, *ODD])],
)

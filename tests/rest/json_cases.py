"""Bodies as clients may send them: Hypothesis strategies of valid ones in every spelling, and of nearly valid ones."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import strategies as st

from voxgender.core.base64 import encode_base64
from voxgender.core.calibration import Calibration
from voxgender.core.head import Head
from voxgender.core.layout import Layout
from voxgender.core.scorer import CalibratedHead, Scorer
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

CALIBRATION = Calibration(1.0, 0.5, 0.25, bound=40.0, min_speech_s=1.0, max_speech_s=8.0)
WEIGHTS = {"one": [1.0, -2.0], "two": [3.0, 1.0, -1.0, 0.5]}
SCORER = Scorer(
    {
        model: CalibratedHead(Head(model, np.array(weight, np.float32), 0.5), CALIBRATION)
        for model, weight in WEIGHTS.items()
    }
)
LAYOUTS: tuple[Layout, ...] = ("int8", "float32")


def voiceprint_bytes(number: int) -> bytes:
    """A valid voiceprint, of one of four lengths."""
    model = ("one", "two")[number % 2]
    vector = np.array([1.0 + number % 7, -0.5 * (number % 11), 0.25, 3.0], np.float32)[: len(WEIGHTS[model])]
    return encode_voiceprint(Voiceprint(model, float(number % 5), vector), LAYOUTS[number // 2 % 2])


VALID = [encode_base64(voiceprint_bytes(number)) for number in range(24)]
OTHER_MODEL = encode_base64(encode_voiceprint(Voiceprint("six", 1.0, np.ones(2, np.float32))))
BROKEN = [
    "",
    "A",
    "AAAA",
    "AA==",
    "AB==",
    "AAA=",
    VALID[0][:-4],
    VALID[0] + "=",
    VALID[0].rstrip("=")[:-1] + "B" + "=" * VALID[0].count("="),
    VALID[1][:50] + "\n" + VALID[1][50:],
]
ODD = [
    f" {VALID[2]}\n",
    VALID[3] + "\t",
    OTHER_MODEL,
    "é",
    "\U0001f600",
    ",",
    '","',
    '"',
    "\\",
    "[",
    "[,",
    "voiceprints",
]

spaces = st.sampled_from(["", "", "", " ", "\n  ", "\t", "\r\n", "  "])


def spelled(text: str, style: int) -> str:
    """A text as JSON; in style 1 with slashes escaped, in style 2 with its first letter as a number."""
    plain = json.dumps(text, ensure_ascii=style != 3)
    if style == 1:
        return plain.replace("/", "\\/")
    if style == 2 and text and text[0].isalnum():
        return f'"\\u{ord(text[0]):04x}' + plain[2:]
    return plain


@st.composite
def lists(draw: st.DrawFn) -> str:
    """A JSON array of texts, mostly of runs that look alike."""
    parts: list[str] = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["run", "run", "run", "mixed", "valid", "odd"]))
        separator = draw(spaces) + "," + draw(spaces)
        if kind == "run":
            number = draw(st.integers(0, 3))
            texts = [VALID[(number + 4 * step) % len(VALID)] for step in range(draw(st.integers(1, 12)))]
        elif kind == "valid":
            texts = draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=6))
        else:
            texts = draw(st.lists(st.sampled_from([*VALID[:4], *(BROKEN if kind == "mixed" else ODD)]), max_size=4))
        style = draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
        if texts:
            parts.append(separator.join(spelled(text, style) for text in texts))
    return "[" + draw(spaces) + (draw(spaces) + "," + draw(spaces)).join(parts) + draw(spaces) + "]"


others = st.one_of(
    st.sampled_from(["1", "-0.5e3", "null", "true", "{}", "[]", "[[]]", '[["a", "b"], ["c", "d"], {}]', "1e999"]),
    st.sampled_from(
        ['"["', '"[\\""', '"\\\\"', '["[", ",", "\\"", ",", 1]', '{"voiceprints": ["x", "y"]}', '"\\ud800"']
    ),
    lists(),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A JSON text of an object with voiceprints, and perhaps other keys, in any order."""
    members = [("voiceprints", draw(st.one_of(lists(), lists(), lists(), others)))]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        member = (draw(st.sampled_from(["other", "[", "voiceprints", "é"])), draw(others))
        members.insert(draw(st.integers(0, len(members))), member)
    texts = [f"{json.dumps(name)}{draw(spaces)}:{draw(spaces)}{value}" for name, value in members]
    text = draw(spaces) + "{" + draw(spaces) + ",".join(texts) + draw(spaces) + "}" + draw(spaces)
    return text.encode()


TOKENS = [
    b'"',
    b",",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"\\",
    b'","',
    b'",',
    b'["',
    b'"]',
    b"1",
    b" ",
    b"\n",
    b"=",
    b"\xff",
    b"\x00",
    b'"A",',
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A body after one to three edits."""
    data = draw(bodies())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.sampled_from([1, 1, 2, 5, 140])))
        kind = draw(st.sampled_from(["replace", "insert", "remove", "double", "cut"]))
        token = draw(st.sampled_from(TOKENS))
        middle = {"replace": token, "insert": token + data[at:to], "remove": b"", "double": data[at:to] * 2, "cut": b""}
        data = data[:at] + middle[kind] + (b"" if kind == "cut" else data[to:])
    return data

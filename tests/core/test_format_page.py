"""The page on the format says what is written, byte by byte."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from voxgender.core.base64 import encode_base64
from voxgender.core.voiceprint import (
    MAX_DIMENSION,
    MAX_VOICEPRINT_BYTES,
    Layout,
    Voiceprint,
    encode_voiceprint,
)

PAGE = Path(__file__).parents[2] / "docs" / "voiceprint-format.md"
VOICEPRINT = Voiceprint("ge2e-2", 12.5, np.random.default_rng(5).normal(size=286).astype(np.float32))


def page_rows(layout: Layout) -> list[tuple[int, int, str]]:
    """Offset, size and content of each row of the layout's table in the page."""
    section = PAGE.read_text("utf-8").split(f"### Layout `{layout}`")[1].split("\n#")[0]
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (.+?) \|", section, re.MULTILINE)
    return [(int(offset), int(size), content) for offset, size, content in rows]


@pytest.mark.parametrize("layout", ["int8", "float32"])
def test_the_page_describes_each_byte_that_is_written(layout: Layout) -> None:
    data = encode_voiceprint(VOICEPRINT, layout)
    at, numbers = 0, {}
    for offset, size, content in page_rows(layout):
        assert offset == at
        part = data[offset : offset + size]
        at += size
        if content.startswith("`"):
            assert part == bytes.fromhex(content.strip("`")), offset
        else:
            numbers[content] = part
    assert at == len(data)
    speech_s = np.frombuffer(numbers.pop("speech_length_s"), ">f4")
    assert speech_s.tolist() == [12.5]
    if layout == "float32":
        vector = np.frombuffer(numbers.pop("vector"), ">f4").astype(np.float32)
        assert vector.tobytes() == VOICEPRINT.vector.tobytes()
    else:
        scale = np.frombuffer(numbers.pop("scale"), ">f4")
        assert scale[0] == np.abs(VOICEPRINT.vector).max() / np.float32(127)
        steps = np.frombuffer(numbers.pop("vector"), np.int8)
        np.testing.assert_allclose(steps * scale, VOICEPRINT.vector, rtol=0, atol=0.5001 * scale[0])
    assert numbers == {}


@pytest.mark.parametrize("layout", ["int8", "float32"])
def test_the_page_tells_the_lengths_and_how_the_base64_text_begins(layout: Layout) -> None:
    page = PAGE.read_text("utf-8")
    data = encode_voiceprint(VOICEPRINT, layout)
    text = encode_base64(data)
    assert f"Layout `{layout}`: {len(data):,} bytes, {len(text):,} Base64 characters" in page
    (beginning,) = re.findall(r"begins with\n`([\w+/]+)`", page)
    assert text.startswith(beginning)
    assert f"at most {MAX_VOICEPRINT_BYTES:,} bytes" in page
    assert f"1 to {MAX_DIMENSION:,} numbers" in page

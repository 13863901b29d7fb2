"""What is sent by mistake: told in words, and nothing else is taken for a mistake."""

from __future__ import annotations

import base64
import io

import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from recordings import recording, voice
from serving import voiceprint_text
from voiceprint_cases import encoded
from voxgender.rpc.mistakes import mistaken_audio, mistaken_voiceprint


def mp3() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, voice("male", 0.5), 16_000, format="MP3")
    return file.getvalue()


RECORDINGS = {
    "WAV": recording(voice("male", 0.5)),
    "FLAC": recording(voice("male", 0.5), form="FLAC"),
    "MP3": mp3(),
    "MP3 with a tag": b"ID3\x04\x00\x00\x00\x00\x00\x0aTIT2\x00\x00\x00\x00\x00\x00" + mp3(),
}
words = st.sampled_from([4, 60, 64, 76, 1000])


@given(encoded())
def test_no_voiceprint_is_taken_for_something_else(data: bytes) -> None:
    assert mistaken_voiceprint(data) is None


@pytest.mark.parametrize("file", RECORDINGS.values(), ids=RECORDINGS.keys())
def test_no_recording_is_taken_for_something_else_however_little_of_it_has_come(file: bytes) -> None:
    assert [mistaken_audio(file[:size]) for size in (*range(1, 100), 1000, 1024, 5000, len(file))] == [None] * 103


@pytest.mark.parametrize("name", RECORDINGS.keys())
def test_a_recording_among_the_voiceprints_is_told_with_its_format(name: str) -> None:
    told = mistaken_voiceprint(RECORDINGS[name])
    assert told == f"is no voiceprint but a recording ({name.split()[0]}); send it as audio."


@given(encoded(), st.integers(1, 2000))
def test_a_voiceprint_among_the_audio_is_told_however_little_of_it_has_come(data: bytes, size: int) -> None:
    assert mistaken_audio(data[:size]) == "The audio is a voiceprint; send it among the voiceprints."


@given(st.binary(min_size=48, max_size=4000), words, st.sampled_from([b"", b"\n", b"\r\n"]))
def test_base64_text_is_told_with_and_without_line_breaks(data: bytes, width: int, line_end: bytes) -> None:
    text = base64.b64encode(data)
    text = b"".join(text[at : at + width] + line_end for at in range(0, len(text), width))
    assert mistaken_voiceprint(text) == "is Base64 text; send the bytes that it stands for."
    assert (mistaken_audio(text) or "").startswith("The audio is Base64 text")


def test_base64_text_of_a_voiceprint_among_the_audio_is_told_as_such() -> None:
    told = "The audio is Base64 text of a voiceprint; send the bytes that it stands for among the voiceprints."
    assert mistaken_audio(voiceprint_text().encode()) == told


def test_a_voiceprint_of_the_older_generation_is_told() -> None:
    assert mistaken_voiceprint(b"VPT \x01") == (
        "is a voiceprint of another product (VPT); make one of the recording here."
    )


@given(st.one_of(st.binary(max_size=3000), st.binary(max_size=40).map(lambda data: b"MARKER" + data)))
@example(b" " * 1023 + b"!")
@example(b"A" * 1024 + b"\xff")
@example(b"=" * 5000)
def test_whatever_comes_nothing_of_it_is_told_back(data: bytes) -> None:
    for told in (mistaken_voiceprint(data), mistaken_audio(data)):
        assert told is None or (told.endswith(".") and "MARKER" not in told)

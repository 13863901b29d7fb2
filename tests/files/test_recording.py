"""Files of either kind: a voiceprint or a recording, told apart by what they hold."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import soundfile

import voices
from voxgender.core.errors import InputError, VoiceprintError
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.extraction import Extractor
from voxgender.files.models import find_model
from voxgender.files.recording import extract_voiceprint, read_voiceprint, write_voiceprint

PRINT = Voiceprint("ge2e-2", 2.5, np.linspace(0, 1, 286, dtype=np.float32))
DATA = encode_voiceprint(PRINT)


def no_extractor() -> NoReturn:
    raise AssertionError("a voiceprint needs no extractor")


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(find_model("ge2e-2") / "extractor")


@pytest.fixture(scope="module")
def sound() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, voices.speak(3.0, 115.0, 1.0, seed=1), 16_000, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("content", [DATA, base64.b64encode(DATA), b"\r\n " + base64.b64encode(DATA) + b"\n"])
def test_a_voiceprint_is_read_in_binary_and_as_base64_from_a_file_and_from_bytes(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    for source in (tmp_path / "x.wav", content):
        found = read_voiceprint(source, no_extractor)
        assert (found.model, found.speech_s) == ("ge2e-2", 2.5)


@pytest.mark.parametrize("content", [DATA[:-1], b"{}", base64.b64encode(DATA[:-3])])
def test_what_begins_like_a_voiceprint_and_is_none_is_refused_as_such(content: bytes) -> None:
    with pytest.raises(VoiceprintError):
        read_voiceprint(content, no_extractor)


@pytest.mark.parametrize("content", [b"", b"e", b"every word of this", b"RIFF", base64.b64encode(b"elephant" * 9)])
def test_what_is_neither_is_told_as_no_audio(extractor: Extractor, content: bytes) -> None:
    with pytest.raises(InputError, match="audio"):
        read_voiceprint(content, lambda: extractor)


def test_a_recording_gives_the_voiceprint_that_its_file_will_hold(
    extractor: Extractor, sound: bytes, tmp_path: Path
) -> None:
    made = extract_voiceprint(sound, extractor)
    assert made.speech_s > 2
    for as_text in (False, True):
        write_voiceprint(tmp_path / "x.vp", made, base64=as_text)
        found = read_voiceprint(tmp_path / "x.vp", no_extractor)
        assert found.speech_s == made.speech_s
        assert np.array_equal(found.vector, made.vector)


def test_no_more_speech_is_used_than_asked_for(extractor: Extractor, sound: bytes) -> None:
    assert extract_voiceprint(sound, extractor, max_speech_s=1.0).speech_s == 1.0


def test_both_channels_of_a_stereo_recording_are_heard(extractor: Extractor) -> None:
    voice = voices.speak(3.0, 115.0, 1.0, seed=1)
    file = io.BytesIO()
    soundfile.write(file, np.stack([np.zeros_like(voice), voice], axis=1), 16_000, format="WAV")
    assert extract_voiceprint(file.getvalue(), extractor).speech_s > 2


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_file_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_voiceprint(tmp_path / path, no_extractor)
    with pytest.raises(InputError, match="cannot be written"):
        write_voiceprint(tmp_path / path / "nowhere" / "x.vp", PRINT)


def test_a_voiceprint_that_cannot_be_written_leaves_no_part_of_itself_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        write_voiceprint(tmp_path / "x.vp", PRINT)
    assert list(tmp_path.iterdir()) == []

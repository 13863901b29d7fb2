"""The library: one call for whatever holds a voice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import voices
import voxgender
from voxgender.core.errors import InputError, ModelError
from voxgender.files.recording import write_voiceprint


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "man.wav"
    soundfile.write(path, voices.speak(4.0, 110.0, 1.0, seed=1), 16_000)
    return path


def test_a_recording_scores_alike_as_path_text_bytes_voiceprint_and_file(sound: Path, tmp_path: Path) -> None:
    voiceprint = voxgender.extract(sound)
    write_voiceprint(tmp_path / "man.vp", voiceprint)
    sources = [sound, str(sound), sound.read_bytes(), voiceprint, tmp_path / "man.vp"]
    together = voxgender.identify(sources)
    alone = [voxgender.identify(source)[0] for source in sources]
    assert list(together) == alone == [alone[0]] * 5
    assert alone[0].gender == "male"


def test_a_matrix_scores_as_its_rows_do_as_voiceprints(sound: Path) -> None:
    voiceprint = voxgender.extract(sound)
    matrix = np.stack([voiceprint.vector, voiceprint.vector[::-1]])
    speech_s = np.array([voiceprint.speech_s, 0.0])
    results = voxgender.identify(matrix, speech_s=speech_s)
    assert results[0].llr == pytest.approx(voxgender.identify(voiceprint)[0].llr)
    assert results[1].gender == "unknown"


def test_the_decision_is_the_caller_s(sound: Path) -> None:
    strict = voxgender.Decision(male_prior=0.5, min_probability=0.999)
    assert voxgender.identify(sound, decision=strict)[0].gender == "unknown"


def test_a_decision_can_be_taken_again_on_the_same_results(sound: Path) -> None:
    lenient = voxgender.identify([sound, sound])
    strict = replace(lenient, decision=voxgender.Decision(min_probability=0.999999))
    assert [result.gender for result in strict] == ["unknown", "unknown"]
    assert [result.llr for result in strict] == [result.llr for result in lenient]


def test_an_empty_list_has_no_results() -> None:
    assert len(voxgender.identify([])) == 0


@pytest.mark.parametrize(
    ("matrix", "speech_s", "reason"),
    [
        (np.zeros(286), None, "two dimensions"),
        (np.zeros((2, 286)), np.zeros(3), "speech_s must have the shape"),
        (np.full((2, 286), np.nan), None, "not finite"),
        (np.zeros((2, 285)), None, "286 values"),
    ],
)
def test_a_matrix_that_does_not_fit_is_refused_in_words(
    matrix: np.ndarray, speech_s: np.ndarray | None, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        voxgender.identify(matrix, speech_s=speech_s)


def test_an_unknown_model_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ModelError, match=r"'ge2e-9'.*ge2e-2"):
        voxgender.identify(np.zeros((1, 286)), model="ge2e-9")

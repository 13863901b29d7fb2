"""Median pitch, and the labels that it contradicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import voices
from serving import voiceprint_text
from voxgender.core.errors import AudioError
from voxgender.lab.manifest import Clip, read_manifest
from voxgender.lab.pitch import contradicted, median_pitch, pitches

MAN = Clip(Path("-"), "dev", "made", "adam", is_male=True, is_child=False)
WOMAN = replace(MAN, speaker="eve", is_male=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices of a known pitch, silence, a voiceprint, and a file that is neither."""
    folder = tmp_path_factory.mktemp("voices")
    for f0_hz in (90, 120, 200, 260):
        soundfile.write(folder / f"{f0_hz}.wav", voices.speak(3.0, f0_hz, 1.0, seed=f0_hz), 16_000)
    soundfile.write(folder / "silence.wav", np.zeros(32_000), 16_000)
    soundfile.write(folder / "nothing.wav", np.zeros(0), 16_000)
    (folder / "stored.vp").write_text(voiceprint_text(speech_s=3.0))
    (folder / "stored.txt").write_text(voiceprint_text(speech_s=3.0))
    (folder / "letter.wav").write_text("Dear reader")
    return folder


@pytest.mark.parametrize("f0_hz", [90, 120, 200, 260])
def test_the_median_pitch_of_a_voice_is_the_one_that_it_was_made_with(folder: Path, f0_hz: int) -> None:
    assert median_pitch(folder / f"{f0_hz}.wav") == pytest.approx(f0_hz, rel=0.07)


def test_what_is_not_voiced_has_no_pitch_and_what_is_no_audio_is_refused(folder: Path) -> None:
    assert median_pitch(folder / "silence.wav") is None
    assert median_pitch(folder / "nothing.wav") is None
    with pytest.raises(AudioError):
        median_pitch(folder / "letter.wav")


def test_each_recording_is_heard_once_and_what_cannot_be_is_not_known(folder: Path) -> None:
    names = ("120.wav", "120.wav", "silence.wav", "stored.vp", "stored.txt", "letter.wav", "missing.wav")
    heard: list[None] = []
    pitch_hz = pitches([replace(MAN, path=folder / name) for name in names], lambda: heard.append(None), jobs=1)
    assert pitch_hz is not None
    assert pitch_hz[:2] == pytest.approx([120, 120], rel=0.07)
    assert np.isnan(pitch_hz[2:]).all()
    assert len(heard) == 4


def test_of_voiceprints_alone_nothing_is_known(folder: Path) -> None:
    assert pitches([replace(MAN, path=folder / "stored.vp")], lambda: None) is None


def test_high_men_and_low_women_are_contradicted_but_no_child_and_nobody_whose_pitch_is_not_known() -> None:
    clips = [MAN, MAN, WOMAN, WOMAN, replace(MAN, is_child=True), MAN, WOMAN]
    pitch_hz = np.array([191, 190, 139, 140, 300, np.nan, np.nan])
    assert contradicted(clips, pitch_hz).tolist() == [True, False, True, False, False, False, False]


def test_few_labels_of_human_speech_are_contradicted(speech_dir: Path) -> None:
    clips = read_manifest(speech_dir, "dev", "adults")[::12]
    pitch_hz = pitches(clips, lambda: None)
    assert pitch_hz is not None
    assert not np.isnan(pitch_hz).any()
    assert contradicted(clips, pitch_hz).mean() < 0.1
    is_male = np.array([clip.is_male for clip in clips])
    assert np.median(pitch_hz[is_male]) < 150 < np.median(pitch_hz[~is_male])

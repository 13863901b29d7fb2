"""The conditions of the report: what they are, and that each is the same for all models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from voxgender.lab.degradation import parse_degradation
from voxgender.lab.manifest import Clip
from voxgender.lab.stress import STRESSES, Stress

CLIPS = [
    Clip(Path(f"{number}.wav"), "dev", "made", str(number), number % 2 == 0, is_child=number == 3, language="de")
    for number in range(5)
]
CLIPS.insert(2, replace(CLIPS[0], path=Path("stored.vp")))


@pytest.mark.parametrize("stress", STRESSES, ids=lambda stress: stress.name)
def test_each_condition_is_put_on_every_recording_and_on_no_voiceprint_file(stress: Stress) -> None:
    heard = stress.of(CLIPS)
    assert [clip.path for clip in heard] == [clip.path for clip in CLIPS if clip.path.suffix == ".wav"]
    assert {(clip.degradation, clip.max_speech_s) for clip in heard} == {(stress.degradation, stress.max_speech_s)}
    labels = [(clip.speaker_id, clip.is_male, clip.is_child, clip.language) for clip in heard]
    assert labels == [
        (clip.speaker_id, clip.is_male, clip.is_child, clip.language) for clip in CLIPS if clip.path.suffix == ".wav"
    ]


def test_each_recording_has_its_own_noise_and_the_same_one_each_time() -> None:
    stress = Stress("noise", "white:10")
    assert len({clip.seed for clip in stress.of(CLIPS)}) == len(CLIPS) - 1
    assert stress.of(CLIPS) == stress.of(CLIPS)


def test_what_was_done_to_a_clip_before_does_not_add_up() -> None:
    done = [replace(clip, degradation="gsm", max_speech_s=0.5) for clip in CLIPS]
    assert Stress("long", max_speech_s=5.0).of(done) == Stress("long", max_speech_s=5.0).of(CLIPS)


def test_each_condition_changes_something_and_is_called_otherwise_than_the_others() -> None:
    assert all(parse_degradation(stress.degradation) or stress.max_speech_s for stress in STRESSES)
    assert len({stress.name for stress in STRESSES}) == len(STRESSES)
    assert len({(stress.degradation, stress.max_speech_s) for stress in STRESSES}) == len(STRESSES)


def test_telephones_noise_babble_music_rooms_and_short_speech_are_among_them() -> None:
    names = {step.name for stress in STRESSES for step in parse_degradation(stress.degradation)}
    assert {"mulaw", "gsm", "amr", "opus", "white", "pink", "babble", "tones", "reverb"} <= names
    assert {1.0, 2.0, 3.0} <= {stress.max_speech_s for stress in STRESSES}

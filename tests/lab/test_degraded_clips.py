"""Degraded clips on their way from a manifest's recordings to labelled voiceprints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

import voices
from voxgender.core.errors import InputError
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.models import extractor_folder
from voxgender.lab.data import Labelled, load_labelled
from voxgender.lab.manifest import Clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clip]:
    """One synthetic voice in several degradations, by what each is for."""
    folder = tmp_path_factory.mktemp("clips")
    soundfile.write(folder / "voice.wav", voices.speak(3.0, 120.0, 1.0, seed=1), voices.SAMPLE_RATE_HZ)
    (folder / "stored.vp").write_bytes(encode_voiceprint(Voiceprint("ge2e-2", 3.0, np.ones(286, np.float32))))
    clean = Clip(folder / "voice.wav", "train", "made", "ann", is_male=True, is_child=False)
    return {
        "clean": clean,
        "telephone": replace(clean, degradation="gsm"),
        "noise": replace(clean, degradation="white:5", seed=1),
        "same noise": replace(clean, degradation="white:5", seed=1),
        "other noise": replace(clean, degradation="white:5", seed=2),
        "cut": replace(clean, degradation="white:5", seed=1, max_speech_s=0.5),
        "babble": replace(clean, degradation="babble:20"),
        "silenced": replace(clean, degradation="level:-60+mulaw"),
        "stored": replace(clean, path=folder / "stored.vp", degradation="gsm"),
    }


@pytest.fixture(scope="module")
def data(clips: dict[str, Clip]) -> Labelled:
    return load_labelled(
        list(clips.values()), extractor_folder("ge2e-2"), lambda: None, jobs=1, voices=[clips["clean"].path]
    )


def vector(data: Labelled, clip: Clip) -> np.ndarray:
    return data.voiceprints.vectors[next(row for row, other in enumerate(data.clips) if other is clip)]


def test_a_degraded_recording_has_another_vector_than_the_clean_one(data: Labelled, clips: dict[str, Clip]) -> None:
    clean = vector(data, clips["clean"])
    for name in ("telephone", "noise", "babble"):
        assert not np.array_equal(vector(data, clips[name]), clean)


def test_the_seed_alone_decides_what_the_noise_is(data: Labelled, clips: dict[str, Clip]) -> None:
    assert np.array_equal(vector(data, clips["noise"]), vector(data, clips["same noise"]))
    assert not np.array_equal(vector(data, clips["noise"]), vector(data, clips["other noise"]))


def test_a_degraded_recording_is_cut_to_as_much_speech_as_was_asked(data: Labelled, clips: dict[str, Clip]) -> None:
    speech_s = {id(clip): float(value) for clip, value in zip(data.clips, data.voiceprints.speech_s, strict=True)}
    assert speech_s[id(clips["cut"])] == 0.5
    assert speech_s[id(clips["noise"])] > 1.5


def test_speech_that_a_degradation_leaves_no_trace_of_is_no_speech(data: Labelled, clips: dict[str, Clip]) -> None:
    assert data.no_speech == [clips["silenced"]]


def test_a_voiceprint_file_with_a_degradation_is_unreadable_and_told_the_remedy(
    data: Labelled, clips: dict[str, Clip]
) -> None:
    assert data.unreadable == [(clips["stored"], "a voiceprint cannot be degraded; name its recording instead")]


def test_babble_without_voices_is_told_of_each_clip_and_as_the_reason_where_no_clip_is_left(
    clips: dict[str, Clip],
) -> None:
    with pytest.raises(InputError, match=r"none of the 1 clips could be used; .*: babble needs recordings"):
        load_labelled([clips["babble"]], extractor_folder("ge2e-2"), lambda: None, jobs=1)


def test_a_degradation_that_is_not_understood_ends_it_before_any_clip_is_read(clips: dict[str, Clip]) -> None:
    read: list[None] = []
    wrong = [clips["clean"], replace(clips["clean"], degradation="gsm:13")]
    with pytest.raises(InputError, match="gsm takes no amount"):
        load_labelled(wrong, extractor_folder("ge2e-2"), lambda: read.append(None), jobs=1)
    assert read == []

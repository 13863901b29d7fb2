"""The shipped model on human speech that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import voxgender
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import encode_voiceprint
from voxgender.files.extraction import Extractor
from voxgender.files.heads import load_scorer
from voxgender.files.models import find_model
from voxgender.files.recording import extract_voiceprint
from voxgender.lab.data import Labelled, load_labelled
from voxgender.lab.manifest import read_manifest
from voxgender.lab.metrics import figures


@pytest.fixture(scope="module")
def sample(speech_dir: Path) -> Labelled:
    """A sixth of the adult dev clips, every corpus among them."""
    clips = read_manifest(speech_dir, "dev", "adults")[::6]
    return load_labelled(clips, find_model("ge2e-2") / "extractor", lambda: None)


def test_most_voices_are_told_right(sample: Labelled) -> None:
    llr = load_scorer("ge2e-2").score(sample.voiceprints).llr.astype(np.float64)
    told = figures(llr, sample.is_male, sample.speakers)
    assert told.accuracy >= 0.93
    assert told.cllr is not None
    assert told.cllr < 0.3


def test_speech_is_found_in_every_clip_and_most_of_what_a_clip_holds(sample: Labelled) -> None:
    assert sample.no_speech == []
    assert sample.unreadable == []
    assert np.median(sample.voiceprints.speech_s) > 2


def test_storing_vectors_as_int8_hardly_moves_an_llr(sample: Labelled) -> None:
    scorer = load_scorer("ge2e-2")
    extractor = Extractor(find_model("ge2e-2") / "extractor")
    exact = [extract_voiceprint(clip.path, extractor, layout="float32") for clip in sample.clips[:20]]
    llr = score_bytes(scorer, [encode_voiceprint(voiceprint, "float32") for voiceprint in exact]).llr
    rounded = score_bytes(scorer, [encode_voiceprint(voiceprint, "int8") for voiceprint in exact]).llr
    assert 0 < np.abs(llr - rounded).max() < 0.2


def test_three_lines_of_python_tell_a_man_s_and_a_woman_s_voice(speech_dir: Path) -> None:
    results = voxgender.identify(
        [speech_dir / "dev" / "librispeech-1455-1.opus", speech_dir / "dev" / "librispeech-1553-1.opus"]
    )
    assert [result.gender for result in results] == ["male", "female"]

"""What is told of a recording's channels, and what of a recording may be asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.base64 import decode_base64
from voxgender.core.calibration import Calibration
from voxgender.core.channels import ChannelResults, ChannelVoiceprints
from voxgender.core.decision import Decision
from voxgender.core.errors import InputError, VoiceprintListError
from voxgender.core.head import Head
from voxgender.core.media import ALL, MediaOptions
from voxgender.core.result import Results
from voxgender.core.scorer import CalibratedHead, Scorer
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

DECISION = Decision(0.3, 0.7)
VECTOR = np.array([0.5, -0.5, 0.25, 1.0], np.float32)


def voiceprints(*speech_s: float) -> ChannelVoiceprints:
    prints = tuple(encode_voiceprint(Voiceprint("m", length_s, VECTOR)) for length_s in speech_s)
    return ChannelVoiceprints(tuple(range(3, 3 + len(prints))), prints, 8.5)


@given(
    st.lists(st.tuples(st.integers(0, 63), st.floats(0, 100, width=32), st.floats(-9, 9, width=32)), max_size=64),
    st.floats(0, 1e6),
)
def test_the_results_of_channels_are_read_back_bit_by_bit(rows: list[tuple[int, float, float]], audio_s: float) -> None:
    columns = np.array([row[1:] for row in rows], np.float32).reshape(-1, 2)
    told = ChannelResults(tuple(row[0] for row in rows), Results(columns[:, 0], columns[:, 1], DECISION), audio_s)
    found = ChannelResults.from_bytes(told.to_bytes(), DECISION)
    assert (found.numbers, found.audio_s) == (told.numbers, audio_s)
    assert (found.results.to_bytes(), found.results.decision) == (told.results.to_bytes(), DECISION)


def test_results_that_were_stored_without_a_length_are_still_read() -> None:
    results = Results(np.array([2.5, 4], np.float32), np.array([1, -1], np.float32))
    found = ChannelResults.from_bytes(ChannelResults((0, 7), results, 9.0).to_bytes()[:-8], results.decision)
    assert (found.numbers, found.audio_s, found.results.to_bytes()) == ((0, 7), 0.0, results.to_bytes())


def test_a_channel_is_told_as_the_wire_contract_has_it() -> None:
    results = Results(np.array([2.5, 0], np.float32), np.array([1, np.nan], np.float32))
    first, second = ChannelResults((0, 7), results).as_dicts()
    assert list(first) == ["channel_number", "speech_length", "scores", "gender"]
    assert (first["channel_number"], first["gender"], len(first["scores"])) == (0, "male", 2)
    assert second == {"channel_number": 7, "speech_length": 0.0, "scores": [], "gender": "unknown"}


def test_a_channels_voiceprint_is_told_in_base64_with_its_model_and_speech() -> None:
    (told,) = voiceprints(2.504).as_dicts()
    assert decode_base64(told["voiceprint"]) == voiceprints(2.504).voiceprints[0]
    assert (told["channel_number"], told["speech_length"], told["model"]) == (3, 2.5, "m")


def test_channels_are_scored_as_their_voiceprints_are() -> None:
    head = Head("m", np.array([1, 2, 3, 4], np.float32), 0.5)
    scorer = Scorer({"m": CalibratedHead(head, Calibration(1.0, 0.0, 0.0, 6.0, 0.1, 100.0))})
    told = voiceprints(2, 0).score(scorer, DECISION)
    assert (told.numbers, told.audio_s) == ((3, 4), 8.5)
    assert told.results.decision == DECISION
    assert told.results.speech_s.tolist() == [2, 0]
    assert np.isnan(told.results.llr).tolist() == [False, True]
    with pytest.raises(VoiceprintListError):
        voiceprints(2).score(Scorer({}), DECISION)


def test_a_range_must_not_end_before_it_begins() -> None:
    assert MediaOptions("split", (), 0.0, None, None) == ALL
    assert MediaOptions(range_from_s=1, range_to_s=1.5).range_to_s == 1.5
    for end_s in (0, 1):
        with pytest.raises(InputError, match=f"the range ends at {end_s} s, which is not after its start at 1 s"):
            MediaOptions(range_from_s=1, range_to_s=end_s)

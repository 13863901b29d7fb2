"""Promises of the speech detector."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import voices
from voxgender.files import vad
from voxgender.files.models import SHIPPED

REFERENCE = Path(__file__).resolve().parents[2] / "tools" / "reference" / "silero.npz"
Stretches = list[tuple[int, int]]


@pytest.fixture(scope="module")
def session() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(SHIPPED / "ge2e-2" / "extractor" / "vad.onnx"), options)


@pytest.fixture(scope="module")
def reference() -> dict[str, NDArray[Any]]:
    with np.load(REFERENCE) as values:
        return dict(values)


def joined(stretches: Stretches) -> Stretches:
    """Stretches that touch, made one."""
    result: Stretches = []
    for first, stop in stretches:
        if result and result[-1][1] == first:
            result[-1] = (result[-1][0], stop)
        else:
            result.append((first, stop))
    return result


def speech_of(session: Any, samples: NDArray[np.float32], piece: int) -> NDArray[np.float32]:
    finder = vad.SpeechFinder(session)
    found = [np.empty(0, np.float32)]
    for at in range(0, len(samples), piece):
        found += finder.feed(samples[at : at + piece])
    return np.concatenate(found + finder.finish())


def test_probabilities_are_those_of_the_original(session: Any, reference: dict[str, NDArray[Any]]) -> None:
    """The network over the sequence says what Silero's own network says step by step."""
    samples = reference["samples"].astype(np.float32) / 32768
    finder = vad.SpeechFinder(session)
    cut = 60 * vad.FRAME_SAMPLES  # the network's state and context go on from one call to the next
    found = np.concatenate((finder.probabilities(samples[:cut]), finder.probabilities(samples[cut:])))
    np.testing.assert_allclose(found, reference["probabilities"], atol=2e-4)


def test_the_speech_is_what_the_original_cuts(session: Any, reference: dict[str, NDArray[Any]]) -> None:
    """Of a recording with a tone, two voices and a pause, exactly the samples are kept that silero-vad keeps."""
    samples = reference["samples"].astype(np.float32) / 32768
    assert len(reference["stretches"]) >= 2
    expected = np.concatenate([samples[first:stop] for first, stop in reference["stretches"]])
    assert np.array_equal(speech_of(session, samples, 16_000), expected)


def test_hysteresis_is_that_of_the_original(reference: dict[str, NDArray[Any]]) -> None:
    """For made-up probabilities of all kinds, the stretches are those that silero-vad cuts."""
    assert len(reference["walk_stretches"]) > 100
    for row, probabilities in enumerate(reference["walk_probabilities"]):
        rule = vad.Hysteresis()
        found = joined(rule.feed(probabilities) + rule.finish(int(reference["walk_samples"][row])))
        expected = reference["walk_stretches"][reference["walk_of_stretch"] == row]
        assert found == [tuple(stretch) for stretch in expected.tolist()]


def test_the_cut_into_pieces_changes_no_bit(session: Any) -> None:
    """However a recording is cut, single samples included, the same samples are speech."""
    samples = voices.speak(10.0, **voices.MALE, seed=3)[:150_001]
    whole = speech_of(session, samples, len(samples))
    assert len(whole) > 100_000
    for piece in (1, 511, 512, 513, 65_536, 65_537, 100_000):
        assert np.array_equal(speech_of(session, samples, piece), whole)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.05, 0.34, 0.4, 0.6, 0.95]), max_size=120), st.lists(st.integers(0, 120), max_size=8))
def test_what_is_told_is_certain_and_still_there(levels: list[float], cuts: list[int]) -> None:
    """Told piece by piece, the stretches are those of the whole, in order and apart, of samples that are still held."""
    probabilities = np.array(levels)
    samples = max(0, len(levels) * vad.FRAME_SAMPLES - 500)
    whole = vad.Hysteresis()
    expected = joined(whole.feed(probabilities) + whole.finish(samples))
    rule = vad.Hysteresis()
    told: Stretches = []
    for piece in np.split(probabilities, sorted(cuts)):
        held_from = rule.needed_from
        new = rule.feed(piece)
        assert all(held_from <= first < stop for first, stop in new)
        told += new
    held_from = rule.needed_from
    new = rule.finish(samples)
    assert all(held_from <= first < stop for first, stop in new)
    told = joined(told + new)
    assert told == expected
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(told))
    assert all(stop - first > vad.MIN_SPEECH_SAMPLES and stop <= samples for first, stop in told)


def test_doubt_does_not_fill_the_memory() -> None:
    """An hour of probabilities between the thresholds after a dip holds at most some ten seconds of samples."""
    rule = vad.Hysteresis()
    seen = 0
    for _ in range(900):
        seen += 125 * vad.FRAME_SAMPLES
        rule.feed(np.array([0.9] * 10 + [0.3] + [0.4] * 114) if seen == 64_000 else np.full(125, 0.4))
        assert seen - rule.needed_from <= vad.MAX_DOUBT_SAMPLES + 64_000


def test_speech_goes_on_being_told_while_it_lasts() -> None:
    """Speech without a pause is told as it comes, so that it need not be held."""
    rule = vad.Hysteresis()
    assert rule.feed(np.full(100, 0.9)) == [(0, 99 * 512)]
    assert rule.feed(np.full(100, 0.9)) == [(99 * 512, 199 * 512)]
    assert rule.needed_from == 199 * 512


def test_nothing_fed_is_no_speech(session: Any) -> None:
    """A stream without a sample has no speech, and raises nothing."""
    finder = vad.SpeechFinder(session)
    assert finder.feed(np.empty(0, np.float32)) == []
    assert finder.finish() == []

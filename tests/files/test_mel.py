"""Promises of the mel features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgender.files import gender_encoder, mel
from voxgender.files.filter_bank import filter_bank, mel_of_hz

REFERENCE = Path(__file__).resolve().parents[2] / "tools" / "reference" / "ge2e.npz"


def frames_of(samples: NDArray[np.float32], cuts: list[int] | None = None) -> NDArray[np.float32]:
    stream = mel.MelFrames()
    pieces = np.split(samples, sorted(cuts or []))
    return np.concatenate([stream.feed(piece) for piece in pieces] + [stream.finish()])


def test_frames_are_those_of_the_original() -> None:
    """Frames equal those that librosa computes with the encoder's own settings, up to rounding."""
    with np.load(REFERENCE) as values:
        samples = values["samples"].astype(np.float32) / 32768
        expected = values["mel"]
    found = frames_of(samples)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5 * float(expected.max(axis=1).mean()))


@settings(deadline=None)
@given(st.integers(0, 30_000), st.lists(st.integers(0, 30_000), max_size=6))
def test_the_cut_into_pieces_changes_no_bit(count: int, cuts: list[int]) -> None:
    """However a stream is cut, empty pieces included, its frames are the same to the bit."""
    samples = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    whole = frames_of(samples)
    assert np.array_equal(frames_of(samples, cuts), whole)


@pytest.mark.parametrize("count", [0, 1, 159, 160, 399, 400, 10_480, 10_640, 16_000])
def test_there_is_a_frame_every_ten_milliseconds(count: int) -> None:
    """A stream of n samples has n // 160 + 1 frames of 40 bands, none for nothing but the one at its start."""
    assert frames_of(np.ones(count, np.float32)).shape == (count // 160 + 1, 40)


def test_features_are_powers_without_a_logarithm() -> None:
    """Twice the amplitude is four times the feature, and silence is zero, so that a gain can be applied afterwards."""
    samples = np.random.default_rng(1).standard_normal(8_000).astype(np.float32)
    assert np.array_equal(frames_of(2 * samples), 4 * frames_of(samples))
    assert not frames_of(np.zeros(8_000, np.float32)).any()


@pytest.mark.parametrize("hz", [200.0, 1_000.0, 2_500.0, 6_000.0])
def test_a_tone_lies_in_the_band_of_its_frequency(hz: float) -> None:
    """The loudest band of a tone is the one whose centre on the mel scale is nearest to it."""
    tone = np.sin(2 * np.pi * hz * np.arange(8_000) / 16_000).astype(np.float32)
    step = mel_of_hz(8_000.0) / 41
    expected = round(mel_of_hz(hz) / step) - 1
    loudest = frames_of(tone)[5:-5].argmax(axis=1)
    assert set(loudest.tolist()) <= {expected - 1, expected, expected + 1}
    assert abs(float(np.median(loudest)) - expected) <= 1


def test_every_band_weighs_alike() -> None:
    """Each filter has area 1 (in bands times Hz), so that white noise gives level features."""
    area = filter_bank(
        bands=mel.BANDS, fft_samples=mel.FFT_SAMPLES, sample_rate_hz=mel.SAMPLE_RATE_HZ, low_hz=0, high_hz=mel.TOP_HZ
    ).sum(axis=0) * (16_000 / 400)
    assert area == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("features", [mel.MelFeatures(), gender_encoder.FEATURES], ids=["speaker", "gender"])
@pytest.mark.parametrize("count", [1, 10_279, 10_280, 20_479, 20_480, 43_211])
def test_each_frame_is_the_transform_of_its_own_samples(features: mel.MelFeatures, count: int) -> None:
    """A frame holds the samples around its place and nothing of the frames that were computed before it."""
    samples = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    stream = mel.MelFrames(features)
    found = np.concatenate((stream.feed(samples), stream.finish()))
    length, half = features.frame_samples, features.frame_samples // 2
    padded = np.pad(samples.astype(np.float64), half)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    turns = np.outer(np.arange(length), np.arange(features.fft_samples // 2 + 1)) / features.fft_samples
    bank = filter_bank(
        bands=features.bands,
        fft_samples=features.fft_samples,
        sample_rate_hz=mel.SAMPLE_RATE_HZ,
        low_hz=features.low_hz,
        high_hz=features.top_hz,
    )
    places = range(0, count + 1, features.hop_samples)
    frames = np.stack([padded[at : at + length] for at in places]) * hann
    expected = np.square(np.abs(frames @ np.exp(-2j * np.pi * turns))) @ bank
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * float(expected.max()))

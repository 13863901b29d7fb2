"""Promises of the mel features of imported encoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.errors import ModelError
from voxgender.files.fbank import Fbank
from voxgender.files.filter_bank import filter_bank
from voxgender.files.onnx_encoder import read_settings
from voxgender.files.presets import PRESETS

REFERENCE = Path(__file__).resolve().parents[2] / "tools" / "reference" / "fbank.npz"


@pytest.mark.parametrize("family", ["wespeaker", "campplus", "ecapa", "titanet"])
def test_a_familys_features_are_those_of_its_own_package(family: str) -> None:
    """Each preset's features equal what the family's package computes, up to the rounding of the reference."""
    described = PRESETS[family].input
    assert described.features is not None
    with np.load(REFERENCE) as values:
        samples = values["samples"].astype(np.float32) / 32_768
        expected = values[family].astype(np.float32)
    found = described.features.features(samples * np.float32(described.scale), described.sample_rate_hz)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3 * float(np.abs(expected).max()))


@given(
    st.sampled_from(["inside", "centred"]),
    st.integers(2, 600),
    st.integers(1, 300),
    st.integers(0, 5_000),
    st.integers(1, 50),
)
def test_the_count_of_frames_is_known_beforehand(
    frames: str, frame_samples: int, hop_samples: int, samples: int, count: int
) -> None:
    """So many frames come as were foretold, and the least samples for a count of frames are the least."""
    features = Fbank(
        frames=frames,  # type: ignore[arg-type]
        frame_samples=frame_samples,
        hop_samples=hop_samples,
        fft_samples=1_024,
        bands=2,
        normalise="none",
    )
    foretold = features.frame_count(samples)
    if foretold and samples:
        assert features.features(np.zeros(samples, np.float32), 16_000).shape == (foretold, 2)
    least = features.samples_of(count)
    assert features.frame_count(least) == count
    assert features.frame_count(least - 1) < count


def test_magnitudes_and_bare_bands_can_be_asked_for() -> None:
    """A power of one gives the filters' sums of magnitudes, and no logarithm leaves them as they are."""
    samples = np.random.default_rng(3).normal(size=400).astype(np.float32)
    features = Fbank(
        fft_samples=400,
        power=1,
        log="none",
        normalise="none",
        window="rectangular",
        preemphasis=0,
        remove_dc=False,
        bands=20,
    )
    bank = filter_bank(
        bands=20,
        fft_samples=400,
        sample_rate_hz=16_000,
        low_hz=20,
        high_hz=8_000,
        scale="htk",
        triangles="mel",
        equal_area=False,
    )
    expected = np.abs(np.fft.rfft(samples)) @ bank
    np.testing.assert_allclose(features.features(samples, 16_000)[0], expected, rtol=1e-4)


def test_normalised_bands_have_mean_zero_and_deviation_one() -> None:
    """Normalisation does what it says, for each band."""
    samples = np.random.default_rng(3).normal(size=16_000).astype(np.float32)
    centred = Fbank(normalise="mean").features(samples, 16_000)
    np.testing.assert_allclose(centred.mean(axis=0), 0, atol=1e-4)
    scaled = Fbank(normalise="mean-deviation").features(samples, 16_000)
    np.testing.assert_allclose(scaled.std(axis=0, ddof=1), 1, atol=1e-3)


def test_one_frame_and_silence_give_numbers() -> None:
    """A single frame, and digital silence, have finite features in every family."""
    for settings in PRESETS.values():
        if settings.input.features is not None:
            for samples in (np.ones(400, np.float32), np.zeros(4_000, np.float32)):
                assert np.isfinite(settings.input.features.features(samples, 16_000)).all()


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"fft_samples": 256}, "fft_samples is 256"),
        ({"low_hz": 4_000, "high_hz": 4_000}, "low_hz is 4000"),
        ({"range_db": 80}, "range_db"),
        ({"high_hz": 9_000}, "half the sample rate"),
        ({"bands": 0}, "bands"),
        ({"window": "kaiser"}, "kaiser"),
        ({"dither": 1.0}, "dither"),
        ({"preemphasis": "much"}, "preemphasis"),
    ],
)
def test_features_that_cannot_be_are_refused(features: dict[str, object], reason: str) -> None:
    """Contradictions, unknown fields, and values out of bounds are errors that name the field or the value."""
    with pytest.raises(ModelError, match=reason):
        read_settings({"input": {"features": features}}, "a card")

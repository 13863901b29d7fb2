"""Promises of the network that hears gender, and of vectors that are joined from two encoders."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import voices
from voxgender.core.errors import ModelError
from voxgender.files.gender_encoder import (
    FEATURES,
    GENDER_DIMENSIONS,
    MIN_FRAMES,
    SETTINGS,
    STEP_FRAMES,
    WINDOW_FRAMES,
    GenderEncoder,
    GenderFrames,
)
from voxgender.files.joined_encoder import JoinedEncoder
from voxgender.files.models import extractor_folder, load_card
from voxgender.files.network import load_network

SECOND = 16_000
FOLDER = extractor_folder("ge2e-2")


@pytest.fixture(scope="module")
def encoder() -> GenderEncoder:
    return GenderEncoder(load_card(FOLDER, "extractor"), SETTINGS, threads=1)


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    return voices.speak(6.0, **voices.FEMALE, seed=31)


def vector(encoder: GenderEncoder | JoinedEncoder, speech: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    channel = encoder.start()
    for at in range(0, len(speech), size):
        channel.feed(speech[at : at + size])
    return channel.finish()


def test_the_vector_is_the_mean_over_windows_of_what_the_network_says(
    encoder: GenderEncoder, speech: NDArray[np.float32]
) -> None:
    frames = GenderFrames()
    frames.feed(speech)
    windows = frames.finish()
    assert windows.shape[0] == (len(speech) // FEATURES.hop_samples + 1 - WINDOW_FRAMES) // STEP_FRAMES + 1
    session = onnxruntime.InferenceSession(str(FOLDER / "gender.onnx"))
    each = [session.run(None, {"mel": window[np.newaxis]})[0][0] for window in windows]
    found = vector(encoder, speech, len(speech))
    assert found.shape == (GENDER_DIMENSIONS,)
    assert np.abs(found).max() <= 0.125
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)


@pytest.mark.parametrize("size", [1_000, 4_097, 30_000])
def test_how_speech_is_cut_changes_no_bit(encoder: GenderEncoder, speech: NDArray[np.float32], size: int) -> None:
    assert np.array_equal(vector(encoder, speech, size), vector(encoder, speech, len(speech)))


@pytest.mark.parametrize("gain", [0.01, 0.3, 3.0])
def test_the_level_does_not_matter(encoder: GenderEncoder, speech: NDArray[np.float32], gain: float) -> None:
    louder = (speech * gain).astype(np.float32)
    np.testing.assert_allclose(vector(encoder, louder, SECOND), vector(encoder, speech, SECOND), atol=2e-3)


@pytest.mark.parametrize("samples", [1, 400, 4_000, 12_000])
def test_short_speech_is_one_window_forth_and_back(
    encoder: GenderEncoder, speech: NDArray[np.float32], samples: int
) -> None:
    frames = GenderFrames()
    frames.feed(speech[:samples])
    windows = frames.finish()
    assert windows.shape == (1, max(MIN_FRAMES, samples // FEATURES.hop_samples + 1), FEATURES.bands)
    assert np.isfinite(vector(encoder, speech[:samples], SECOND)).all()


def test_digital_silence_is_no_nan(encoder: GenderEncoder) -> None:
    assert np.isfinite(vector(encoder, np.zeros(SECOND, np.float32), SECOND)).all()


def test_settings_of_another_version_are_refused() -> None:
    with pytest.raises(ModelError, match="other settings"):
        GenderEncoder(load_card(FOLDER, "extractor"), SETTINGS | {"windows": {}}, threads=1)


def test_the_card_tells_the_parts_of_a_vector() -> None:
    assert load_card(FOLDER, "extractor").vector_parts == (256, GENDER_DIMENSIONS)


def test_joined_vectors_hold_each_part_s_vector_in_order(encoder: GenderEncoder, speech: NDArray[np.float32]) -> None:
    joined = JoinedEncoder([encoder, encoder])
    assert joined.dimensions == 2 * GENDER_DIMENSIONS
    alone = vector(encoder, speech, SECOND)
    assert np.array_equal(vector(joined, speech, SECOND), np.concatenate((alone, alone)))


def test_windows_of_any_number_of_frames_fit_the_graph() -> None:
    network = load_network(FOLDER / "gender.onnx", 1)
    for frames in (1, 2, 37, 200):
        powers = np.random.default_rng(frames).lognormal(-8, 2, (3, frames, FEATURES.bands)).astype(np.float32)
        (found,) = network.run(["embedding"], {"mel": powers})
        assert found.shape == (3, GENDER_DIMENSIONS)
        assert np.isfinite(found).all()

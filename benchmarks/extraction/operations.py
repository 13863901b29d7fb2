"""The floating-point operations that a second of a recording needs."""

from __future__ import annotations

from typing import Final

import numpy as np

from voxgender.files import gender_encoder, mel, vad, windows
from voxgender.files.extraction import SAMPLE_RATE_HZ

# Floating-point operations, two for a multiplication with its addition, from the shapes of the networks' weights.
DETECTOR_MFLOP_A_FRAME: Final = 2e-6 * (
    4 * 256 * 258 + 10 * 129 * 128 + 5 * 128 * 64 + 2 * 64 * 64 + 64 * 128 + 512 * (128 + 128)
)
SPEAKER_MFLOP_A_WINDOW: Final = 2e-6 * windows.WINDOW_FRAMES * 4 * 256 * (40 + 5 * 256)
GENDER_MFLOP_A_WINDOW: Final = 2e-6 * 40 * (5 * 64 * 96 + 3 * 3 * 96 * 96 + 2 * 24 * 96)


def mflop_a_second(seconds: float, speech_share: float) -> list[float]:
    """Return what detection, features and networks have to compute for a second of a recording."""
    speech_s = seconds * speech_share
    frames = round(speech_s * SAMPLE_RATE_HZ) // mel.HOP_SAMPLES
    speaker, gender = windows.Windows(), windows.Windows(80, 38, gender_encoder.MAX_WINDOWS, 40)
    speaker.feed(np.zeros((frames, 1), np.float32))
    gender.feed(np.zeros((frames // 2, 1), np.float32))
    features = 0.0
    for one in (mel.MelFeatures(), gender_encoder.FEATURES):
        # A transform of n real values takes 2.5 n log2(n) operations.
        bins = one.fft_samples // 2 + 1
        transform = 2.5 * one.fft_samples * np.log2(one.fft_samples) + 2 * bins * one.bands
        features += 1e-6 * transform * SAMPLE_RATE_HZ / one.hop_samples
    networks = SPEAKER_MFLOP_A_WINDOW * len(speaker.kept()) + GENDER_MFLOP_A_WINDOW * len(gender.kept())
    detection = DETECTOR_MFLOP_A_FRAME * SAMPLE_RATE_HZ / vad.FRAME_SAMPLES
    return [detection, features * speech_share, networks / seconds]

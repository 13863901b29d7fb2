"""Recordings of nobody, for tests that send media: a made man and a made woman, in files."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import soundfile
from numpy.typing import NDArray

import voices

RATE_HZ = voices.SAMPLE_RATE_HZ


@cache
def voice(gender: str, seconds: float = 4.0, seed: int = 1) -> NDArray[np.float32]:
    """Samples of a made voice, ``male`` or ``female``."""
    return voices.speak(seconds, seed=seed, **(voices.MALE if gender == "male" else voices.FEMALE))


def recording(*channels: NDArray[np.float32], form: str = "WAV") -> bytes:
    """A file with these channels."""
    file = io.BytesIO()
    soundfile.write(file, np.stack(channels, axis=1), RATE_HZ, format=form)
    return file.getvalue()


@cache
def call() -> bytes:
    """A call: a man on channel 0, a woman on channel 1."""
    return recording(voice("male"), voice("female"), form="FLAC")

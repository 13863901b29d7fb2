"""A small voice synthesiser, for tests that need speech but no human's recording.

It adds up the harmonics of a gliding pitch, each as strong as the glottis and the resonances of a mouth that moves from
vowel to vowel make it, with a hiss before some syllables and pauses between phrases. A larger ``formant_scale`` is a
shorter vocal tract.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
MALE = {"f0_hz": 115.0, "formant_scale": 1.0}
FEMALE = {"f0_hz": 210.0, "formant_scale": 1.17}

_CONTROL_HZ = 200
# Three formants of i, e, a, o, u, schwa in Hz, rounded from textbook averages of men; a fourth stays where it is.
_VOWELS_HZ = np.array(
    [[290, 2250, 3000], [450, 1950, 2600], [730, 1150, 2450], [520, 900, 2450], [330, 870, 2300], [500, 1500, 2500]]
)
_FOURTH_HZ = 3500.0
_BANDWIDTH_HZ = np.array([70.0, 100.0, 150.0, 250.0])


def speak(seconds: float, f0_hz: float, formant_scale: float, seed: int) -> NDArray[np.float32]:
    """Synthesise something like speech.

    Args:
        seconds: Length, pauses included.
        f0_hz: Mean pitch.
        formant_scale: Factor on all resonances; 1.0 is a man's vocal tract.
        seed: The same seed says the same.

    Returns:
        Mono float32 samples at SAMPLE_RATE_HZ, with peaks at 0.3.
    """
    random = np.random.default_rng(seed)
    level, hiss, formants_hz, pitch_hz = _score(seconds, f0_hz, formant_scale, random)
    control_s = np.arange(len(level)) / _CONTROL_HZ
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(np.interp(time_s, control_s, pitch_hz)) / SAMPLE_RATE_HZ
    voice = np.zeros(len(time_s))
    for harmonic in range(1, int(7_000 / f0_hz) + 1):
        frequency_hz = harmonic * pitch_hz
        strength = level * _mouth(frequency_hz, formants_hz) / harmonic  # glottis -12, lips +6 dB an octave
        voice += np.interp(time_s, control_s, strength) * np.sin(harmonic * phase)
    noise = np.diff(random.standard_normal(len(time_s) + 1))  # more of the highs, as in an s
    voice = voice / np.abs(voice).max() + 0.04 * noise * np.interp(time_s, control_s, hiss)
    return (0.3 * voice / np.abs(voice).max()).astype(np.float32)


def _mouth(frequency_hz: NDArray[np.float64], formants_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of the resonances in a row, at one frequency for each control point."""
    squared = np.square(frequency_hz)[:, np.newaxis]
    centre = np.square(formants_hz)
    return np.prod(centre / np.sqrt(np.square(centre - squared) + squared * np.square(_BANDWIDTH_HZ)), axis=1)


def _score(
    seconds: float, f0_hz: float, formant_scale: float, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What the voice is to do at each control point: loudness, hiss, formants in Hz and pitch in Hz."""
    count = int(seconds * _CONTROL_HZ) + 2
    level = np.zeros(count)
    hiss = np.zeros(count)
    vowel = np.zeros((count, 3))
    pitch = np.zeros(count)
    at = 0
    while at < count:
        syllables = int(random.integers(4, 9))
        for place in range(syllables):
            length = int(random.integers(26, 46))  # 130 to 230 ms
            stop = min(at + length, count)
            shape = np.sin(np.pi * np.arange(length) / length) ** 0.5
            level[at:stop] = (random.uniform(0.6, 1.0) * shape + 0.02)[: stop - at]
            vowel[at:stop] = _VOWELS_HZ[random.integers(len(_VOWELS_HZ))]
            accent = random.uniform(-0.08, 0.12)
            pitch[at:stop] = (1.1 - 0.2 * place / syllables + accent * shape)[: stop - at]
            if random.random() < 0.4:
                hiss[max(0, at - 6) : min(at + 8, count)] = random.uniform(0.3, 1.0)
            at = stop
        pause = int(random.integers(40, 80))  # 200 to 400 ms
        vowel[at : at + pause] = _VOWELS_HZ[-1]
        pitch[at : at + pause] = 0.9
        at += pause
    smooth = np.hanning(13)  # the mouth takes some 30 ms from one vowel to the next
    smooth /= smooth.sum()
    vowel = np.stack([np.convolve(np.pad(track, 6, "edge"), smooth, "valid") for track in vowel.T], axis=1)
    formants_hz = formant_scale * np.column_stack((vowel, np.full(count, _FOURTH_HZ)))
    jitter = 1 + 0.01 * random.standard_normal(count)
    pitch_hz = f0_hz * np.convolve(np.pad(pitch, 6, "edge"), smooth, "valid") * jitter
    return level, hiss, formants_hz, pitch_hz

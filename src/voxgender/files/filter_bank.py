"""Banks of triangular filters on a mel scale, in the variants that speaker encoders were trained with."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

MelScale: TypeAlias = Literal["slaney", "htk"]
"""``slaney``: linear up to 1 kHz at 3 mel per 200 Hz, above it logarithmic with 27 mel for each factor of 6.4 (M.
Slaney, Auditory Toolbox, Interval Research 1998-010). ``htk``: 1127 ln(1 + f / 700), as in HTK and Kaldi."""

Triangles: TypeAlias = Literal["hz", "mel", "symmetric"]
"""``hz``: straight sides on the axis in Hz, as in librosa; ``mel``: straight sides on the mel axis, as in Kaldi;
``symmetric``: straight in Hz, both sides as wide as the lower one, as in SpeechBrain."""

_LINEAR_MEL_PER_HZ: Final = 3 / 200
_KNEE_HZ: Final = 1_000.0
_LOG_MEL: Final = 27 / np.log(6.4)
_HTK_MEL: Final = 1127.0
_HTK_HZ: Final = 700.0


def mel_of_hz(hz: float, scale: MelScale = "slaney") -> float:
    """Position of a frequency on a mel scale.

    >>> mel_of_hz(1000.0), round(mel_of_hz(6400.0), 9)
    (15.0, 42.0)
    >>> round(mel_of_hz(1000.0, "htk"), 2)
    999.99
    """
    if scale == "htk":
        return float(_HTK_MEL * np.log1p(hz / _HTK_HZ))
    if hz < _KNEE_HZ:
        return hz * _LINEAR_MEL_PER_HZ
    return float(_KNEE_HZ * _LINEAR_MEL_PER_HZ + _LOG_MEL * np.log(hz / _KNEE_HZ))


def filter_bank(
    *,
    bands: int,
    fft_samples: int,
    sample_rate_hz: int,
    low_hz: float,
    high_hz: float,
    scale: MelScale = "slaney",
    triangles: Triangles = "hz",
    equal_area: bool = True,
) -> NDArray[np.float32]:
    """The triangular filters, as the matrix that takes a spectrum to its bands.

    The corners lie evenly on the mel scale.

    Args:
        bands: Number of filters.
        fft_samples: Length of the Fourier transform.
        sample_rate_hz: Rate of the samples.
        low_hz: Where the lowest filter begins.
        high_hz: Where the highest filter ends.
        scale: The mel scale.
        triangles: Shape of the filters.
        equal_area: Each triangle has the area one (its height is 2 over its width in Hz), which is what Slaney's norm
            means, instead of the height one.

    Returns:
        Shape (fft_samples // 2 + 1, bands): one column a band.
    """
    corner_mel = np.linspace(mel_of_hz(low_hz, scale), mel_of_hz(high_hz, scale), bands + 2)
    corner_hz = _hz_of_mel(corner_mel, scale)
    bin_hz = np.arange(fft_samples // 2 + 1)[:, np.newaxis] * (sample_rate_hz / fft_samples)
    at, corner = bin_hz, corner_hz
    if triangles == "mel":
        at = np.vectorize(lambda hz: mel_of_hz(hz, scale))(bin_hz)
        corner = corner_mel
    low, peak, high = corner[:-2], corner[1:-1], corner[2:]
    rising = (at - low) / (peak - low)
    falling = (high - at) / (high - peak)
    if triangles == "symmetric":
        falling = 2.0 - rising
    bank: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    if equal_area:
        bank = bank * (2.0 / (corner_hz[2:] - corner_hz[:-2]))
    return bank.astype(np.float32)


def _hz_of_mel(mel: NDArray[np.float64], scale: MelScale) -> NDArray[np.float64]:
    if scale == "htk":
        hz: NDArray[np.float64] = _HTK_HZ * np.expm1(mel / _HTK_MEL)
        return hz
    knee_mel = mel_of_hz(_KNEE_HZ)
    return np.where(mel < knee_mel, mel / _LINEAR_MEL_PER_HZ, _KNEE_HZ * np.exp((mel - knee_mel) / _LOG_MEL))

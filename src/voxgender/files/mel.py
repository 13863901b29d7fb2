"""Mel features of a stream of samples: 40 bands of the power spectrum, without a logarithm.

The speaker encoder was trained on exactly these features, so every constant here is part of the model, not a
matter of taste. NumPy alone computes them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxgender.files.filter_bank import filter_bank

SAMPLE_RATE_HZ: Final = 16_000
FFT_SAMPLES: Final = 400
"""Length of one frame and of its Fourier transform: 25 ms."""
HOP_SAMPLES: Final = 160
"""Distance of two frames: 10 ms."""
BANDS: Final = 40
TOP_HZ: Final = 8_000.0
"""Upper edge of the highest band; the lowest begins at 0 Hz."""

# Frames are computed in blocks of this many, counted from the start of the stream: a matrix product rounds differently
# for another number of rows, and so the result would depend on how the samples were cut.
_BLOCK_FRAMES: Final = 64


class MelFrames:
    """Turns samples, in pieces of any size, into mel frames; the cut into pieces changes no bit of them.

    Frame ``t`` is centred on sample ``t * HOP_SAMPLES`` and weighted with a periodic Hann window; before the first and
    after the last sample there are zeros.

    >>> mel = MelFrames()
    >>> len(mel.feed(np.zeros(16_000, np.float32))) + len(mel.finish())
    101
    """

    def __init__(self) -> None:
        self._bank = filter_bank(
            bands=BANDS, fft_samples=FFT_SAMPLES, sample_rate_hz=SAMPLE_RATE_HZ, low_hz=0.0, high_hz=TOP_HZ
        )
        turn = np.arange(FFT_SAMPLES) / FFT_SAMPLES
        self._hann = (0.5 - 0.5 * np.cos(2.0 * np.pi * turn)).astype(np.float32)
        self._waiting = np.zeros(FFT_SAMPLES // 2, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples and give the frames that are ready.

        Args:
            samples: Mono samples at SAMPLE_RATE_HZ, one-dimensional; any number, none included.

        Returns:
            Shape (frames, BANDS); frames come in whole blocks, so there are often none.
        """
        waiting = np.concatenate((self._waiting, samples))
        step = _BLOCK_FRAMES * HOP_SAMPLES
        need = step - HOP_SAMPLES + FFT_SAMPLES
        blocks = []
        at = 0
        while len(waiting) - at >= need:
            blocks.append(self._frames(waiting[at : at + need]))
            at += step
        self._waiting = waiting[at:]
        return np.concatenate(blocks) if blocks else np.empty((0, BANDS), np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Give the frames that are left, the last ones with zeros after the end; nothing may be fed afterwards.

        Returns:
            Shape (frames, BANDS). A stream of n samples has n // HOP_SAMPLES + 1 frames in all.
        """
        return self._frames(np.concatenate((self._waiting, np.zeros(FFT_SAMPLES // 2, np.float32))))

    def _frames(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SAMPLES)[::HOP_SAMPLES]
        spectrum = np.fft.rfft(frames * self._hann)
        power: NDArray[np.float32] = np.square(spectrum.real) + np.square(spectrum.imag)
        bands: NDArray[np.float32] = power @ self._bank
        return bands

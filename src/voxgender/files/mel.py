"""Mel features of a stream of samples: bands of the power spectrum, without a logarithm.

The speaker encoder was trained on exactly the features of the constants here, so each of them is part of the model,
not a matter of taste. NumPy alone computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class MelFeatures:
    """What mel frames are made of; the defaults are those of the speaker encoder.

    Attributes:
        frame_samples: Length of a frame, weighted with a periodic Hann window.
        fft_samples: Length of its Fourier transform, at least that of the frame, which is filled up with zeros.
        hop_samples: Distance of two frames.
        bands: Filters on Slaney's mel scale, each of the area one.
        low_hz: Lower edge of the lowest filter.
        top_hz: Upper edge of the highest filter.
    """

    frame_samples: int = FFT_SAMPLES
    fft_samples: int = FFT_SAMPLES
    hop_samples: int = HOP_SAMPLES
    bands: int = BANDS
    low_hz: float = 0.0
    top_hz: float = TOP_HZ


class MelFrames:
    """Turns samples, in pieces of any size, into mel frames; the cut into pieces changes no bit of them.

    Frame ``t`` is centred on sample ``t * hop_samples``; before the first and after the last sample there are zeros.

    Args:
        features: What the frames are made of.

    >>> mel = MelFrames()
    >>> len(mel.feed(np.zeros(16_000, np.float32))) + len(mel.finish())
    101
    """

    def __init__(self, features: MelFeatures = MelFeatures()) -> None:
        self._features = features
        self._bank = filter_bank(
            bands=features.bands,
            fft_samples=features.fft_samples,
            sample_rate_hz=SAMPLE_RATE_HZ,
            low_hz=features.low_hz,
            high_hz=features.top_hz,
        )
        turn = np.arange(features.frame_samples) / features.frame_samples
        self._hann = (0.5 - 0.5 * np.cos(2.0 * np.pi * turn)).astype(np.float32)
        self._waiting = np.zeros(features.frame_samples // 2, np.float32)
        # One block's numbers, written over by the next: fresh memory for each would cost a third of the time. The last
        # block has more rows where half a frame is longer than a hop.
        rows = _BLOCK_FRAMES + (features.frame_samples // 2 - 1) // features.hop_samples
        bins = features.fft_samples // 2 + 1
        self._frame = np.zeros((rows, features.fft_samples), np.float32)
        self._spectrum = np.empty((rows, bins), np.complex64)
        self._power = np.empty((rows, bins), np.float32)
        self._square = np.empty((rows, bins), np.float32)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples and give the frames that are ready.

        Args:
            samples: Mono samples at SAMPLE_RATE_HZ, one-dimensional; any number, none included.

        Returns:
            Shape (frames, bands); frames come in whole blocks, so there are often none.
        """
        waiting = np.concatenate((self._waiting, samples))
        step = _BLOCK_FRAMES * self._features.hop_samples
        need = step - self._features.hop_samples + self._features.frame_samples
        blocks = []
        at = 0
        while len(waiting) - at >= need:
            blocks.append(self._frames(waiting[at : at + need]))
            at += step
        self._waiting = waiting[at:]
        return np.concatenate(blocks) if blocks else np.empty((0, self._features.bands), np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Give the frames that are left, the last ones with zeros after the end; nothing may be fed afterwards.

        Returns:
            Shape (frames, bands). A stream of n samples has n // hop_samples + 1 frames in all.
        """
        after = np.zeros(self._features.frame_samples // 2, np.float32)
        return self._frames(np.concatenate((self._waiting, after)))

    def _frames(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the frames of a block's samples, or of what is left at the end."""
        length, hop = self._features.frame_samples, self._features.hop_samples
        count = (len(samples) - length) // hop + 1
        # The same view as by sliding_window_view, which takes a quarter as long to make as the transforms of a block.
        overlapping = np.ndarray((count, length), np.float32, samples, strides=(4 * hop, 4))
        # Behind a frame, up to the transform's length, the zeros of the beginning stay.
        np.multiply(overlapping, self._hann, out=self._frame[:count, :length])
        # NumPy takes complex64 for float32; its types know complex128 alone.
        spectrum = np.fft.rfft(self._frame[:count], out=self._spectrum[:count])  # type: ignore[arg-type]
        power = np.square(spectrum.real, out=self._power[:count])
        power += np.square(spectrum.imag, out=self._square[:count])
        bands: NDArray[np.float32] = power @ self._bank
        return bands

"""The shipped speaker encoder: mel features in windows through the GE2E network, and the mean of what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxgender.files import mel, windows
from voxgender.files.encoder import ENCODER_NAME
from voxgender.files.models import Card
from voxgender.files.network import embeddings, load_network

DIMENSIONS: Final = 256
TARGET_DBFS: Final = -30.0
"""Speech whose RMS is lower is raised to this level, as in the encoder's training; it is never lowered."""

SETTINGS: Final[dict[str, Any]] = {
    "mel": {
        "fft_samples": mel.FFT_SAMPLES,
        "hop_samples": mel.HOP_SAMPLES,
        "bands": mel.BANDS,
        "top_hz": mel.TOP_HZ,
        "scale": "slaney",
        "window": "hann, periodic",
        "power": 2,
        "logarithm": False,
    },
    "windows": {
        "frames": windows.WINDOW_FRAMES,
        "step_frames": windows.STEP_FRAMES,
        "max_windows": windows.MAX_WINDOWS,
        "min_covered_frames": windows.MIN_COVERED_FRAMES,
        "min_frames": windows.MIN_FRAMES,
        "short_speech": "one window of its own length; below min_frames, forth and back",
    },
    "level": {"target_dbfs": TARGET_DBFS, "direction": "raise only"},
    "vector": {"dimensions": DIMENSIONS, "norm": "l2", "mean": "equal over windows"},
}
"""Everything of this encoder that changes a vector's numbers. A model's card states the same, or it is not for this
code."""

# Windows the encoder takes at once; more are slower, and its buffers grow by about 1.5 MB a window.
_BATCH: Final = 16


class Ge2eEncoder:
    """The encoder of a model folder.

    Args:
        card: The extractor's card.
        settings: The encoder's part of the card's settings; it must be SETTINGS.
        threads: Threads for one run of the network.

    Raises:
        ModelError: The card has other settings than this version's, or the network cannot be loaded.
    """

    def __init__(self, card: Card, settings: Mapping[str, Any], threads: int) -> None:
        card.expect(settings, SETTINGS)
        self._network = load_network(card.path(ENCODER_NAME), threads)

    @property
    def dimensions(self) -> int:
        """Values of a vector."""
        return DIMENSIONS

    def start(self) -> OpenGe2e:
        """Begin with one channel."""
        return OpenGe2e(self._network)


class OpenGe2e:
    """One channel's speech on its way through the encoder; it holds at most 128 windows of features."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._mel = mel.MelFrames()
        self._windows = windows.Windows()
        self._samples = 0
        self._energy = 0.0

    def feed(self, speech: NDArray[np.float32]) -> None:
        """Take the next samples of speech."""
        self._samples += len(speech)
        self._energy += float(np.square(speech, dtype=np.float64).sum())
        self._windows.feed(self._mel.feed(speech))

    def finish(self) -> NDArray[np.float32]:
        """Give the vector, of length one."""
        frames = self._samples // mel.HOP_SAMPLES
        if frames >= windows.WINDOW_FRAMES:
            self._windows.end_at(frames)
            self._windows.feed(self._mel.feed(np.zeros(windows.WINDOW_FRAMES * mel.HOP_SAMPLES, np.float32)))
        self._windows.feed(self._mel.finish())
        target = 10.0 ** (TARGET_DBFS / 20.0)
        gain = max(1.0, target / max(math.sqrt(self._energy / self._samples), 1e-9))
        # The features are powers, so the gain on the samples counts twice.
        windows_at_level = self._windows.kept() * np.float32(gain * gain)
        mean = embeddings(self._network, windows_at_level, _BATCH).mean(axis=0, dtype=np.float64)
        vector: NDArray[np.float64] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return vector.astype(np.float32)

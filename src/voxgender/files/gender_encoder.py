"""The second encoder of the shipped model: a small network, trained for gender on degraded speech.

The speaker encoder hears powers, of which loud low bands make up most; this one hears their logarithm in frames that
are long enough to tell the harmonics of a low voice apart, and was trained on telephones, rooms and noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxgender.files.mel import MelFeatures, MelFrames
from voxgender.files.models import Card
from voxgender.files.network import embeddings, load_network
from voxgender.files.windows import Windows

GENDER_NAME: Final = "gender.onnx"
GENDER_DIMENSIONS: Final = 30
FEATURES: Final = MelFeatures(
    frame_samples=640, fft_samples=1024, hop_samples=320, bands=64, low_hz=50.0, top_hz=7_600.0
)
"""Frames of 40 ms every 20 ms. The logarithm and all that follows are in the network's graph."""
WINDOW_FRAMES: Final = 80
STEP_FRAMES: Final = 38
MAX_WINDOWS: Final = 128
MIN_FRAMES: Final = 40

SETTINGS: Final[dict[str, Any]] = {
    "mel": asdict(FEATURES)
    | {"scale": "slaney", "window": "hann, periodic", "power": 2, "logarithm": "in the network"},
    "windows": {
        "frames": WINDOW_FRAMES,
        "step_frames": STEP_FRAMES,
        "max_windows": MAX_WINDOWS,
        "min_frames": MIN_FRAMES,
        "short_speech": "one window of its own length; below min_frames, forth and back",
    },
    "vector": {"dimensions": GENDER_DIMENSIONS, "mean": "equal over windows"},
}
"""Everything of this encoder that changes a vector's numbers, as in the card."""

_BATCH: Final = 32


class GenderEncoder:
    """The encoder of a model folder.

    Args:
        card: The extractor's card.
        settings: The encoder's part of the card's settings; it must be SETTINGS.
        threads: Threads for one run of the network.

    Raises:
        ModelError: The card has other settings than this version's, or the network cannot be loaded.
    """

    dimensions = GENDER_DIMENSIONS

    def __init__(self, card: Card, settings: Mapping[str, Any], threads: int) -> None:
        card.expect(settings, SETTINGS)
        self._network = load_network(card.path(GENDER_NAME), threads)

    def start(self) -> OpenGender:
        """Begin with one channel."""
        return OpenGender(self._network)


class OpenGender:
    """One channel's speech on its way through the encoder; it holds at most 128 windows of features."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._frames = GenderFrames()

    def feed(self, speech: NDArray[np.float32]) -> None:
        """Take the next samples of speech."""
        self._frames.feed(speech)

    def finish(self) -> NDArray[np.float32]:
        """Give the vector: the mean over the windows, every value between -1/8 and 1/8."""
        embedded = embeddings(self._network, self._frames.finish(), _BATCH)
        mean: NDArray[np.float64] = embedded.mean(axis=0, dtype=np.float64)
        return mean.astype(np.float32)


class GenderFrames:
    """The windows of features that the network sees, of a channel's speech."""

    def __init__(self) -> None:
        self._mel = MelFrames(FEATURES)
        self._windows = Windows(WINDOW_FRAMES, STEP_FRAMES, MAX_WINDOWS, MIN_FRAMES)

    def feed(self, speech: NDArray[np.float32]) -> None:
        """Take the next samples of speech."""
        self._windows.feed(self._mel.feed(speech))

    def finish(self) -> NDArray[np.float32]:
        """Give the windows: mel powers, float32, shape (windows, frames, 64)."""
        self._windows.feed(self._mel.finish())
        return self._windows.kept()

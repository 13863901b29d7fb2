"""What a speaker encoder is to the extraction: it takes the speech of a channel and gives one vector."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

ENCODER_NAME: Final = "encoder.onnx"
"""The encoder's graph in an extractor's folder."""


class OpenEncoder(Protocol):
    """One channel's speech while it arrives; its memory must not grow with the length."""

    def feed(self, speech: NDArray[np.float32]) -> None:
        """Take the next samples of speech: mono at 16 kHz, from -1 to 1, pauses left out, a piece of any size.

        How the speech is cut must change no bit of the vector. The samples may be kept, but not changed.
        """

    def finish(self) -> NDArray[np.float32]:
        """Give the vector, float32, shape (dimensions,); only called when there was speech, and nothing follows."""


class Encoder(Protocol):
    """Makes the vector of a channel's speech; one serves any number of channels and threads at once."""

    @property
    def dimensions(self) -> int:
        """Values of a vector."""

    def start(self) -> OpenEncoder:
        """Begin with one channel."""

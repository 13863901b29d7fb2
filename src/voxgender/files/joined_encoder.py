"""Several encoders as one: each hears the same speech, and their vectors are joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxgender.files.encoder import Encoder, OpenEncoder


class JoinedEncoder:
    """Makes vectors that hold the vectors of all its parts, in their order.

    Args:
        parts: The encoders.
    """

    def __init__(self, parts: Sequence[Encoder]) -> None:
        self._parts = parts

    @property
    def dimensions(self) -> int:
        """Values of a vector."""
        return sum(part.dimensions for part in self._parts)

    def start(self) -> OpenJoined:
        """Begin with one channel."""
        return OpenJoined([part.start() for part in self._parts])


class OpenJoined:
    """One channel's speech on its way through all parts."""

    def __init__(self, parts: Sequence[OpenEncoder]) -> None:
        self._parts = parts

    def feed(self, speech: NDArray[np.float32]) -> None:
        """Take the next samples of speech."""
        for part in self._parts:
            part.feed(speech)

    def finish(self) -> NDArray[np.float32]:
        """Give the vector."""
        return np.concatenate([part.finish() for part in self._parts])

"""Windows of mel frames, evenly over a stream of any length, in memory that does not grow."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW_FRAMES: Final = 160
"""Frames that the encoder sees at once: 1.6 s, as in its training."""
STEP_FRAMES: Final = 77
"""Distance of two windows: 1.3 windows a second, the default of the encoder's authors."""
MAX_WINDOWS: Final = 128
"""Windows kept: with this many, about 100 s of speech, the mean hardly moves any more."""
MIN_COVERED_FRAMES: Final = 120
"""A last window that the stream covers only in part is filled with zeros, or left out if it covers less than this."""

MIN_FRAMES: Final = 80
"""A stream shorter than this, 0.8 s, goes forth and back until it is so long. Measured against zeros, repetition and
the bare frames, this tells genders best where there are 0.3 to 0.6 s of speech; above, the bare frames do."""


class Windows:
    """Cuts a stream of frames into overlapping windows and keeps only so many of them.

    When there would be more, every other kept window is dropped and only every other one of those to come is taken: a
    long stream has ``most // 2 + 1`` to ``most`` windows, evenly over all of it. A stream that is shorter than a window
    is one window of its own length, at least ``shortest``: shorter ones go forth and back.

    Args:
        length: Frames of a window.
        step: Distance of two windows, in frames.
        most: Windows that are kept.
        shortest: Frames of the one window of a short stream.

    >>> windows = Windows()
    >>> windows.feed(np.zeros((400, 40), np.float32))
    >>> windows.kept().shape
    (4, 160, 40)
    """

    def __init__(
        self,
        length: int = WINDOW_FRAMES,
        step: int = STEP_FRAMES,
        most: int = MAX_WINDOWS,
        shortest: int = MIN_FRAMES,
    ) -> None:
        self._length = length
        self._step = step
        self._most = most
        self._shortest = shortest
        self._kept: list[NDArray[np.float32]] = []
        self._stride = 1
        self._next = 0
        self._last: int | None = None
        self._held: NDArray[np.float32] | None = None
        self._held_from = 0

    def feed(self, frames: NDArray[np.float32]) -> None:
        """Take the next frames, shape (frames, ...); any number, none included."""
        held = frames if self._held is None else np.concatenate((self._held, frames))
        while self._last is None or self._next <= self._last:
            start = self._next * self._step - self._held_from
            if start + self._length > len(held):
                break
            self._keep(held[start : start + self._length].copy())
        done = min(max(0, self._next * self._step - self._held_from), len(held))
        self._held = held[done:].copy()
        self._held_from += done

    def end_at(self, frames: int) -> None:
        """Say how long the stream is, before zeros are fed that fill the last window.

        Args:
            frames: Length of the stream, at least one window.
        """
        self._last = (frames - MIN_COVERED_FRAMES) // self._step

    def kept(self) -> NDArray[np.float32]:
        """The windows, in order: shape (windows, length, ...), or (1, frames, ...) of a shorter stream."""
        if not self._kept and self._held is not None:
            missing = max(0, self._shortest - len(self._held))
            padding = [(0, missing)] + [(0, 0)] * (self._held.ndim - 1)
            return np.pad(self._held, padding, "symmetric")[np.newaxis]
        return np.stack(self._kept)

    def _keep(self, window: NDArray[np.float32]) -> None:
        if len(self._kept) == self._most:
            self._kept = self._kept[::2]
            self._stride *= 2
        self._kept.append(window)
        self._next += self._stride

"""Finds the speech in a stream of samples: Silero VAD's probabilities, then hysteresis.

The rule and its figures are the defaults of the ``silero-vad`` package (6.2), with which the quality of this
detector is usually told; they are restated here for a stream, where the end is not known yet.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FRAME_SAMPLES: Final = 512
"""Samples for one probability: 32 ms at 16 kHz, fixed by the network."""
CONTEXT_SAMPLES: Final = 64
"""Samples of the frame before, which the network sees as well."""
THRESHOLD_ON: Final = 0.5
"""From this probability on, speech begins."""
THRESHOLD_OFF: Final = 0.35
"""Below this probability, a silence begins; in between, what was stays."""
MIN_SPEECH_SAMPLES: Final = 4_000
"""Speech that is not longer than this, 250 ms, is taken for a click or a cough. So this is also the least speech that
gets a voiceprint: no other minimum is needed."""
MIN_SILENCE_SAMPLES: Final = 1_600
"""A silence shorter than this, 100 ms, belongs to the speech around it."""
PAD_SAMPLES: Final = 480
"""What is kept before and after each stretch of speech, 30 ms: soft onsets score low."""
MAX_DOUBT_SAMPLES: Final = 160_000
"""A silence that has begun ends the speech after 10 s even if no probability is clearly low again. This rule alone is
ours: it bounds what has to be kept in memory."""

# One run of the network takes this many frames (4.1 s), counted from the start of the stream, so that the result does
# not depend on how the samples were cut. It is fastest with 64 to 256.
_BLOCK_FRAMES: Final = 128
_STATE_SHAPE: Final = (1, 1, 128)


class Hysteresis:
    """Turns a probability for each frame into stretches of speech, each told as soon as it is certain.

    >>> rule = Hysteresis()
    >>> rule.feed(np.array([0.1, 0.1] + [0.9] * 10 + [0.1] * 5))
    [(544, 6624)]
    """

    def __init__(self) -> None:
        self._at = 0
        self._start: int | None = None
        self._quiet: int | None = None
        self._told = 0

    @property
    def needed_from(self) -> int:
        """The first sample that may still be told as speech."""
        start = self._at if self._start is None else self._start
        return max(self._told, start - PAD_SAMPLES)

    def feed(self, probabilities: NDArray[np.float32]) -> list[tuple[int, int]]:
        """Take the next frames and give the stretches that are certain.

        Args:
            probabilities: The probability of speech of each frame.

        Returns:
            (first sample, sample after the last) of each stretch, in order and without overlap, counted from the start
            of the stream. Long speech is told in several stretches that touch.
        """
        stretches: list[tuple[int, int]] = []
        for probability in probabilities.tolist():
            at = self._at
            self._at += FRAME_SAMPLES
            if probability >= THRESHOLD_ON:
                self._quiet = None
                if self._start is None:
                    self._start = at
            elif self._start is not None:
                if self._quiet is None:
                    self._quiet = at if probability < THRESHOLD_OFF else None
                    continue
                silence = at - self._quiet
                clear = probability < THRESHOLD_OFF and silence >= MIN_SILENCE_SAMPLES
                if clear or silence >= MAX_DOUBT_SAMPLES:
                    stretches += self._tell(self._start, self._quiet, self._quiet + PAD_SAMPLES)
                    self._start = self._quiet = None
        if self._start is not None:
            # The last frame may reach beyond the end of the stream, so it is told with the next one or at the end.
            certain = self._at - FRAME_SAMPLES if self._quiet is None else self._quiet
            stretches += self._tell(self._start, certain, certain)
        return stretches

    def finish(self, samples: int) -> list[tuple[int, int]]:
        """Tell what is left: speech that has begun lasts to the end of the stream.

        Args:
            samples: Length of the whole stream; the last frame may reach beyond it.
        """
        return [] if self._start is None else self._tell(self._start, samples, samples)

    def _tell(self, start: int, end: int, stop: int) -> list[tuple[int, int]]:
        """What was not told yet up to ``stop``, if the speech from ``start`` to ``end`` is long enough."""
        first = self.needed_from
        if end - start <= MIN_SPEECH_SAMPLES or first >= stop:
            return []
        self._told = stop
        return [(first, stop)]


class SpeechFinder:
    """Takes mono samples at 16 kHz in pieces of any size and gives those that are speech, in order.

    The cut into pieces changes no bit of the result. At most about 20 s of samples are held, whatever the length of
    the stream, and the pieces are read until then: their owner must not change them.

    Args:
        session: An ONNX Runtime session of Silero's network over a sequence: inputs ``input`` (frames, 576), ``h`` and
            ``c`` (1, 1, 128); outputs ``speech_probs``, ``hn`` and ``cn``.

    Attributes:
        samples: Number of samples that were fed.
    """

    def __init__(self, session: Any) -> None:
        self.samples = 0
        self._session = session
        self._rule = Hysteresis()
        self._hidden = np.zeros(_STATE_SHAPE, np.float32)
        self._cell = np.zeros(_STATE_SHAPE, np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._pieces: list[NDArray[np.float32]] = []
        self._unseen = 0
        self._held = np.empty(0, np.float32)
        self._held_from = 0

    def feed(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Take the next samples and give the speech that is certain by now.

        Returns:
            Stretches of samples; copies, which the caller may keep.
        """
        self._pieces.append(samples)
        self._unseen += len(samples)
        self.samples += len(samples)
        block = _BLOCK_FRAMES * FRAME_SAMPLES
        if self._unseen < block:
            return []
        unseen = np.concatenate(self._pieces)
        speech: list[NDArray[np.float32]] = []
        whole = len(unseen) - len(unseen) % block
        for at in range(0, whole, block):
            speech += self._see(unseen[at : at + block])
        self._pieces = [unseen[whole:].copy()]
        self._unseen = len(unseen) - whole
        return speech

    def finish(self) -> list[NDArray[np.float32]]:
        """Give the speech that is left; nothing may be fed afterwards."""
        speech: list[NDArray[np.float32]] = []
        if self._unseen:
            speech = self._see(np.concatenate(self._pieces))
        return speech + self._cut(self._rule.finish(self.samples))

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network over the next frames of the stream, the last one filled with zeros.

        Returns:
            The probability of speech of each frame.
        """
        count = -(-len(samples) // FRAME_SAMPLES)
        frames = np.zeros((count, CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        body = np.zeros(count * FRAME_SAMPLES, np.float32)
        body[: len(samples)] = samples
        frames[:, CONTEXT_SAMPLES:] = body.reshape(count, FRAME_SAMPLES)
        frames[0, :CONTEXT_SAMPLES] = self._context
        frames[1:, :CONTEXT_SAMPLES] = frames[:-1, -CONTEXT_SAMPLES:]
        self._context = frames[-1, -CONTEXT_SAMPLES:].copy()
        result, self._hidden, self._cell = self._session.run(
            ["speech_probs", "hn", "cn"], {"input": frames, "h": self._hidden, "c": self._cell}
        )
        return np.asarray(result, np.float32)

    def _see(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        self._held = np.concatenate((self._held, samples))
        speech = self._cut(self._rule.feed(self.probabilities(samples)))
        done = self._rule.needed_from - self._held_from
        self._held = self._held[done:].copy()
        self._held_from += done
        return speech

    def _cut(self, stretches: list[tuple[int, int]]) -> list[NDArray[np.float32]]:
        start = self._held_from
        return [self._held[first - start : stop - start].copy() for first, stop in stretches]

"""From raw scores to likelihood ratios.

The sign is written here and nowhere else: an LLR is the natural logarithm of the likelihood ratio of *male* against
*female*, so a positive one speaks for a male voice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import ModelError


@dataclass(frozen=True, slots=True)
class Calibration:
    """An affine map from raw score to LLR, whose slope grows with the speech length, bounded by what the data supports.

    ``llr = clip((slope + slope_per_doubling * log2(speech)) * raw + offset, -bound, bound)``, where ``speech`` is the
    speech length in seconds, clipped to the range that the calibration data covers. Affine maps in the log domain are
    the usual calibration of speaker recognition (Brümmer and du Preez, 2006, "Application-independent evaluation of
    speaker detection"); short speech gives weaker evidence, hence the second slope.

    Attributes:
        slope: LLR per unit of raw score at 1 s of speech.
        slope_per_doubling: What each doubling of the speech length adds to the slope.
        offset: LLR at a raw score of 0.
        bound: Largest absolute LLR that is reported.
        min_speech_s: Shortest speech length that the data tells apart from shorter ones.
        max_speech_s: Longest speech length that the data tells apart from longer ones.
    """

    slope: float
    slope_per_doubling: float
    offset: float
    bound: float
    min_speech_s: float
    max_speech_s: float

    def __post_init__(self) -> None:
        numbers = (self.slope, self.slope_per_doubling, self.offset, self.bound, self.min_speech_s, self.max_speech_s)
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise ModelError("a calibration has six finite numbers; install the model again")
        if not (self.bound > 0 and 0 < self.min_speech_s <= self.max_speech_s):
            raise ModelError("a calibration's bound and speech lengths lie above 0; install the model again")
        ends = (
            self.slope + self.slope_per_doubling * math.log2(speech)
            for speech in (self.min_speech_s, self.max_speech_s)
        )
        if not all(slope > 0 for slope in ends):
            raise ModelError("a calibration's slope must be above 0 at each speech length; train it on more speakers")

    def llr(self, raw: NDArray[np.float64], speech_s: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the natural-log LLR of male against female; NaN where there is no speech or the raw score is NaN.

        Args:
            raw: Raw scores, float64, shape (n,).
            speech_s: Seconds of speech, float32, shape (n,).

        Returns:
            float64, shape (n,), within ``-bound`` to ``bound``.

        Example:
            >>> calibration = Calibration(1.0, 0.5, 0.0, bound=6.0, min_speech_s=1.0, max_speech_s=8.0)
            >>> calibration.llr(np.array([1.0, 1.0, 9.0, 1.0]), np.array([1, 4, 9, 0], np.float32))
            array([ 1.,  2.,  6., nan])
        """
        # Not np.clip, which is slower.
        speech = np.minimum(np.maximum(speech_s.astype(np.float64), self.min_speech_s), self.max_speech_s)
        slope = self.slope + self.slope_per_doubling * np.log2(speech)
        with np.errstate(over="ignore", invalid="ignore"):
            llr = np.minimum(np.maximum(slope * raw + self.offset, -self.bound), self.bound)
        return np.where(speech_s > 0, llr, np.nan)

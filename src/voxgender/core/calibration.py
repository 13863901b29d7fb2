"""From raw scores to likelihood ratios, probabilities and decisions.

The sign is written here and nowhere else: an LLR is the natural logarithm of the likelihood ratio of *male* against
*female*, so a positive one speaks for a male voice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import ModelError, SettingsError

Gender: TypeAlias = Literal["male", "female", "unknown"]


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
        speech = np.clip(speech_s.astype(np.float64), self.min_speech_s, self.max_speech_s)
        slope = self.slope + self.slope_per_doubling * np.log2(speech)
        with np.errstate(over="ignore", invalid="ignore"):
            llr = np.clip(slope * raw + self.offset, -self.bound, self.bound)
        return np.where(speech_s > 0, llr, np.nan)


@dataclass(frozen=True, slots=True)
class Decision:
    """How LLRs become probabilities and a gender.

    Attributes:
        male_prior: Probability of a male voice before anything is heard, above 0 and below 1.
        min_probability: A gender is told only if its probability reaches this, 0.5 to below 1; else it is ``unknown``.
    """

    male_prior: float = 0.5
    min_probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.male_prior < 1:
            raise SettingsError(f"male_prior is {self.male_prior}; it must lie above 0 and below 1")
        if not 0.5 <= self.min_probability < 1:
            raise SettingsError(f"min_probability is {self.min_probability}; it must lie from 0.5 to below 1")

    def male_probability(self, llr: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability of a male voice for each LLR: ``sigmoid(llr + logit(male_prior))``, in float64.

        Example:
            >>> Decision(male_prior=0.9).male_probability(np.array([0.0])).round(6)
            array([0.9])
        """
        log_odds = np.asarray(llr, np.float64) + math.log(self.male_prior) - math.log1p(-self.male_prior)
        # tanh does not overflow, wherever exp would.
        return 0.5 + 0.5 * np.tanh(0.5 * log_odds)

    def gender(self, male_probability: float) -> Gender:
        """Return the gender that the probability speaks for; ``unknown`` where it is NaN, too low or a tie.

        Example:
            >>> [Decision(min_probability=0.8).gender(p) for p in (0.9, 0.7, 0.1, float("nan"))]
            ['male', 'unknown', 'female', 'unknown']
        """
        if male_probability > 0.5 and male_probability >= self.min_probability:
            return "male"
        if male_probability < 0.5 and 1 - male_probability >= self.min_probability:
            return "female"
        return "unknown"


EQUAL_PRIORS: Final = Decision()
"""Even odds, and the likelier gender is told whatever its probability."""

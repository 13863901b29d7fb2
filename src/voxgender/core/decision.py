"""From likelihood ratios to probabilities and a gender: the prior, and "unknown"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import SettingsError

Gender: TypeAlias = Literal["male", "female", "unknown"]
GENDERS: Final[tuple[Gender, ...]] = ("unknown", "male", "female")
"""What the codes of :meth:`Decision.gender_codes` mean."""


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
        # exp overflows beyond this, and the probability has long been 0 or 1.
        return 1.0 / (1.0 + np.exp(-np.minimum(np.maximum(log_odds, -700.0), 700.0)))

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

    def gender_codes(self, male_probability: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return what :meth:`gender` says of each probability, as places in ``GENDERS``, of the same shape."""
        is_male = (male_probability > 0.5) & (male_probability >= self.min_probability)
        is_female = (male_probability < 0.5) & (1 - male_probability >= self.min_probability)
        return is_male.astype(np.intp) + 2 * is_female.astype(np.intp)


EQUAL_PRIORS: Final = Decision()
"""Even odds, and the likelier gender is told whatever its probability."""

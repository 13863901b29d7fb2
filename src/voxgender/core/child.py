"""Children: their voices tell no gender, so where a voice may be a child's, the LLR says less."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import ModelError
from voxgender.core.head import Head

_MAX_LOG_RATIO: Final = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class ChildHead:
    """A head that tells children from adults, and how many children to expect.

    Attributes:
        head: Its raw score is taken for the natural logarithm of the likelihood ratio of a child's voice against an
            adult's. It comes from logistic regression, and no calibration follows: labelled children are too few.
        prior: Share of children among the speakers, above 0 and below 1.
    """

    head: Head
    prior: float

    def __post_init__(self) -> None:
        if not (isinstance(self.prior, int | float) and math.isfinite(self.prior) and 0 < self.prior < 1):
            raise ModelError("a share of children lies between 0 and 1; install the model again")

    def soften(self, llr: NDArray[np.float64], child_raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the LLRs of male against female of speakers who may be children.

        With the ratio ``r`` of an adult's genders and the odds ``c`` of a child, both genders of adults and of children
        being as frequent, the likelihoods are proportional to ``2 r / (1 + r) + c`` (male) and ``2 / (1 + r) + c``
        (female), because a child's voice is as likely a boy's as a girl's. The sign stays, the amount never grows.

        Args:
            llr: Natural-log LLRs of adults, float64, shape (n,); NaN stays NaN.
            child_raw: Raw scores of ``head``, float64, shape (n,).

        Example:
            >>> child = ChildHead(Head("m", np.array([1], np.float32), bias=0.0), prior=0.5)
            >>> child.soften(np.array([3.0, 3.0, -3.0]), np.array([-9.0, 0.0, 9.0])).round(2)
            array([ 3.  ,  0.98, -0.  ])
        """
        log_ratio = np.minimum(np.maximum(child_raw, -_MAX_LOG_RATIO), _MAX_LOG_RATIO)
        child = np.exp(log_ratio) * (self.prior / (1.0 - self.prior))
        male = 2.0 / (1.0 + np.exp(-np.minimum(np.maximum(llr, -_MAX_LOG_RATIO), _MAX_LOG_RATIO)))
        softened: NDArray[np.float64] = np.log(male + child) - np.log(2.0 - male + child)
        return softened

"""Training of a head: logistic regression on standardised vectors, then calibration of its LLRs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from voxgender.core.calibration import Calibration
from voxgender.core.errors import InputError
from voxgender.core.head import Head
from voxgender.core.scorer import CalibratedHead
from voxgender.lab.data import Labelled, balanced

REGULARISATION: Final = 0.01
"""Inverse strength C of the L2 penalty. Strong, because weak penalties fit the corpora instead of the voices. Chosen on
the calibration split; on corpora left out of the training a still stronger one, 0.003, did slightly better."""
FOLDS: Final = 5
MIN_SPEAKERS: Final = 10
"""Fewest speakers of a gender in a split; with fewer, a fold may have none, and no figure means anything."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained head, and what its calibration gives on speakers that it has not seen.

    Attributes:
        head: The head with the calibration of all calibration data.
        cross_llr: LLR of each calibration clip, by a calibration of the other speakers.
    """

    head: CalibratedHead
    cross_llr: NDArray[np.float64]


def train_head(training: Labelled, calibration: Labelled, regularisation: float = REGULARISATION) -> Trained:
    """Train a head on some speakers and calibrate it on others.

    Args:
        training: What the weights are fitted on.
        calibration: What the calibration is fitted on; other speakers than those of ``training``.
        regularisation: Inverse strength C of the L2 penalty.

    Raises:
        InputError: Where there are too few speakers, or the same ones in both parts.
    """
    _check_speakers(training, calibration)
    head = fit_head(training, regularisation)
    raw = head.raw_scores(calibration.voiceprints.vectors)
    cross_llr = np.empty(len(raw))
    everything = np.arange(len(raw))
    for rest, fold in GroupKFold(FOLDS).split(raw, groups=calibration.speakers):
        fitted = fit_calibration(raw, calibration, rest)
        cross_llr[fold] = fitted.llr(raw[fold], calibration.voiceprints.speech_s[fold])
    return Trained(CalibratedHead(head, fit_calibration(raw, calibration, everything)), cross_llr)


def _check_speakers(training: Labelled, calibration: Labelled) -> None:
    for name, data in (("training", training), ("calibration", calibration)):
        for gender, is_theirs in (("men", data.is_male), ("women", ~data.is_male)):
            people = len(np.unique(data.speakers[is_theirs]))
            if people < MIN_SPEAKERS:
                raise InputError(f"the {name} split has {people} {gender}; at least {MIN_SPEAKERS} are needed")
    if both := sorted(set(training.speakers) & set(calibration.speakers)):
        raise InputError(
            f"{len(both)} speakers are in both splits, like {both[0]}; the calibration would flatter itself"
        )


def fit_head(data: Labelled, regularisation: float) -> Head:
    """Return the head that separates the genders of the data, each speaker and both genders weighing the same."""
    vectors = data.voiceprints.vectors.astype(np.float64)
    weights = data.balanced_weights()
    mean = np.average(vectors, axis=0, weights=weights)
    deviation = np.sqrt(np.average((vectors - mean) ** 2, axis=0, weights=weights))
    # A value that never changes tells nothing; any divisor leaves its weight at 0.
    deviation[deviation < 1e-6] = 1.0
    model = LogisticRegression(C=regularisation, max_iter=1000, tol=1e-8)
    model.fit((vectors - mean) / deviation, data.is_male, sample_weight=weights)
    return Head.of_standardised(data.voiceprints.model, mean, deviation, model.coef_[0], float(model.intercept_[0]))


def fit_calibration(raw: NDArray[np.float64], data: Labelled, rows: NDArray[np.int64]) -> Calibration:
    """Return the calibration that costs least (in Cllr) on some rows of the data.

    Logistic regression under weights that balance the genders gives log odds at even priors, which are LLRs. Each clip
    weighs the same, because clips are what is scored. The LLRs are bounded by the rule of succession: even after ``n``
    speakers without an error, the next one would err with a probability of 1 / (n + 2), so that odds beyond ``n + 1``
    are more than the data supports.

    Args:
        raw: Raw scores of all the data, shape (n,).
        data: Labels, speakers and speech lengths.
        rows: Which rows to fit on.
    """
    speech_s = data.voiceprints.speech_s[rows].astype(np.float64)
    shortest, longest = (float(bound) for bound in np.quantile(speech_s, [0.02, 0.98]))
    doublings = np.log2(np.clip(speech_s, shortest, longest))
    inputs = np.column_stack([raw[rows], raw[rows] * doublings])
    is_male = data.is_male[rows]
    # C is so large that there is practically no penalty: three numbers on hundreds of clips need none.
    model = LogisticRegression(C=1e6, max_iter=1000, tol=1e-10)
    model.fit(inputs, is_male, sample_weight=balanced(np.ones(len(rows)), is_male))
    slope, slope_per_doubling = (float(value) for value in model.coef_[0])
    speakers = data.speakers[rows]
    rarer = min(len(np.unique(speakers[is_male])), len(np.unique(speakers[~is_male])))
    return Calibration(
        slope=slope,
        slope_per_doubling=slope_per_doubling,
        offset=float(model.intercept_[0]),
        bound=float(np.log(rarer + 1)),
        min_speech_s=shortest,
        max_speech_s=longest,
    )

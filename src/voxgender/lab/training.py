"""Training of a head: logistic regression on standardised vectors, then calibration of its LLRs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from voxgender.core.calibration import Calibration
from voxgender.core.child import ChildHead
from voxgender.core.errors import InputError
from voxgender.core.head import Head
from voxgender.core.scorer import CalibratedHead
from voxgender.lab.data import Labelled, balanced

REGULARISATION: Final = 0.003
"""Inverse strength C of the L2 penalty. Strong, because weak penalties fit the corpora instead of the voices: chosen on
corpora left out of the training."""
CHILD_REGULARISATION: Final = 0.001
"""Inverse strength C of the penalty of the head that tells children from adults."""
CHILD_PRIOR: Final = 0.08
"""Share of children that is expected: on the calibration speakers, the least with which at most a fifth of the wrong
answers on children are above 90 %. It costs 0.014 of Cllr on adults whose label the pitch does not contradict."""
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


def train_head(
    training: Labelled,
    calibration: Labelled,
    *,
    parts: Sequence[int] = (),
    children: Labelled | None = None,
    regularisation: float = REGULARISATION,
) -> Trained:
    """Train a head on some speakers and calibrate it on others.

    Where vectors are joined from parts, each part has a head of its own, and what each weighs is learned on the
    calibration data: a part may have been trained on the very clips of ``training``, and would seem better there than
    it is.

    Args:
        training: What the weights are fitted on.
        calibration: What the weights of the parts and the calibration are fitted on; other speakers than those of
            ``training``.
        parts: Values of each part of a vector, in their order; none for vectors of one part.
        children: Voiceprints of children, of whose like the head will be less sure; None where there are none.
        regularisation: Inverse strength C of the L2 penalty.

    Raises:
        InputError: Where there are too few speakers, or the same ones in both splits.
    """
    _check_speakers(training, calibration)
    heads = fit_heads(training, parts or (training.voiceprints.vectors.shape[1],), regularisation)
    child = None if children is None else fit_child_head(training, children)
    of_parts = np.column_stack([head.raw_scores(calibration.voiceprints.vectors) for head in heads])
    cross_llr = np.empty(len(of_parts))
    for rest, fold in _folds(calibration):
        weights, bias = fit_fusion(of_parts, calibration, rest)
        raw = of_parts @ weights + bias
        cross_llr[fold] = fit_calibration(raw, calibration, rest).llr(raw[fold], calibration.voiceprints.speech_s[fold])
    everything = np.arange(len(of_parts))
    head = fused(heads, *fit_fusion(of_parts, calibration, everything))
    raw = head.raw_scores(calibration.voiceprints.vectors)
    if child is not None:
        cross_llr = child.soften(cross_llr, child.head.raw_scores(calibration.voiceprints.vectors))
    return Trained(CalibratedHead(head, fit_calibration(raw, calibration, everything), child), cross_llr)


def recalibrate(before: CalibratedHead, calibration: Labelled) -> Trained:
    """Return a head with a calibration of other data, as of other telephones or languages than it was made for.

    Args:
        before: What gives the raw scores, which stay as they are.
        calibration: What the calibration is fitted on; speakers that the head was not trained on.

    Raises:
        InputError: Where there are too few speakers.
    """
    _check_people("calibration", calibration)
    raw = before.head.raw_scores(calibration.voiceprints.vectors)
    cross_llr = np.empty(len(raw))
    for rest, fold in _folds(calibration):
        cross_llr[fold] = fit_calibration(raw, calibration, rest).llr(raw[fold], calibration.voiceprints.speech_s[fold])
    if before.child is not None:
        child_raw = before.child.head.raw_scores(calibration.voiceprints.vectors)
        cross_llr = before.child.soften(cross_llr, child_raw)
    return Trained(replace(before, calibration=fit_calibration(raw, calibration, np.arange(len(raw)))), cross_llr)


def _folds(data: Labelled) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Give rows to fit on and rows of other speakers, so that each row is among the others once; both have each gender.

    Folds that knew nothing of the gender could leave the rows to fit on without one.
    """
    yield from StratifiedGroupKFold(FOLDS).split(data.speakers, data.is_male, groups=data.speakers)


def _check_speakers(training: Labelled, calibration: Labelled) -> None:
    _check_people("training", training)
    _check_people("calibration", calibration)
    if both := sorted(set(training.speakers) & set(calibration.speakers)):
        raise InputError(
            f"{len(both)} speakers are in both splits, like {both[0]}; the calibration would flatter itself"
        )


def _check_people(name: str, data: Labelled) -> None:
    for gender, is_theirs in (("men", data.is_male), ("women", ~data.is_male)):
        people = len(np.unique(data.speakers[is_theirs]))
        if people < MIN_SPEAKERS:
            raise InputError(f"the {name} split has {people} {gender}; at least {MIN_SPEAKERS} are needed")


def fit_heads(data: Labelled, parts: Sequence[int], regularisation: float) -> list[Head]:
    """Return a head for each part of the vectors, each speaker and both genders weighing the same.

    Each takes whole vectors and has weights for its part alone.

    Args:
        data: What the weights are fitted on.
        parts: Values of each part, in their order.
        regularisation: Inverse strength C of the L2 penalty.

    Raises:
        InputError: Where the parts are not the whole vector.
    """
    vectors = data.voiceprints.vectors.astype(np.float64)
    if sum(parts) != vectors.shape[1]:
        raise InputError(f"parts of {', '.join(map(str, parts))} values are no vector of {vectors.shape[1]} values")
    weights = data.balanced_weights()
    mean = np.average(vectors, axis=0, weights=weights)
    deviation = np.sqrt(np.average((vectors - mean) ** 2, axis=0, weights=weights))
    # A value that never changes tells nothing; any divisor leaves its weight at 0.
    deviation[deviation < 1e-6] = 1.0
    standard = (vectors - mean) / deviation
    heads, start = [], 0
    for size in parts:
        part = slice(start, start + size)
        start += size
        model = LogisticRegression(C=regularisation, max_iter=1000, tol=1e-8)
        model.fit(standard[:, part], data.is_male, sample_weight=weights)
        weight = np.zeros(vectors.shape[1])
        weight[part] = model.coef_[0]
        heads.append(Head.of_standardised(data.voiceprints.model, mean, deviation, weight, float(model.intercept_[0])))
    return heads


def fit_fusion(
    of_parts: NDArray[np.float64], data: Labelled, rows: NDArray[np.int_]
) -> tuple[NDArray[np.float64], float]:
    """Return what each part's raw score weighs, shape (parts,), and what is added to their sum.

    Logistic regression, as it is usual where systems are fused (Brümmer et al., 2007, "Fusion of heterogeneous speaker
    recognition systems"). A part that would speak against itself weighs nothing.

    Args:
        of_parts: Raw score of each part, shape (n, parts).
        data: Labels of all rows.
        rows: Which rows to fit on.
    """
    if of_parts.shape[1] == 1:
        return np.ones(1), 0.0
    is_male = data.is_male[rows]
    scale = of_parts[rows].std(axis=0)
    # A part that scores all alike tells nothing; any divisor leaves its weight at 0.
    scale[scale == 0] = 1.0
    model = LogisticRegression(max_iter=1000)
    model.fit(of_parts[rows] / scale, is_male, sample_weight=balanced(np.ones(len(rows)), is_male))
    return np.maximum(model.coef_[0], 0.0) / scale, float(model.intercept_[0])


def fit_child_head(adults: Labelled, children: Labelled) -> ChildHead:
    """Return the head that tells children from adults.

    Children and adults weigh the same. Half of the adults' weight is on those of the children's corpora, where there
    are some: what tells two corpora apart must not pass for what tells children apart.

    Args:
        adults: Voiceprints of adults.
        children: Voiceprints of children.

    Raises:
        InputError: Where the voiceprints of children have another dimension.
    """
    of_adults, of_children = (data.voiceprints.vectors.shape[1] for data in (adults, children))
    if of_adults != of_children:
        raise InputError(f"voiceprints of children have {of_children} values where those of adults have {of_adults}")
    vectors = np.concatenate((adults.voiceprints.vectors, children.voiceprints.vectors)).astype(np.float64)
    is_child = np.arange(len(vectors)) >= len(adults.clips)
    corpora = {clip.corpus for clip in children.clips}
    beside = np.array([clip.corpus in corpora for clip in adults.clips], bool)
    weights = np.ones(len(vectors))
    weights[is_child] /= is_child.sum()
    for group in (beside, ~beside) if 0 < beside.sum() < len(beside) else (beside | True,):
        weights[: len(adults.clips)][group] = 1.0 / group.sum()
    weights[~is_child] /= weights[~is_child].sum()
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    deviation[deviation < 1e-6] = 1.0
    model = LogisticRegression(C=CHILD_REGULARISATION, max_iter=1000, tol=1e-8)
    model.fit((vectors - mean) / deviation, is_child, sample_weight=weights * len(weights) / 2)
    weight, bias = model.coef_[0], float(model.intercept_[0])
    return ChildHead(Head.of_standardised(adults.voiceprints.model, mean, deviation, weight, bias), CHILD_PRIOR)


def fused(heads: Sequence[Head], weights: NDArray[np.float64], bias: float) -> Head:
    """Return one head that scores like the weighted sum of several, plus a bias."""
    weight = sum(share * head.weight.astype(np.float64) for share, head in zip(weights, heads, strict=True))
    total = sum(share * head.bias for share, head in zip(weights, heads, strict=True)) + bias
    return Head(heads[0].model, np.asarray(weight, np.float32), float(total))


def fit_calibration(raw: NDArray[np.float64], data: Labelled, rows: NDArray[np.int64]) -> Calibration:
    """Return the calibration that costs least (in Cllr) on some rows of the data.

    Logistic regression under weights that balance the genders gives log odds at even priors, which are LLRs. Each clip
    weighs the same, because clips are what is scored. The LLRs are bounded by the rule of succession: even after ``n``
    speakers without an error, the next one would err with a probability of 1 / (n + 2), so that odds beyond ``n + 1``
    are more than the data supports. Both genders count together: neither end of the scale is taken to be surer.

    Few speakers can show no error at all, and no slope is then too steep; or their slope can come out negative at some
    speech length. Neither tells how evidence grows with speech, so that one slope for all lengths is fitted instead, to
    labels that err as seldom as the same rule says. This gives a finite slope to whatever data (Platt, 1999,
    "Probabilistic outputs for support vector machines", section 2.2, with speakers in place of clips).

    Args:
        raw: Raw scores of all the data, shape (n,).
        data: Labels, speakers and speech lengths.
        rows: Which rows to fit on.

    Raises:
        InputError: Where men do not score above women.
    """
    speech_s = data.voiceprints.speech_s[rows].astype(np.float64)
    shortest, longest = (float(bound) for bound in np.quantile(speech_s, [0.02, 0.98]))
    doublings = np.log2(np.clip(speech_s, shortest, longest))
    is_male = data.is_male[rows]
    people = len(np.unique(data.speakers[rows]))
    # Scores of any unit are fitted alike, because solver and penalty see them in one unit.
    unit = float(raw[rows].std()) or 1.0
    score = raw[rows] / unit
    inputs = np.column_stack([score, score * doublings])
    # C is so large that there is practically no penalty: three numbers on hundreds of clips need none.
    model = LogisticRegression(C=1e6, max_iter=1000, tol=1e-10)
    model.fit(inputs, is_male, sample_weight=balanced(np.ones(len(rows)), is_male))
    slope, slope_per_doubling = (float(value) for value in model.coef_[0])
    offset = float(model.intercept_[0])
    at_ends = slope + slope_per_doubling * np.log2([shortest, longest])
    if at_ends.min() <= 0 or np.array_equal(model.predict(inputs), is_male):
        slope, offset = _careful_slope(score, is_male, error=1 / (people + 2))
        slope_per_doubling = 0.0
    return Calibration(
        slope=slope / unit,
        slope_per_doubling=slope_per_doubling / unit,
        offset=offset,
        bound=float(np.log(people + 1)),
        min_speech_s=shortest,
        max_speech_s=longest,
    )


def _careful_slope(score: NDArray[np.float64], is_male: NDArray[np.bool_], error: float) -> tuple[float, float]:
    """Return slope and offset of LLRs as if each label were wrong with some probability."""
    model = LogisticRegression(C=1e6, max_iter=1000, tol=1e-10)
    weights = balanced(np.ones(len(score)), is_male)
    model.fit(
        np.tile(score, 2)[:, np.newaxis],
        np.concatenate((is_male, ~is_male)),
        sample_weight=np.concatenate((weights * (1 - error), weights * error)),
    )
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        raise InputError(
            "the head's scores of men do not lie above those of women in the calibration data; check its labels, or "
            "calibrate on more speakers"
        )
    return slope, offset

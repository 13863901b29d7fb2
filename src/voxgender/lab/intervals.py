"""How far chance moves the figures: bootstrap intervals over speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from voxgender.lab.metrics import ECE_BINS, bin_of, is_wrong, pooled

RESAMPLES: Final = 1000
MIN_SPEAKERS: Final = 5
"""With fewer speakers, drawing them again and again shows nothing of how speakers differ."""
TAIL: Final = 0.025
"""Share of the resamples beyond each end of an interval."""
_LN2: Final = float(np.log(2))


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies in 95 % of the resamples."""

    low: float
    high: float


def intervals(
    llr: NDArray[np.float64],
    is_male: NDArray[np.bool_],
    speakers: NDArray[Any],
    *,
    hull: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return 95 % intervals of the figures, by the names of ``Figures``.

    Clips of one speaker are alike, so whole speakers are drawn, with replacement: as many men and as many women as
    there are (a stratified bootstrap, because most figures weigh the genders evenly; Efron and Tibshirani, 1993, "An
    introduction to the bootstrap", chapters 8, 10 and 13). The interval is that of the percentiles, moved so that the
    mean of the resamples lies at the figure itself: speakers that are drawn twice flatter pool-adjacent-violators and
    raise the ECE, and without that a figure could lie outside its own interval.

    Where there is no error, every resample has an accuracy of 1; then the lower end is the exact binomial one over
    speakers, ``0.025 ** (1 / n)``.

    Args:
        llr: Natural-log LLR of male against female, shape (n,); NaN (no speech) counts as 0.
        is_male: Labels, shape (n,).
        speakers: Speaker of each clip, shape (n,).
        hull: Whether to give EER, minCllr and calibration loss as well, which take a pool-adjacent-violators run for
            each resample; the others are matrix products.
        resamples: How many.
        seed: The same seed gives the same intervals.

    Returns:
        An interval for each of accuracy, balanced_accuracy, cllr, ece and, with ``hull``, eer, min_cllr and
        calibration_loss; accuracy alone where one gender is missing or has fewer than 5 speakers, and nothing where
        there are fewer than 5 in all.
    """
    llr = np.nan_to_num(llr, nan=0.0)
    # A speaker with both labels, as in a wrong manifest, counts as two.
    units, unit = np.unique(np.stack((is_male.astype(str), speakers.astype(str))), axis=1, return_inverse=True)
    unit = unit.reshape(-1)
    is_man = units[0] == "True"
    if len(is_man) < MIN_SPEAKERS:
        return {}
    weighed = min(int(is_man.sum()), int((~is_man).sum())) >= MIN_SPEAKERS
    # Accuracy alone weighs the clips, so that it needs no strata.
    strata = (is_man, ~is_man) if weighed else (np.ones(len(is_man), bool),)
    # The first row has each speaker once: it gives the figures themselves.
    drawn = np.vstack((np.ones(len(is_man)), _draw(strata, resamples, np.random.default_rng(seed))))
    wrong = is_wrong(llr, is_male)
    clips, errors = (_over_speakers(unit, values) for values in (np.ones(len(llr)), wrong))
    samples = {"accuracy": 1 - drawn @ errors / (drawn @ clips)}
    if weighed:
        samples |= _weighed(drawn, unit, is_man, llr, is_male)
    if weighed and hull:
        eer, min_cllr = _hulls(drawn, unit, llr, is_male)
        samples |= {"eer": eer, "min_cllr": min_cllr, "calibration_loss": samples["cllr"] - min_cllr}
    found = {name: _interval(name, values) for name, values in samples.items()}
    if not wrong.any():
        found |= {name: _without_errors(name, is_man) for name in ("accuracy", "balanced_accuracy") if name in found}
    return found


def _interval(name: str, values: NDArray[np.float64]) -> Interval:
    """The interval of a figure, from the figure itself and, after it, those of the resamples."""
    shift = values[0] - values[1:].mean()
    most = np.inf if "cllr" in name or name == "calibration_loss" else 1.0
    low, high = np.clip(np.quantile(values[1:], [TAIL, 1 - TAIL]) + shift, 0.0, most)
    return Interval(float(low), float(high))


def _without_errors(name: str, is_man: NDArray[np.bool_]) -> Interval:
    """The exact binomial interval of an accuracy that is 1."""
    if name == "accuracy":
        return Interval(TAIL ** (1 / len(is_man)), 1.0)
    return Interval(sum(TAIL ** (1 / int(gender.sum())) for gender in (is_man, ~is_man)) / 2, 1.0)


def _draw(strata: tuple[NDArray[np.bool_], ...], resamples: int, random: np.random.Generator) -> NDArray[np.float64]:
    """How often each speaker is drawn in each resample, shape (resamples, speakers)."""
    drawn = np.zeros((resamples, len(strata[0])))
    for stratum in strata:
        people = int(stratum.sum())
        drawn[:, stratum] = random.multinomial(people, np.full(people, 1 / people), size=resamples)
    return drawn


def _over_speakers(unit: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.float64]:
    """Sums over the clips of each speaker, shape (speakers,)."""
    return np.bincount(unit, values).astype(np.float64)


def _weighed(
    drawn: NDArray[np.float64],
    unit: NDArray[np.int64],
    is_man: NDArray[np.bool_],
    llr: NDArray[np.float64],
    is_male: NDArray[np.bool_],
) -> dict[str, NDArray[np.float64]]:
    """The figures that are sums over speakers, both genders weighing the same, in each resample."""
    clips, errors, cost = (
        _over_speakers(unit, values)
        for values in (np.ones(len(llr)), is_wrong(llr, is_male), np.logaddexp(0, np.where(is_male, -llr, llr)))
    )
    probability = expit(llr)
    gap = np.zeros((len(is_man), ECE_BINS))
    np.add.at(gap, (unit, bin_of(probability)), is_male - probability)
    balanced, costs, gaps = np.ones(len(drawn)), np.zeros(len(drawn)), np.zeros((len(drawn), ECE_BINS))
    for gender in (is_man, ~is_man):
        theirs = drawn[:, gender]
        count = theirs @ clips[gender]
        balanced -= theirs @ errors[gender] / count / 2
        costs += theirs @ cost[gender] / count / (2 * _LN2)
        gaps += theirs @ gap[gender] / count[:, np.newaxis] / 2
    return {"balanced_accuracy": balanced, "cllr": costs, "ece": np.abs(gaps).sum(axis=1)}


def _hulls(
    drawn: NDArray[np.float64], unit: NDArray[np.int64], llr: NDArray[np.float64], is_male: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """EER and minCllr of each resample; the scores are sorted once for all of them."""
    scores, place = np.unique(llr, return_inverse=True)
    eer, min_cllr = np.empty(len(drawn)), np.empty(len(drawn))
    for number, times in enumerate(drawn):
        weight = times[unit]
        men, women = (np.bincount(place, weight * gender, minlength=len(scores)) for gender in (is_male, ~is_male))
        hull = pooled(men.astype(np.float64), women.astype(np.float64))
        eer[number], min_cllr[number] = hull.eer, hull.min_cllr
    return eer, min_cllr

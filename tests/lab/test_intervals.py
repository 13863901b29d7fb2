"""Bootstrap intervals: by speaker, seeded, around the figure, and as wide as chance is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from voxgender.lab.intervals import Interval, intervals
from voxgender.lab.metrics import TITLES, figures

Scored = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]


def scored(seed: int, people: int, clips_each: int, of_speaker: float = 0.0) -> Scored:
    """LLRs of as many men as women; ``of_speaker`` is how far those of one speaker lie together."""
    random = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(people), clips_each)
    is_male = speakers % 2 == 0
    shared = random.normal(0, 1, people)[speakers] * of_speaker
    own = random.normal(0, 1, len(speakers)) * np.sqrt(1 - of_speaker**2)
    return np.where(is_male, 3.0, -3.0) + 2.4 * (shared + own), is_male, speakers


@pytest.fixture(scope="module")
def typical() -> Scored:
    return scored(1, people=300, clips_each=3)


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_each_figure_lies_in_its_interval_and_each_interval_has_a_width(typical: Scored) -> None:
    told, around = figures(*typical), intervals(*typical)
    assert set(around) == set(TITLES)
    for name, interval in around.items():
        assert interval.low < getattr(told, name) < interval.high, name


def test_the_same_seed_gives_the_same_intervals_and_another_one_others(typical: Scored) -> None:
    assert intervals(*typical, resamples=100) == intervals(*typical, resamples=100)
    assert intervals(*typical, resamples=100) != intervals(*typical, resamples=100, seed=1)


def test_clips_of_one_speaker_that_are_alike_count_as_few() -> None:
    apart = intervals(*scored(2, 150, 8), hull=False)["cllr"]
    alike = intervals(*scored(2, 150, 8, of_speaker=1.0), hull=False)["cllr"]
    assert width(alike) > 2 * width(apart)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    truth = figures(*scored(0, 40_000, 1)).cllr
    assert truth is not None
    found = (intervals(*scored(seed, 200, 2, of_speaker=0.7), hull=False, resamples=300) for seed in range(1, 101))
    held = sum(each["cllr"].low <= truth <= each["cllr"].high for each in found)
    assert 88 <= held <= 100


def test_without_an_error_the_interval_is_the_exact_binomial_one_over_speakers() -> None:
    _, is_male, speakers = scored(3, 20, 2)
    around = intervals(np.where(is_male, 2.0, -2.0), is_male, speakers)
    assert around["accuracy"] == Interval(pytest.approx(0.025 ** (1 / 20)), 1.0)
    assert around["balanced_accuracy"] == Interval(pytest.approx(0.025 ** (1 / 10)), 1.0)


def test_one_gender_alone_gives_the_accuracy_s_interval_and_few_speakers_give_none(typical: Scored) -> None:
    llr, is_male, speakers = typical
    men = intervals(llr[is_male], is_male[is_male], speakers[is_male])
    assert set(men) == {"accuracy"}
    few_women = is_male | (speakers < 8)
    assert set(intervals(llr[few_women], is_male[few_women], speakers[few_women])) == {"accuracy"}
    assert intervals(llr[:12], is_male[:12], speakers[:12]) == {}


def test_a_speaker_with_both_labels_does_not_mix_them() -> None:
    llr, is_male, speakers = scored(4, 40, 2)
    relabelled = np.where(speakers == 1, 0, speakers)
    assert intervals(llr, is_male, relabelled, resamples=50) == intervals(llr, is_male, speakers, resamples=50)


def test_three_thousand_clips_take_less_than_two_seconds_of_work() -> None:
    data = scored(5, 1700, 2)
    start = time.process_time()
    intervals(*data)
    assert time.process_time() - start < 2

"""Heads of the parts of a vector, what each part weighs, and calibrations of few or foreign data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voxgender.core.calibration import Calibration
from voxgender.core.errors import InputError
from voxgender.core.head import Head
from voxgender.core.scorer import CalibratedHead
from voxgender.core.voiceprint import Voiceprints
from voxgender.lab.data import Labelled
from voxgender.lab.manifest import Clip
from voxgender.lab.metrics import cllr, min_cllr
from voxgender.lab.training import fit_calibration, fit_fusion, fit_heads, fused, recalibrate, train_head

FIRST, SECOND = 5, 3
PARTS = (FIRST, SECOND)


def labelled(seed: int, people: int, first: float, second: float, clips_each: int = 2) -> Labelled:
    """Vectors of two parts, in each of which men and women lie so many deviations to both sides of the middle."""
    random = np.random.default_rng(seed)
    is_male = np.repeat(np.arange(people) % 2 == 0, clips_each)
    clips = [
        Clip(Path("-"), "x", "made", f"{seed}-{row // clips_each}", bool(male), is_child=False)
        for row, male in enumerate(is_male)
    ]
    vectors = random.normal(size=(len(clips), sum(PARTS)))
    vectors[:, 0] += np.where(is_male, first, -first)
    vectors[:, FIRST] += np.where(is_male, second, -second)
    speech_s = random.uniform(0.5, 9, len(clips)).astype(np.float32)
    return Labelled(clips, Voiceprints("two", speech_s, vectors.astype(np.float32)), [], [])


def accuracy(head: CalibratedHead, data: Labelled) -> float:
    return float(np.mean((head.llr(data.voiceprints) > 0) == data.is_male))


def cost(llr: NDArray[np.float64], data: Labelled) -> tuple[float, float]:
    """Cllr and minCllr."""
    men, women = llr[data.is_male], llr[~data.is_male]
    return cllr(men, women), min_cllr(men, women)


# --- Heads of parts -------------------------------------------------------------------------------------------------


def test_the_head_of_a_part_has_weights_for_its_part_alone() -> None:
    first, second = fit_heads(labelled(1, 200, 1, 1), PARTS, 0.01)
    assert np.all(first.weight[:FIRST] != 0)
    assert np.all(first.weight[FIRST:] == 0)
    assert np.all(second.weight[:FIRST] == 0)
    assert np.all(second.weight[FIRST:] != 0)


def test_the_head_of_a_part_is_the_one_that_the_part_alone_would_have() -> None:
    data = labelled(1, 200, 1, 2)
    columns = data.voiceprints
    alone = replace(data, voiceprints=Voiceprints("two", columns.speech_s, columns.vectors[:, FIRST:]))
    (expected,) = fit_heads(alone, [SECOND], 0.01)
    second = fit_heads(data, PARTS, 0.01)[1]
    assert np.array_equal(second.weight[FIRST:], expected.weight)
    assert second.bias == pytest.approx(expected.bias)


def test_the_same_data_gives_the_same_bits() -> None:
    one, two = (train_head(labelled(1, 100, 1, 1), labelled(2, 100, 1, 1), parts=PARTS) for _ in range(2))
    assert one.head.head.weight.tobytes() == two.head.head.weight.tobytes()
    assert (one.head.head.bias, one.head.calibration) == (two.head.head.bias, two.head.calibration)
    assert np.array_equal(one.cross_llr, two.cross_llr)


@pytest.mark.parametrize("parts", [(5, 2), (5, 3, 1), (9,)])
def test_parts_that_are_not_the_whole_vector_are_refused(parts: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=f"parts of {', '.join(map(str, parts))} values are no vector of 8 values"):
        train_head(labelled(1, 40, 1, 1), labelled(2, 40, 1, 1), parts=parts)


def test_a_vector_of_one_part_has_the_head_of_its_regression_whether_the_part_is_told_or_not() -> None:
    training, calibration = labelled(1, 100, 1, 1), labelled(2, 100, 1, 1)
    (expected,) = fit_heads(training, [8], 0.01)
    for parts in ((), (8,)):
        head = train_head(training, calibration, parts=parts, regularisation=0.01).head.head
        assert np.array_equal(head.weight, expected.weight)
        assert head.bias == expected.bias


# --- What parts weigh -----------------------------------------------------------------------------------------------


def weights_of(scores: NDArray[np.float64], data: Labelled) -> NDArray[np.float64]:
    """What a deviation of each part's score weighs."""
    return fit_fusion(scores, data, np.arange(len(scores)))[0] * scores.std(axis=0)


def test_a_part_of_pure_noise_weighs_next_to_nothing_in_whatever_unit_it_is() -> None:
    data = labelled(1, 1_000, 1, 0)
    useful, noise = data.voiceprints.vectors[:, 0].astype(np.float64), data.voiceprints.vectors[:, 1]
    for unit in (0.001, 1, 1_000):
        weights = weights_of(np.column_stack((useful, unit * noise)), data)
        assert weights[0] > 1
        assert weights[1] < 0.1
    units = np.array([1_000.0, 0.001])
    scores = np.column_stack((useful, noise))
    assert weights_of(scores * units, data) == pytest.approx(weights_of(scores, data))


def test_parts_that_tell_as_much_weigh_as_much_and_the_better_one_more() -> None:
    alike = labelled(1, 2_000, 1, 1)
    chosen = weights_of(alike.voiceprints.vectors[:, [0, FIRST]].astype(np.float64), alike)
    assert chosen[0] == pytest.approx(chosen[1], rel=0.2)
    uneven = labelled(1, 2_000, 1, 0.5)
    chosen = weights_of(uneven.voiceprints.vectors[:, [0, FIRST]].astype(np.float64), uneven)
    assert chosen[0] > 1.5 * chosen[1] > 0


def test_a_part_that_speaks_against_itself_or_says_always_the_same_weighs_nothing() -> None:
    data = labelled(1, 200, 1, 1)
    useful = data.voiceprints.vectors[:, 0].astype(np.float64)
    reversed_one = -data.voiceprints.vectors[:, FIRST].astype(np.float64)
    weights, _ = fit_fusion(np.column_stack((useful, reversed_one, np.full(len(useful), 2.0))), data, np.arange(400))
    assert weights[0] > 0
    assert weights[1:].tolist() == [0, 0]


def test_only_the_rows_that_were_asked_for_count() -> None:
    data = labelled(1, 200, 1, 1)
    scores = data.voiceprints.vectors[:, [0, FIRST]].astype(np.float64)
    rows = np.arange(200)
    expected = fit_fusion(scores, data, rows)
    scores[200:] *= -5
    assert np.array_equal(fit_fusion(scores, data, rows)[0], expected[0])


def test_a_part_that_is_better_on_the_training_data_only_is_not_preferred() -> None:
    """As of an encoder that was trained on the very clips that the heads are trained on."""
    training = labelled(1, 400, first=1.2, second=1.6)
    calibration, unseen = (labelled(seed, 400, first=1.2, second=0.1) for seed in (2, 3))
    of_first = accuracy(train_head(training, calibration, parts=PARTS).head, unseen)
    # One regression over the whole vector trusts the second part; this is what the parts are for.
    whole = accuracy(train_head(training, calibration).head, unseen)
    assert of_first > 0.85
    assert whole < of_first - 0.03


def test_fused_heads_score_like_the_weighted_sum_of_their_scores() -> None:
    data = labelled(1, 200, 1, 1)
    heads = fit_heads(data, PARTS, 0.01)
    weights, bias = np.array([0.7, 1.9]), -0.3
    vectors = labelled(2, 200, 1, 1).voiceprints.vectors
    expected = sum(weight * head.raw_scores(vectors) for weight, head in zip(weights, heads, strict=True)) + bias
    assert fused(heads, weights, bias).raw_scores(vectors) == pytest.approx(expected, abs=1e-5)


# --- Calibration ----------------------------------------------------------------------------------------------------

HEAD = Head("two", np.eye(1, FIRST + SECOND, dtype=np.float32)[0], 0.0)
"""Scores with the first value alone: a man's LLR is twice the distance times that."""


@pytest.mark.parametrize(("slope", "offset"), [(20.0, 0.0), (0.1, 0.0), (2.0, 4.0)])
def test_recalibration_makes_wrong_llrs_right_and_keeps_the_weights(slope: float, offset: float) -> None:
    before = CalibratedHead(HEAD, Calibration(slope, 0.0, offset, bound=20.0, min_speech_s=1.0, max_speech_s=8.0))
    data, unseen = labelled(1, 500, 1, 0), labelled(2, 2_000, 1, 0)
    made = recalibrate(before, data)
    wrong, least = cost(before.llr(unseen.voiceprints), unseen)
    right, _ = cost(made.head.llr(unseen.voiceprints), unseen)
    assert wrong > least + 0.2
    assert right < least + 0.02
    assert made.head.head is HEAD
    cross, least = cost(made.cross_llr, data)
    assert cross < least + 0.05


def test_a_clip_s_own_speaker_has_no_say_in_its_cross_validated_llr() -> None:
    before = CalibratedHead(HEAD, Calibration(1.0, 0.0, 0.0, bound=20.0, min_speech_s=1.0, max_speech_s=8.0))
    ordered = labelled(1, 40, 1, 0)
    order = np.concatenate((np.arange(0, 80, 2), np.arange(1, 80, 2)))  # the second clips after all first ones
    columns = ordered.voiceprints
    speech_s, vectors = columns.speech_s[order], columns.vectors[order]
    data = Labelled([ordered.clips[row] for row in order], Voiceprints("two", speech_s, vectors), [], [])
    one = recalibrate(before, data)
    # A second clip whose LLR is not at the bound, where nothing moves it.
    row = int(np.flatnonzero(np.abs(one.cross_llr[40:]) < 2)[0]) + 40
    moved = vectors.copy()
    moved[row - 40, 0] = -9
    other = replace(data, voiceprints=Voiceprints("two", speech_s, moved))
    two = recalibrate(before, other)
    assert one.cross_llr[row] == two.cross_llr[row]
    assert np.mean(one.cross_llr != two.cross_llr) > 0.5


def test_too_few_speakers_of_a_gender_are_refused_in_words() -> None:
    before = CalibratedHead(HEAD, Calibration(1.0, 0.0, 0.0, bound=20.0, min_speech_s=1.0, max_speech_s=8.0))
    with pytest.raises(InputError, match="the calibration split has 9 men; at least 10 are needed"):
        recalibrate(before, labelled(1, 18, 1, 0))


def test_it_does_not_matter_in_which_order_the_speakers_come() -> None:
    """A man after every four women: folds by turns would put all men into one."""
    data = labelled(1, 120, 1, 0)
    men, women = np.flatnonzero(data.is_male), np.flatnonzero(~data.is_male)
    order = np.concatenate([[man, *women[4 * turn : 4 * turn + 4]] for turn, man in enumerate(men[:30])])
    clips = [replace(data.clips[row], speaker=f"{place:04}") for place, row in enumerate(order)]
    columns = Voiceprints("two", data.voiceprints.speech_s[order], data.voiceprints.vectors[order])
    before = CalibratedHead(HEAD, Calibration(1.0, 0.0, 0.0, bound=20.0, min_speech_s=1.0, max_speech_s=8.0))
    llr = recalibrate(before, Labelled(clips, columns, [], [])).cross_llr
    assert np.isfinite(llr).all()


def slopes(calibration: Calibration) -> NDArray[np.float64]:
    """LLR per unit of raw score at the shortest and the longest speech."""
    speech_s = np.array([calibration.min_speech_s, calibration.max_speech_s])
    return calibration.slope + calibration.slope_per_doubling * np.log2(speech_s)


def scores_of(data: Labelled) -> NDArray[np.float64]:
    return HEAD.raw_scores(data.voiceprints.vectors)


@pytest.mark.parametrize("seed", range(25))
def test_ten_men_and_ten_women_who_overlap_have_a_calibration_that_is_worth_something(seed: int) -> None:
    data, unseen = labelled(seed, 20, 1, 0), labelled(1_000 + seed, 1_000, 1, 0)
    made = fit_calibration(scores_of(data), data, np.arange(40))
    assert slopes(made).min() > 0
    paid, least = cost(made.llr(scores_of(unseen), unseen.voiceprints.speech_s), unseen)
    assert paid < least + 0.2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distance", [5.0, 50.0])
def test_ten_men_and_ten_women_without_any_error_have_a_gentle_slope_and_no_limitless_one(
    seed: int, distance: float
) -> None:
    data = labelled(seed, 20, distance, 0)
    made = fit_calibration(scores_of(data), data, np.arange(40))
    speech_s = np.full(3, 3.0, np.float32)
    female, middle, male = made.llr(np.array([-distance, 0.0, distance]), speech_s)
    # The rule of succession: as sure as the bound at the typical voice, and not much before.
    assert male == pytest.approx(made.bound, abs=0.5)
    assert female == pytest.approx(-made.bound, abs=0.5)
    assert abs(middle) < 0.5
    assert made.slope_per_doubling == 0


def test_a_slope_that_would_be_negative_at_some_length_gives_one_slope_for_all_lengths() -> None:
    data = labelled(1, 40, 1, 0)
    raw = scores_of(data)
    # The longest speech says the opposite, as it may by chance among few speakers.
    raw[data.voiceprints.speech_s > 6] *= -1
    made = fit_calibration(raw, data, np.arange(80))
    assert made.slope > 0
    assert made.slope_per_doubling == 0


def test_llrs_do_not_depend_on_the_unit_of_the_scores() -> None:
    for distance in (1.0, 5.0):
        data = labelled(1, 40, distance, 0)
        raw = scores_of(data)
        rows, speech_s = np.arange(80), data.voiceprints.speech_s
        expected = fit_calibration(raw, data, rows).llr(raw, speech_s)
        for unit in (1e-6, 1e6):
            assert fit_calibration(raw * unit, data, rows).llr(raw * unit, speech_s) == pytest.approx(
                expected, abs=1e-3
            )


@pytest.mark.parametrize("factor", [-1.0, 0.0])
def test_scores_that_do_not_rise_from_women_to_men_are_refused_with_the_remedy(factor: float) -> None:
    data = labelled(1, 40, 1, 0)
    with pytest.raises(InputError, match="do not lie above those of women in the calibration data; check its labels"):
        fit_calibration(factor * scores_of(data), data, np.arange(80))


def test_a_head_can_be_trained_on_twenty_speakers_who_are_all_told_right() -> None:
    made = train_head(labelled(1, 20, 5, 5), labelled(2, 20, 5, 5), parts=PARTS)
    unseen = labelled(3, 200, 5, 5)
    assert accuracy(made.head, unseen) == 1
    assert slopes(made.head.calibration).min() > 0

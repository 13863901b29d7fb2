"""The head: vectors to raw scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.errors import VoiceprintModelError
from voxgender.core.head import Head


@given(st.integers(1, 40), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_the_raw_score_is_the_product_with_the_weights_plus_the_bias(dimension: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    # Small integers, whose sums float32 holds exactly.
    weight, vectors = random.integers(-50, 51, dimension), random.integers(-50, 51, (count, dimension))
    scores = Head("m", weight.astype(np.float32), 0.25).raw_scores(vectors.astype(np.float32))
    assert scores.dtype == np.float64
    assert scores.tolist() == [sum(int(v) * int(w) for v, w in zip(row, weight, strict=True)) + 0.25 for row in vectors]


def test_the_bias_is_added_in_double_precision() -> None:
    scores = Head("m", np.array([2.0**24], np.float32), 1.0).raw_scores(np.ones((1, 1), np.float32))
    assert scores.tolist() == [2.0**24 + 1]


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_folding_the_standardisation_into_the_weights_changes_no_score(dimension: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    mean, weight = random.normal(size=(2, dimension))
    deviation = random.uniform(0.1, 2.0, dimension)
    vectors = random.normal(size=(5, dimension)).astype(np.float32)
    head = Head.of_standardised("m", mean, deviation, weight, 0.5)
    assert head.weight.dtype == np.float32
    np.testing.assert_allclose(head.raw_scores(vectors), (vectors - mean) / deviation @ weight + 0.5, atol=1e-3)


@pytest.mark.parametrize("dimension", [1, 3])
def test_a_vector_of_another_dimension_is_refused_with_both(dimension: int) -> None:
    with pytest.raises(VoiceprintModelError, match=f"a vector of model 'm' has 2 values, not {dimension}"):
        Head("m", np.ones(2, np.float32), 0.0).raw_scores(np.ones((1, dimension), np.float32))


def test_sums_that_overflow_are_infinite_or_nan_without_a_warning() -> None:
    vectors = np.array([[3e38, 3e38], [-3e38, -3e38], [3e38, -3e38]], np.float32)
    scores = Head("m", np.full(2, 10, np.float32), 0.0).raw_scores(vectors)
    np.testing.assert_array_equal(scores, [np.inf, -np.inf, np.nan])


def test_a_head_prints_its_model_and_dimension_alone() -> None:
    assert repr(Head("ge2e-2", np.ones(3, np.float32), 0.0)) == "Head(model='ge2e-2', dimension=3)"


def test_a_vector_scores_the_same_bit_by_bit_alone_and_at_any_place_of_any_batch() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(300, 256)).astype(np.float32)
    head = Head("m", random.normal(size=256).astype(np.float32), bias=0.1)
    alone = np.array([head.raw_scores(vectors[row : row + 1])[0] for row in range(300)])
    for first in (0, 1, 7):
        for count in (2, 3, 64, 293):
            assert np.array_equal(head.raw_scores(vectors[first : first + count]), alone[first : first + count])

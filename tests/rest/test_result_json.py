"""The JSON that is written in columns says what each result says of itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxgender.core.decision import Decision
from voxgender.core.result import Results
from voxgender.rest.result_json import BLOCK_ROWS, FEW_ROWS, fits, json_blocks, json_bytes

decisions = st.builds(Decision, st.floats(0.001, 0.999), st.floats(0.5, 0.999))
speech = st.one_of(st.floats(0, 5e7, width=32), st.sampled_from([0.0, 0.005, 9999.99, 10000.0, 12345.678]))
llrs = st.one_of(
    st.floats(-98.5, 98.5, width=32), st.floats(-(2**-10), 2**-10, width=32), st.just(float("nan")), st.just(-0.0)
)
rows = st.lists(st.tuples(speech, llrs), max_size=3 * FEW_ROWS)
large = st.tuples(st.floats(0, 2.0**126, width=32), st.floats(-(2.0**99), 2.0**99, width=32))


def results_of(pairs: list[tuple[float, float]], decision: Decision) -> Results:
    columns = np.array(pairs, np.float32).reshape(-1, 2)
    return Results(columns[:, 0].copy(), columns[:, 1].copy(), decision)


def read(results: Results) -> list[object]:
    told: list[object] = json.loads(b"[" + b"".join(json_blocks(results)) + b"]")
    return told


@given(rows, decisions)
@example([(3.0, -0.00004)] * 20, Decision())
@example([(0.0, float("nan"))] * 20, Decision())
def test_columns_say_the_same_as_the_results_one_by_one(pairs: list[tuple[float, float]], decision: Decision) -> None:
    results = results_of(pairs, decision)
    assert fits(results)
    assert read(results) == [result.as_dict() for result in results]


@given(rows, large, decisions)
def test_numbers_that_do_not_fit_the_columns_are_written_all_the_same(
    pairs: list[tuple[float, float]], one: tuple[float, float], decision: Decision
) -> None:
    results = results_of([*pairs, *[(1.0, 2.0)] * FEW_ROWS, one], decision)
    assert read(results) == [result.as_dict() for result in results]


@pytest.mark.parametrize("count", [FEW_ROWS + 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS])
@pytest.mark.parametrize("llr", [1.5, float("nan"), 1e6])
def test_blocks_join_to_one_list_whose_length_is_known_where_it_fits(count: int, llr: float) -> None:
    results = Results(np.arange(count, dtype=np.float32), np.full(count, llr, np.float32))
    assert [one["speech_length"] for one in read(results)] == list(range(count))  # type: ignore[index]
    if fits(results):
        assert sum(map(len, json_blocks(results))) == json_bytes(count)


@pytest.mark.parametrize("count", [0, 1, FEW_ROWS])
def test_few_results_are_written_without_padding(count: int) -> None:
    text = b"".join(json_blocks(Results(np.ones(count, np.float32), np.ones(count, np.float32))))
    assert b" " not in text
    assert len(json.loads(b"[" + text + b"]")) == count

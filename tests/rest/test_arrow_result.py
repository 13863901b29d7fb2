"""Results as Arrow streams: PyArrow reads what the results say, bit by bit, and each gender is the decision's."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from voxgender.core.decision import Decision
from voxgender.core.result import Results
from voxgender.rest.arrow_result import BATCH_ROWS, arrow_stream

SCHEMA = pa.schema(
    [
        pa.field("speech_length", pa.float32(), nullable=False),
        pa.field("score_llr", pa.float32()),
        pa.field("male_probability", pa.float64()),
        pa.field("gender", pa.string(), nullable=False),
    ]
)

decisions = st.builds(
    Decision,
    st.floats(0, 1, exclude_min=True, exclude_max=True, allow_subnormal=False),
    st.one_of(st.sampled_from([0.5, 0.8, 1 - 2**-53]), st.floats(0.5, 1, exclude_max=True)),
)
llrs = st.one_of(st.sampled_from([0.0, -0.0, np.nan, 1e-30, 3e38]), st.floats(-20, 20, width=32))


@st.composite
def all_results(draw: st.DrawFn) -> Results:
    items = draw(st.lists(st.tuples(st.floats(0, 1e5, width=32), llrs), max_size=40))
    speech_s, llr = np.array(items, np.float32).reshape(-1, 2).T
    return Results(speech_s, llr, draw(decisions))


def read(results: Results, batch_rows: int = BATCH_ROWS) -> pa.Table:
    """What PyArrow reads."""
    with pa.ipc.open_stream(b"".join(arrow_stream(results, batch_rows))) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table


@given(all_results(), st.sampled_from([1, 7, 8, 9, BATCH_ROWS]))
def test_each_row_says_what_the_result_says(results: Results, batch_rows: int) -> None:
    table = read(results, batch_rows)
    assert table.schema == SCHEMA
    told = [(row.speech_s, row.llr, row.male_probability, row.gender) for row in results]
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == told


def test_llr_and_probability_are_null_where_nothing_can_be_told_and_only_there() -> None:
    table = read(Results(np.array([3, 0, 1], np.float32), np.array([-1, np.nan, 0], np.float32)))
    assert table["score_llr"].to_pylist() == [-1.0, None, 0.0]
    assert [number is None for number in table["male_probability"].to_pylist()] == [False, True, False]
    assert table["gender"].to_pylist() == ["female", "unknown", "unknown"]
    assert table["speech_length"].null_count == 0


def test_results_that_were_stored_are_written_alike() -> None:
    results = Results(np.array([3, 2], np.float32), np.array([-1, 1.5], np.float32), Decision(0.3))
    stored = Results.from_bytes(results.to_bytes(), results.decision)
    assert b"".join(arrow_stream(stored)) == b"".join(arrow_stream(results))


def test_results_leave_in_record_batches_of_bounded_size() -> None:
    rows = 2 * BATCH_ROWS + 1
    messages = list(arrow_stream(Results(np.ones(rows, np.float32), np.ones(rows, np.float32))))
    assert len(messages) == 1 + 3 + 1
    assert max(map(len, messages)) < 32 * BATCH_ROWS
    with pa.ipc.open_stream(b"".join(messages)) as reader:
        assert [batch.num_rows for batch in reader] == [BATCH_ROWS, BATCH_ROWS, 1]


def test_a_record_batch_is_made_when_it_is_asked_for() -> None:
    results = Results(np.ones(4, np.float32), np.zeros(4, np.float32))
    messages = arrow_stream(results, batch_rows=2)
    next(messages)
    next(messages)
    results.llr[2:] = 9  # nothing has been made of it yet
    with pa.ipc.open_stream(b"".join(arrow_stream(results, batch_rows=2))) as reader:
        expected = reader.read_all()["gender"].to_pylist()
    assert expected == ["unknown", "unknown", "male", "male"]
    late = b"".join([next(arrow_stream(results)), *messages])
    with pa.ipc.open_stream(late) as reader:
        assert reader.read_all()["gender"].to_pylist() == ["male", "male"]


def test_no_results_are_a_stream_without_rows() -> None:
    empty = np.empty(0, np.float32)
    assert read(Results(empty, empty)) == SCHEMA.empty_table()

"""Results: columns, single results, tables."""

from __future__ import annotations

import sys

import pytest

from voxgender.client.results import joined, of_errors, of_rows
from voxgender.client.wire import ResultRow, Score
from voxgender.core.errors import DependencyError, InputError
from voxgender.core.result import Result

MALE = ResultRow(3.5, [Score("male", 0.9, 2.1972), Score("female", 0.1, -2.1972)], "male", 1)
FEMALE = ResultRow(2.0, [Score("female", 0.8, 1.5), Score("male", 0.2, -1.5)], "female")
SILENT = ResultRow(0.0, [], "unknown")
RESULTS = joined([of_rows([4, 7], [MALE, SILENT], "b"), of_errors({5: InputError("no")}), of_rows([1], [FEMALE], "a")])


def test_rows_are_sorted_by_item_and_told_one_by_one() -> None:
    assert RESULTS.item.tolist() == [1, 4, 5, 7]
    assert (RESULTS[0], RESULTS[1], RESULTS[-1]) == (
        Result(2.0, -1.5, 0.2, "female"),
        Result(3.5, 2.1972, 0.9, "male"),
        Result(0.0, None, None, "unknown"),
    )
    assert repr(list(RESULTS)) == repr([RESULTS[place] for place in range(4)])
    assert RESULTS.gender == ["female", "male", "unknown", "unknown"]
    assert (list(RESULTS.errors), RESULTS.tasks) == ([5], ("b", "a"))
    with pytest.raises(IndexError):
        RESULTS[4]
    with pytest.raises(TypeError, match="slice"):
        RESULTS[0:2]  # type: ignore[index]


def test_the_arrow_table_has_null_where_nothing_can_be_told() -> None:
    rows = RESULTS.to_arrow().to_pylist()
    assert rows[0] == {
        "item": 1,
        "channel": 0,
        "speech_s": 2.0,
        "llr": -1.5,
        "male_probability": 0.2,
        "gender": "female",
        "error": None,
    }
    assert [row["llr"] for row in rows] == [-1.5, 2.1972, None, None]
    assert [row["speech_s"] for row in rows] == [2.0, 3.5, None, 0.0]
    assert [row["error"] for row in rows] == [None, None, "no", None]


def test_the_tables_of_pandas_and_arrow_say_the_same() -> None:
    frame, table = RESULTS.to_pandas(), RESULTS.to_arrow()
    assert list(frame) == table.column_names
    assert table.to_pandas().astype(object).fillna(0).equals(frame.astype(object).fillna(0))
    empty = joined([])
    assert (len(empty), len(empty.to_pandas()), empty.to_arrow().schema) == (0, 0, table.schema)


@pytest.mark.parametrize(("package", "method"), [("pandas", "to_pandas"), ("pyarrow", "to_arrow")])
def test_a_table_without_its_library_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, package: str, method: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=f"needs {package}; install it with: pip install"):
        getattr(RESULTS, method)()

"""Dask gives what Arrow gives, partition by partition."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voxgender import batch
from voxgender.core.base64 import encode_base64
from voxgender.core.errors import InputError
from voxgender.lake.dask import identify_pandas

dd = pytest.importorskip("dask.dataframe")
# What Dask itself calls in pandas.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")


@pytest.fixture
def folder(good: list[bytes], tmp_path: Path) -> Path:
    for part in range(4):
        rows = [*good[part * 10 : part * 10 + 10], b"{", None]
        texts = [None if one is None else encode_base64(one) for one in rows]
        ids = range(part * 100, part * 100 + len(rows))
        pq.write_table(pa.table({"id": ids, "voiceprint": rows, "text": texts}), tmp_path / f"{part}.parquet")
    return tmp_path


@pytest.mark.parametrize("backend", ["pyarrow", None])
@pytest.mark.parametrize(("column", "other"), [("voiceprint", "text"), ("text", "voiceprint")])
def test_dask_tells_of_each_row_what_arrow_does_and_keeps_the_other_columns(
    folder: Path, backend: str | None, column: str, other: str
) -> None:
    frame = dd.read_parquet(folder, dtype_backend=backend, split_row_groups=True, columns=["id", column])
    results = batch.identify_dask(frame, column=column)
    computed = results.compute(scheduler="synchronous").sort_values("id")
    expected = batch.identify(pq.read_table(folder).drop_columns(other), column=column).to_pandas()
    assert results.npartitions == 4
    assert list(results.columns) == list(computed.columns) == list(expected.columns)
    assert (results.dtypes == computed.dtypes).all()
    for name in expected.columns:
        assert computed[name].isna().tolist() == expected[name].isna().tolist()
        assert computed[name].dropna().tolist() == expected[name].dropna().tolist()


def test_a_pandas_frame_keeps_its_index(good: list[bytes]) -> None:
    import pandas as pd

    frame = pd.DataFrame({"voiceprint": good[:2], "name": ["a", "b"]}, index=[30, 10])
    results = identify_pandas(frame, batch.identifier())
    assert results.index.tolist() == [30, 10]
    assert results["name"].tolist() == ["a", "b"]
    assert results["gender"].isin(["male", "female", "unknown"]).all()


def test_a_column_that_cannot_hold_voiceprints_is_told_before_anything_runs(folder: Path) -> None:
    frame = dd.read_parquet(folder, dtype_backend="pyarrow")
    with pytest.raises(InputError, match="there is no column 'vp'"):
        batch.identify_dask(frame, column="vp")
    with pytest.raises(InputError, match="'id' is of type int64"):
        batch.identify_dask(frame, column="id")


def test_a_column_of_values_of_several_types_is_told_in_words(good: list[bytes]) -> None:
    import pandas as pd

    with pytest.raises(InputError, match="'voiceprint' holds values of several types"):
        identify_pandas(pd.DataFrame({"voiceprint": [good[0], 1.5]}), batch.identifier())

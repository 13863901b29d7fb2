"""Parquet files in bounded memory, and work in order."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voxgender.lake.parquet import BATCH_BYTES, BATCH_ROWS, ParquetOutput, ParquetSource
from voxgender.lake.pipeline import AHEAD, map_ahead

PEAK = """
import sys
from pathlib import Path
from voxgender.lake.parquet import ParquetSource
rows = sum(len(batch) for batch in ParquetSource.open([Path(sys.argv[1])]).batches())
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(rows, peak.split()[1])
"""


def peak_kb(path: Path) -> int:
    """Most memory that a process has taken up in which the file was read; checks that all rows were."""
    told = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, check=True, text=True).stdout
    rows, peak = map(int, told.split())
    assert rows == pq.read_metadata(path).num_rows
    return peak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's memory")
def test_a_row_group_of_any_size_is_read_in_the_memory_of_a_small_one(tmp_path: Path) -> None:
    peaks = []
    for count in (20_000, 300_000):  # 8 MB and 115 MB, one row group each
        data = np.random.default_rng(1).bytes(384 * count)
        column = pa.Array.from_buffers(pa.binary(384), count, [None, pa.py_buffer(data)])
        pq.write_table(pa.table({"voiceprint": column.cast(pa.binary())}), tmp_path / "x.parquet", row_group_size=count)
        peaks.append(peak_kb(tmp_path / "x.parquet"))
    assert peaks[1] - peaks[0] < 50_000


def test_rows_of_many_bytes_are_read_few_at_a_time(tmp_path: Path) -> None:
    wide = pa.table({"big": [np.random.default_rng(row).bytes(1_000_000) for row in range(40)]})
    pq.write_table(wide, tmp_path / "wide.parquet")
    batches = list(ParquetSource.open([tmp_path / "wide.parquet"]).batches())
    assert max(batch.nbytes for batch in batches) <= BATCH_BYTES
    assert pa.Table.from_batches(batches).equals(wide)
    narrow = pa.table({"small": range(BATCH_ROWS + 1)})
    pq.write_table(narrow, tmp_path / "narrow.parquet")
    assert [len(batch) for batch in ParquetSource.open([tmp_path / "narrow.parquet"]).batches()] == [BATCH_ROWS, 1]


def test_an_empty_file_has_columns_and_no_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.int8())}), tmp_path / "x.parquet")
    source = ParquetSource.open([tmp_path / "x.parquet"])
    assert (source.rows, source.schema.names, sum(map(len, source.batches()))) == (0, ["a"], 0)


def test_a_null_in_the_name_of_a_folder_is_one_and_a_column_of_that_name_goes_first(tmp_path: Path) -> None:
    folder = tmp_path / "k=__HIVE_DEFAULT_PARTITION__" / "a=name"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), folder / "x.parquet")
    (batch,) = ParquetSource.open([tmp_path]).batches()
    assert batch.to_pylist() == [{"a": 1, "k": None}]


def test_many_small_batches_are_written_as_one_row_group(tmp_path: Path) -> None:
    schema = pa.schema({"a": pa.int64(), "text": pa.string()})
    with ParquetOutput(tmp_path / "x.parquet", schema) as output:
        for number in range(50):
            output.write(pa.record_batch({"a": [number], "text": ["x"]}, schema=schema))
        assert not (tmp_path / "x.parquet").exists()
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups == 1
    assert pq.read_table(tmp_path / "x.parquet").column("a").to_pylist() == list(range(50))


def test_an_interruption_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ParquetOutput(tmp_path / "x.parquet", pa.schema({"a": pa.int64()})):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_and_few_pieces_are_held_at_a_time(threads: int) -> None:
    read = 0

    def pieces() -> Iterator[int]:
        nonlocal read
        for number in range(40):
            read += 1
            yield number

    for taken, result in enumerate(map_ahead(lambda number: number * number, pieces(), threads)):
        assert result == taken * taken
        assert read - taken <= AHEAD * threads


def test_what_the_work_raises_comes_in_its_place_and_no_thread_is_left() -> None:
    before = threading.active_count()
    results = map_ahead(lambda number: 1 // (3 - number), range(40))
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before

"""Spark in local mode, with the Java that is there: one session for all tests, in which two workers are started."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voxgender import batch
from voxgender.core.base64 import encode_base64
from voxgender.core.decision import Decision
from voxgender.core.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pyspark = pytest.importorskip("pyspark")
pytestmark = [
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs a Java runtime"),
    # What Spark itself does, and says of it.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning:py4j"),
]

QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
"""The compiler that starts soonest: a test ends before the other one has paid."""


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYSPARK_SUBMIT_ARGS", f"--driver-java-options '{QUICK_START}' pyspark-shell")
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "16",
            "spark.log.level": "ERROR",
        }
        builder = SparkSession.builder.master("local[2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        spark = builder.getOrCreate()
        yield spark
        spark.stop()


@pytest.fixture(scope="module")
def rows(good: list[bytes]) -> pa.Table:
    voiceprints = [*good, b"{", None]
    texts = [None if one is None else encode_base64(one) for one in voiceprints]
    return pa.table({"id": range(len(voiceprints)), "voiceprint": voiceprints, "text": texts})


@pytest.fixture(scope="module")
def frame(session: SparkSession, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    folder: Path = tmp_path_factory.mktemp("lake")
    for part in range(2):
        half = len(rows) // 2
        pq.write_table(rows.slice(part * half, half), folder / f"{part}.parquet")
    return session.read.parquet(str(folder))


def by_id(rows: list[Any]) -> list[dict[str, Any]]:
    return sorted((row if isinstance(row, dict) else row.asDict() for row in rows), key=lambda row: row["id"])


def test_spark_tells_of_each_row_what_arrow_does_and_keeps_the_other_columns(frame: DataFrame, rows: pa.Table) -> None:
    decision = Decision(male_prior=0.3, min_probability=0.9)
    results = batch.identify_spark(frame, decision=decision)
    expected = batch.identify(rows, decision=decision)
    assert results.columns == expected.schema.names
    assert by_id(results.collect()) == by_id(expected.to_pylist())


def test_spark_reads_base64_from_a_column_of_any_name(frame: DataFrame, rows: pa.Table) -> None:
    results = batch.identify_spark(frame.drop("voiceprint"), column="text")
    expected = batch.identify(rows.drop_columns("voiceprint"), column="text")
    assert by_id(results.collect()) == by_id(expected.to_pylist())


def test_a_column_that_cannot_hold_voiceprints_is_told_before_anything_runs(frame: DataFrame) -> None:
    with pytest.raises(InputError, match="there is no column 'vp'; choose one of: id, voiceprint, text"):
        batch.identify_spark(frame, column="vp")
    with pytest.raises(InputError, match="'id' is of type bigint"):
        batch.identify_spark(frame, column="id")

"""Voiceprints by the million, as columns: Arrow, Spark and Dask. It needs the extra ``voxgender[lake]``.

Data goes in with a column of voiceprints, binary or as Base64 in strings. It comes back with all its other columns and
with these:

* ``speech_s`` (float32): seconds of speech.
* ``llr`` (float32): natural-log likelihood ratio of male against female; null where nothing can be told.
* ``male_probability`` (float64): probability of a male voice; null where ``llr`` is.
* ``gender`` (string): ``male``, ``female`` or ``unknown``.
* ``error`` (string): null, or why there is no result, and then all of the above are null.

A bad voiceprint, or a null, has an error and stops nothing.

Example:
    >>> import numpy as np, pyarrow as pa
    >>> import voxgender
    >>> good = voxgender.encode_voiceprint(voxgender.Voiceprint("ge2e-2", 3.0, np.ones(286, np.float32)))
    >>> rows = pa.record_batch({"id": [7, 8], "voiceprint": [good, b"{"]})
    >>> [(row["id"], row["speech_s"], row["error"]) for row in identify(rows).to_pylist()]
    [(7, 3.0, None), (8, None, 'not a voiceprint: it ends too early (byte 1 of 1)')]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

from voxgender.core.decision import Decision

if TYPE_CHECKING:
    import dask.dataframe
    import pyarrow as pa
    import pyspark.sql

    from voxgender.lake.identifier import Identifier

_Rows = TypeVar("_Rows", "pa.RecordBatch", "pa.Table")


class Options(TypedDict, total=False):
    """What each function here takes by name.

    Attributes:
        column: Name of the column with the voiceprints; ``voiceprint`` without it.
        decision: Prior and smallest probability of a gender; even odds without it.
        model: A shipped model's id, or the path of a model folder, which must lie there on each worker.
    """

    column: str
    decision: Decision
    model: str | Path


def identify(rows: _Rows, **options: Unpack[Options]) -> _Rows:
    """Return the results of a record batch or of a table, as one of the same kind.

    Args:
        rows: With a column of type ``binary``, ``large_binary``, ``fixed_size_binary`` or ``binary_view``, or, for
            Base64, ``string``, ``large_string`` or ``string_view``, or with a dictionary of one of them.
        options: As :class:`Options` tells.

    Raises:
        InputError: Where there is no such column, it is of another type, or a column has the name of a result's.
        ModelError: Where the model cannot be loaded.
        DependencyError: Where pyarrow is not installed.
    """
    return identifier(**options).identify(rows)


def identify_batches(batches: Iterable[pa.RecordBatch], **options: Unpack[Options]) -> Iterator[pa.RecordBatch]:
    """Yield the results of each record batch, as :func:`identify` does; one at a time is in memory.

    ``batches`` may be a ``pyarrow.RecordBatchReader``, so that a data set of any size goes through.
    """
    return identifier(**options)(batches)


def identify_spark(frame: pyspark.sql.DataFrame, **options: Unpack[Options]) -> pyspark.sql.DataFrame:
    """Return the results of a Spark DataFrame, through ``mapInArrow``; see :func:`voxgender.lake.spark.mapping`."""
    from voxgender.lake import spark

    return spark.identify_spark(frame, identifier(**options))


def identify_dask(frame: dask.dataframe.DataFrame, **options: Unpack[Options]) -> dask.dataframe.DataFrame:
    """Return the results of a Dask DataFrame, through ``map_partitions``; see :mod:`voxgender.lake.dask`."""
    from voxgender.lake import dask

    return dask.identify_dask(frame, identifier(**options))


def identifier(**options: Unpack[Options]) -> Identifier:
    """Return the callable from record batches to their results, for any other engine.

    It holds settings only: where it is pickled and sent to other processes, each of them loads the model once.

    Raises:
        DependencyError: Where pyarrow is not installed.
    """
    from voxgender.lake.identifier import Identifier

    return Identifier(**options)

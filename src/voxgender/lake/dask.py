"""Dask and pandas: voices of a DataFrame, a partition at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from voxgender.core.errors import InputError
from voxgender.lake.identifier import Identifier

if TYPE_CHECKING:
    import dask.dataframe
    import pandas as pd


def identify_dask(frame: dask.dataframe.DataFrame, identifier: Identifier) -> dask.dataframe.DataFrame:
    """Return the results of a Dask DataFrame; nothing is computed before they are asked for.

    Args:
        frame: Its partitions are scored apart. Read it with ``dtype_backend="pyarrow"``: other columns of bytes are a
            Python object a value.
        identifier: Its settings travel to the workers, and each loads the model once.

    Raises:
        InputError: Where the voiceprints' column is missing or of a type that holds none, or another one has the name
            of one that is to be added.
    """
    meta = identify_pandas(frame._meta, identifier)
    results: dask.dataframe.DataFrame = frame.map_partitions(identify_pandas, identifier, meta=meta)  # type: ignore[no-untyped-call]
    return results


def identify_pandas(frame: pd.DataFrame, identifier: Identifier) -> pd.DataFrame:
    """Return the results of a pandas DataFrame, with its index; texts are of pandas' ``string[pyarrow]``.

    Raises:
        InputError: As :func:`identify_dask` does.
    """
    import pandas as pd

    identifier.check_names([str(name) for name in frame.columns])
    try:
        table = pa.Table.from_pandas(frame[[identifier.column]], preserve_index=False)
    except pa.ArrowException:
        raise InputError(
            f"the column {identifier.column!r} holds values of several types; voiceprints are bytes, or Base64 in texts"
        ) from None
    results = identifier.identify(table).to_pandas(types_mapper={pa.string(): pd.StringDtype("pyarrow")}.get)
    return pd.concat([frame.drop(columns=identifier.column), results.set_index(frame.index)], axis="columns")

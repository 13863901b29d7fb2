"""Spark: voices of a DataFrame through ``mapInArrow``. The workers need voxgender with this extra, and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from voxgender.core.errors import InputError
from voxgender.lake.identifier import RESULT_FIELDS, Identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


def identify_spark(frame: DataFrame, identifier: Identifier) -> DataFrame:
    """Return the results of a DataFrame; nothing is computed before they are asked for.

    Raises:
        InputError: As :func:`mapping` does.
    """
    return frame.mapInArrow(*mapping(frame.schema, identifier))


def mapping(schema: StructType, identifier: Identifier) -> tuple[Identifier, StructType]:
    """Return the two arguments of ``mapInArrow``: what maps record batches, and the columns that it gives.

    Args:
        schema: The columns of the DataFrame.
        identifier: What maps them. Its settings travel to the workers, and each loads the model once.

    Raises:
        InputError: Where the voiceprints' column is missing or neither ``binary`` nor ``string``, or another one has
            the name of one that is to be added.
    """
    from pyspark.sql.types import BinaryType, DoubleType, FloatType, StringType, StructField, StructType

    identifier.check_names(schema.names)
    kind = schema[identifier.column].dataType
    if not isinstance(kind, BinaryType | StringType):
        raise InputError(
            f"the column {identifier.column!r} is of type {kind.simpleString()}; voiceprints are binary, or Base64 in "
            "a string column"
        )
    types = {pa.float32(): FloatType(), pa.float64(): DoubleType(), pa.string(): StringType()}
    kept = [field for field in schema.fields if field.name != identifier.column]
    return identifier, StructType([*kept, *(StructField(field.name, types[field.type]) for field in RESULT_FIELDS)])

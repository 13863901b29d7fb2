"""What tells the voices of a record batch: picklable settings, whose scorer each process loads once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from voxgender.core.decision import EQUAL_PRIORS, GENDERS, Decision
from voxgender.core.errors import InputError
from voxgender.core.scorer import Scorer
from voxgender.files.heads import load_scorer
from voxgender.files.models import DEFAULT_MODEL
from voxgender.lake.column import Scores, holds_voiceprints, score_column

DEFAULT_COLUMN: Final = "voiceprint"
RESULT_FIELDS: Final = (
    pa.field("speech_s", pa.float32()),
    pa.field("llr", pa.float32()),
    pa.field("male_probability", pa.float64()),
    pa.field("gender", pa.string()),
    pa.field("error", pa.string()),
)
"""The columns that are added; all can be null."""

_GENDERS: Final = pa.array(GENDERS, pa.string())
_Rows = TypeVar("_Rows", pa.RecordBatch, pa.Table)


@dataclass(frozen=True, slots=True)
class Identifier:
    """Tells the perceived gender of the voices in Arrow data. Calling it does so for record batches one after another.

    It holds settings only, so it can be sent to another process, which loads the model once, whatever it is sent.

    Attributes:
        column: Name of the column with the voiceprints.
        decision: Prior and smallest probability of a gender.
        model: A shipped model's id, or the path of a model folder.
    """

    column: str = DEFAULT_COLUMN
    decision: Decision = EQUAL_PRIORS
    model: str | Path = DEFAULT_MODEL

    def result_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the columns of the result for data with such columns: all but the voiceprints, and the results.

        Raises:
            InputError: Where there is no such column, it is of a type that holds no voiceprints, or another one has the
                name of one that is to be added.
        """
        self.check(schema)
        return pa.schema([*(field for field in schema if field.name != self.column), *RESULT_FIELDS])

    def check(self, schema: pa.Schema) -> None:
        """Check that data with such columns can be read; raises as :meth:`result_schema` does."""
        self.check_names(schema.names)
        kind = schema.field(self.column).type
        if not holds_voiceprints(kind):
            raise InputError(
                f"the column {self.column!r} is of type {kind}; voiceprints are binary, or Base64 in a string column"
            )

    def check_names(self, names: list[str]) -> None:
        """Check the names of the columns.

        Raises:
            InputError: Where the voiceprints' is not among them, or is twice, or one is that of a result.

        Example:
            >>> Identifier("vp").check_names(["id", "print"])
            Traceback (most recent call last):
            voxgender.core.errors.InputError: there is no column 'vp'; choose one of: id, print
        """
        if names.count(self.column) != 1:
            found = "there are two columns" if self.column in names else "there is no column"
            raise InputError(f"{found} {self.column!r}; choose one of: {', '.join(names) or 'none there are'}")
        results = {field.name for field in RESULT_FIELDS}
        if taken := [name for name in names if name in results]:
            raise InputError(f"there is a column {taken[0]!r} already, which a result would have; rename it")

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the result of each record batch; holds one at a time."""
        return map(self.identify, batches)

    def identify(self, rows: _Rows) -> _Rows:
        """Return the results of a record batch or a table, as one of the same kind: see :mod:`voxgender.batch`.

        Raises:
            InputError: As :meth:`result_schema` does. A bad voiceprint raises nothing.
            ModelError: Where the model cannot be loaded.
        """
        schema = self.result_schema(rows.schema)
        if isinstance(rows, pa.Table):
            return pa.Table.from_batches(map(self.identify, rows.to_batches()), schema)
        kept: list[pa.Array] = [
            rows.column(place) for place, name in enumerate(rows.schema.names) if name != self.column
        ]
        return pa.RecordBatch.from_arrays([*kept, *self.result_columns(rows.column(self.column))], schema=schema)

    def result_columns(self, column: pa.Array) -> list[pa.Array]:
        """Return what :data:`RESULT_FIELDS` say of a column of voiceprints."""
        scores = score_column(column, _scorer(self.model))
        probability = self.decision.male_probability(scores.llr)
        codes = pa.array(self.decision.gender_codes(probability).astype(np.int8), mask=_is_error(scores))
        return [
            _numbers(scores.speech_s),
            _numbers(scores.llr),
            _numbers(probability),
            _GENDERS.take(codes),
            _errors(scores),
        ]


@cache
def _scorer(model: str | Path) -> Scorer:
    return load_scorer(model)


def _numbers(values: NDArray[Any]) -> pa.Array:
    """Return numbers as an Arrow array, null where they are NaN."""
    is_null = np.isnan(values)
    return pa.array(values, mask=is_null if is_null.any() else None)


def _is_error(scores: Scores) -> NDArray[np.bool_] | None:
    if not scores.errors:
        return None
    is_error = np.zeros(len(scores.llr), np.bool_)
    is_error[list(scores.errors)] = True
    return is_error


def _errors(scores: Scores) -> pa.Array:
    if not scores.errors:
        return pa.nulls(len(scores.llr), pa.string())
    return pa.array([scores.errors.get(row) for row in range(len(scores.llr))], pa.string())

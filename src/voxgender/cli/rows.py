"""Record batches as lines of text, with numbers of the results rounded as they are everywhere in text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import click
import pyarrow as pa
import pyarrow.compute as pc

from voxgender.cli.csv_lines import csv_lines
from voxgender.core.base64 import encode_base64
from voxgender.core.result import LLR_DIGITS, PROBABILITY_DIGITS, SPEECH_DIGITS

_DIGITS: Final = {"speech_s": SPEECH_DIGITS, "llr": LLR_DIGITS, "male_probability": PROBABILITY_DIGITS}


class Rows(Protocol):
    """Takes record batches."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""


class JsonRows:
    """Writes an object a line; null is ``null``, bytes are Base64, and what JSON does not know is text."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = schema.names

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        rows = zip(*_columns(batch), strict=True)
        lines = (json.dumps(dict(zip(self._names, row, strict=True)), default=_text) for row in rows)
        click.echo("".join(f"{line}\n" for line in lines), nl=False)


class CsvRows:
    """Writes a head and a line a row; null is empty, bytes are Base64, and lists and objects are JSON."""

    def __init__(self, schema: pa.Schema) -> None:
        click.echo(csv_lines([schema.names]), nl=False)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        rows = zip(*([_cell(value) for value in column] for column in _columns(batch)), strict=True)
        click.echo(csv_lines(rows), nl=False)


FORMS: Final[Mapping[str, Callable[[pa.Schema], Rows]]] = {"jsonl": JsonRows, "csv": CsvRows}


def _columns(batch: pa.RecordBatch) -> list[list[Any]]:
    """Return the values of each column; numbers that are not finite have no place in JSON and are None."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in _DIGITS:
            column = pc.round(column.cast(pa.float64()), _DIGITS[name])
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column, None)
        columns.append(column.to_pylist())
    return columns


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, default=_text)
    return _text(value) if isinstance(value, bytes) else value


def _text(value: object) -> str:
    return encode_base64(value) if isinstance(value, bytes) else str(value)

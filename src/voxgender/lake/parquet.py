"""Parquet files in bounded memory: many are read as one stream of record batches, and one is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from voxgender.core.errors import InputError

SUFFIX: Final = ".parquet"
BATCH_ROWS: Final = 16_384
BATCH_BYTES: Final = 16 * 1024**2
"""Most rows and, by the file's average, bytes of a record batch that is read."""
READ_BYTES: Final = 1024**2
"""Bytes of each column that are read at a time; without it, a row group's whole column is."""
GROUP_BYTES: Final = 32 * 1024**2
"""Bytes of a row group that is written, as they are in memory."""
AHEAD_BYTES: Final = 256 * 1024**2
"""Most that is read ahead of its use, into the system's memory, not ours."""
HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
"""Name that stands for a null in the name of a folder."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One file.

    Attributes:
        path: Where it is.
        keys: What the names of its folders tell of all its rows (``year=2026``); None for a null.
        schema: Its columns, with those of the keys.
        rows: How many it has.
        batch_rows: How many are read at a time.
    """

    path: Path
    keys: Mapping[str, str | None]
    schema: pa.Schema = field(repr=False)
    rows: int
    batch_rows: int


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """Parquet files that follow each other as one stream.

    Attributes:
        parts: The files.
        schema: Their columns; all have the same ones.
    """

    parts: Sequence[_Part]
    schema: pa.Schema = field(repr=False)

    @classmethod
    def open(cls, paths: Sequence[Path]) -> Self:
        """Return what files and folders hold: of a folder all ``*.parquet`` in it, in the order of their names.

        Folders and files whose names begin with "_" or "." are passed over, as Spark and Arrow do. A folder's name
        ``key=value`` makes a column of strings. The files' footers are read, no more.

        Raises:
            InputError: Where a file cannot be read or is not Parquet, a folder has none, or columns differ.
        """
        parts = [part for path in paths for part in (_folder_parts(path) if path.is_dir() else [_part(path, {})])]
        schema = parts[0].schema
        for part in parts:
            if not part.schema.equals(schema):
                raise InputError(f"{part.path} has other columns than {parts[0].path}; hand the two over one by one")
        return cls(parts, schema)

    @property
    def rows(self) -> int:
        """How many rows there are in all files."""
        return sum(part.rows for part in self.parts)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, in order, a piece of a row group at a time.

        Raises:
            InputError: Where a file cannot be read.
        """
        following = [*(part.path for part in self.parts[1:]), None]
        for part, after in zip(self.parts, following, strict=True):
            with _reading(part.path), pq.ParquetFile(part.path, buffer_size=READ_BYTES, pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    if group + 1 < file.num_row_groups:
                        _read_ahead(part.path, *_extent(file.metadata.row_group(group + 1)))
                    elif after is not None:
                        _read_ahead(after, 0, AHEAD_BYTES)
                    for batch in file.iter_batches(part.batch_rows, row_groups=[group], use_threads=False):
                        keys = [pa.repeat(pa.scalar(key, pa.string()), len(batch)) for key in part.keys.values()]
                        yield pa.RecordBatch.from_arrays([*batch.columns, *keys], schema=self.schema)


def _extent(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """Return where a row group begins in its file, and its bytes."""
    columns = [group.column(place) for place in range(group.num_columns)]
    first = min(column.dictionary_page_offset or column.data_page_offset for column in columns)
    return first, sum(column.total_compressed_size for column in columns)


def _read_ahead(path: Path, first: int, length: int) -> None:
    """Have the system read a part of a file while others are being scored.

    The readers of Parquet read when they need something, and wait for the disk each time.
    """
    if hasattr(os, "posix_fadvise"):
        # A file that cannot be opened is told of when its turn comes.
        with contextlib.suppress(OSError), path.open("rb") as file:
            os.posix_fadvise(file.fileno(), first, min(length, AHEAD_BYTES), os.POSIX_FADV_WILLNEED)


class ParquetOutput:
    """A Parquet file that is there once it is whole: until then it is written beside its place, as ``NAME.part``.

    Use it in a ``with`` statement; an exception within takes away what was written.

    Args:
        path: The file; one that is there already is replaced.
        schema: Its columns.

    Raises:
        InputError: Where it cannot be written.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._part = path.with_name(f"{path.name}.part")
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0
        # Numbers are all different; a dictionary of them would be made only to be thrown away.
        texts = [column.name for column in schema if not pa.types.is_floating(column.type)]
        with self._writing():
            self._writer = pq.ParquetWriter(self._part, schema, use_dictionary=texts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            with self._writing():
                if kind is None:
                    self._flush()
                self._writer.close()
                if kind is None:
                    self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)  # only there if it is not whole

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows; they are written when there are enough for a row group.

        Raises:
            InputError: Where they cannot be written.
        """
        self._batches.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= GROUP_BYTES:
            with self._writing():
                self._flush()

    def _flush(self) -> None:
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches, self._schema))
        self._batches.clear()
        self._bytes = 0

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{self._path} cannot be written: {_reason(error)}") from None


def _folder_parts(folder: Path) -> list[_Part]:
    names = sorted(path.relative_to(folder) for path in folder.rglob(f"*{SUFFIX}") if path.is_file())
    names = [name for name in names if not any(step.startswith(("_", ".")) for step in name.parts)]
    if not names:
        raise InputError(f"{folder} holds no Parquet file; their names end in {SUFFIX}")
    return [_part(folder / name, _keys(name)) for name in names]


def _keys(name: Path) -> dict[str, str | None]:
    """Return what the names of a file's folders tell.

    Example:
        >>> _keys(Path("year=2026/name=A%20B/part-0.parquet"))
        {'year': '2026', 'name': 'A B'}
    """
    pairs = (step.split("=", 1) for step in name.parent.parts if "=" in step)
    return {unquote(key): None if value == HIVE_NULL else unquote(value) for key, value in pairs}


def _part(path: Path, keys: Mapping[str, str | None]) -> _Part:
    with _reading(path), pq.ParquetFile(path) as file:
        found, schema = file.metadata, file.schema_arrow.remove_metadata()
    size_bytes = sum(found.row_group(group).total_byte_size for group in range(found.num_row_groups))
    batch_rows = min(BATCH_ROWS, max(1, BATCH_BYTES * found.num_rows // max(1, size_bytes)))
    keys = {key: value for key, value in keys.items() if key not in schema.names}
    schema = pa.schema([*schema, *(pa.field(key, pa.string()) for key in keys)])
    return _Part(path, keys, schema, found.num_rows, batch_rows)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return an error in one line."""
    told = error.strerror if isinstance(error, OSError) else None
    return told or str(error).splitlines()[0]

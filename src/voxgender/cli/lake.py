"""``voxgender identify`` of Parquet: files or folders of voiceprints to one file of results, or to lines of text."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from voxgender.cli.files import STDIN, progress_bar, report
from voxgender.core.errors import InputError

if TYPE_CHECKING:
    from voxgender.lake.identifier import Identifier

_MAGIC: Final = b"PAR1"


def is_parquet(name: str) -> bool:
    """Return whether a name on the command line is that of a folder or of a file that begins like Parquet."""
    path = Path(name)
    if name == STDIN or not path.is_file():
        return name != STDIN and path.is_dir()
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False  # whoever reads it as a recording tells what is wrong


def identify_parquet(names: Sequence[str], identifier: Identifier, output: Path | None, form: str) -> int:
    """Write the results of all rows, and return how many of them have an error.

    Args:
        names: Files and folders; they are read one after the other as one table.
        identifier: What tells the results.
        output: The Parquet file to write, which is there once it is whole; None for standard output.
        form: What is written to standard output, a key of ``voxgender.cli.rows.FORMS``.

    Raises:
        InputError: Where a file cannot be read or written, or has no such column. Standard output may have lines by
            then; a file is not left over.
    """
    from voxgender.cli.rows import FORMS
    from voxgender.lake.parquet import ParquetOutput, ParquetSource
    from voxgender.lake.pipeline import map_ahead

    if output is not None:
        _check_apart(output, [Path(name) for name in names])
    source = ParquetSource.open([Path(name) for name in names])
    schema = identifier.result_schema(source.schema)
    failed = 0
    with contextlib.ExitStack() as stack:
        writer = FORMS[form](schema) if output is None else stack.enter_context(ParquetOutput(output, schema))
        progress = stack.enter_context(progress_bar())
        bar = progress.add_task("scoring", total=source.rows)
        for results in map_ahead(identifier.identify, source.batches()):
            writer.write(results)
            failed += len(results) - results.column("error").null_count
            progress.advance(bar, len(results))
    if failed:
        report(
            names[0] if len(names) == 1 else "Parquet",
            f"{failed} of {source.rows} rows have an error; the column 'error' tells which",
        )
    return failed


def _check_apart(output: Path, sources: Sequence[Path]) -> None:
    """Check that what is written is not among what is read, now or when the command is run again."""
    place = output.resolve()
    for source in sources:
        if place.is_relative_to(source.resolve()):
            raise InputError(f"{output} is in what is read, {source}; choose another place for the results")

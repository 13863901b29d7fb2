"""What ``train`` and ``evaluate`` share: the data options, loading with a progress bar, and the table of figures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from voxgender.cli.files import progress_bar, quiet_libraries, report
from voxgender.core.errors import DependencyError, InputError

if TYPE_CHECKING:
    from voxgender.lab.data import Labelled
    from voxgender.lab.evaluation import Row
    from voxgender.lab.manifest import Clip

data_option = click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with manifest.csv (columns path, split, corpus, speaker, gender; optionally age).",
)


def need_lab() -> None:
    """Check that the extra is installed.

    Raises:
        DependencyError: Where it is not.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise DependencyError('this needs scikit-learn; install it with: pip install "voxgender[train]"') from None


def check_writable(folder: Path) -> None:
    """Make a folder, so that what takes minutes is not lost at its end.

    Raises:
        InputError: Where it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror}") from None


def load(clips: list[Clip], extractor: Path, description: str) -> Labelled:
    """Return the clips' voiceprints; what could not be used is told on standard error."""
    from voxgender.lab.data import load_labelled

    with quiet_libraries(), progress_bar() as progress:
        bar = progress.add_task(description, total=len(clips))
        data = load_labelled(clips, extractor, lambda: progress.advance(bar))
    for clip, reason in data.unreadable:
        report(str(clip.path), reason)
    if data.no_speech:
        click.echo(f"voxgender: {len(data.no_speech)} clips without speech are left out", err=True)
    return data


def print_figures(rows: Iterable[Row]) -> None:
    """Print a table of figures."""
    table = Table("group", "name", "clips", "speakers", "accuracy", "EER", "Cllr", "minCllr", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        told = row.figures
        numbers = [f"{told.accuracy:.1%}", "-" if told.eer is None else f"{told.eer:.1%}"]
        numbers += ["-" if cost is None else f"{cost:.3f}" for cost in (told.cllr, told.min_cllr)]
        table.add_row(row.group, row.name, str(told.clips), str(told.speakers), *numbers)
    Console(width=110, markup=False, emoji=False).print(table)

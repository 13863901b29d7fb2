"""What the laboratory's commands share: the data options, loading with a progress bar, and the table of figures."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table

from voxgender.cli.files import progress_bar, quiet_libraries, report
from voxgender.core.errors import DependencyError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxgender.lab.data import Labelled
    from voxgender.lab.evaluation import Row
    from voxgender.lab.manifest import Clip

_NEEDED: Final = {
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "swift_f0": "swift-f0",
    "matplotlib": "matplotlib",
    "jinja2": "Jinja2",
    "pyroomacoustics": "pyroomacoustics",
    "av": "PyAV",
    "threadpoolctl": "threadpoolctl",
}

data_option = click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with manifest.csv (columns path, split, corpus, speaker, gender; optionally age, language, channel, "
    "sample_rate, snr_db, licence).",
)


def need_lab() -> None:
    """Check that the extra is installed.

    Raises:
        DependencyError: Where it is not.
    """
    for module, package in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise DependencyError(f'this needs {package}; install it with: pip install "voxgender[train]"')


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


def load(clips: list[Clip], extractor: Path, description: str, voices: Sequence[Path] = ()) -> Labelled:
    """Return the clips' voiceprints; what could not be used is told on standard error.

    Args:
        clips: What to read, degrade and extract.
        extractor: The ``extractor`` folder of the model.
        description: What the progress bar says.
        voices: Recordings that babble is mixed from.
    """
    from voxgender.lab.data import load_labelled

    with quiet_libraries(), progress_bar() as progress:
        bar = progress.add_task(description, total=len(clips))
        data = load_labelled(clips, extractor, lambda: progress.advance(bar), voices=voices)
    for clip, reason in data.unreadable:
        report(str(clip.path), reason)
    if data.no_speech:
        click.echo(f"voxgender: {len(data.no_speech)} clips without speech are left out", err=True)
    return data


def measure_pitch(clips: list[Clip]) -> NDArray[np.float64] | None:
    """Return the median F0 of the clips' recordings, shape (n,); None where there are only voiceprints."""
    from voxgender.lab.pitch import pitches

    with quiet_libraries(), progress_bar() as progress:
        bar = progress.add_task("pitch", total=len({clip.path for clip in clips}))
        return pitches(clips, lambda: progress.advance(bar))


def credible(clips: list[Clip]) -> tuple[list[Clip], int]:
    """Return the clips whose label the pitch of the recording does not contradict, and how many it does."""
    from voxgender.lab.pitch import contradicted

    pitch_hz = measure_pitch(clips)
    if pitch_hz is None:
        return clips, 0
    wrong = contradicted(clips, pitch_hz)
    return [clip for clip, is_wrong in zip(clips, wrong, strict=True) if not is_wrong], int(wrong.sum())


def told(data: Labelled, split: str, contradicted: int) -> dict[str, object]:
    """Return what a head's card says of the data it was made from."""
    whole = [clip for clip in data.clips if clip.max_speech_s is None and not clip.degradation]
    corpora = sorted({clip.corpus for clip in data.clips})
    return {
        "split": split,
        "clips": len(whole),
        "degraded_copies": len(data.clips) - len(whole),
        "left_out_as_contradicted_by_pitch": contradicted,
        "speakers": len({clip.speaker_id for clip in data.clips}),
        "corpora": corpora,
        "licences": {
            corpus: sorted({clip.licence for clip in data.clips if clip.corpus == corpus and clip.licence})
            for corpus in corpora
        },
    }


def print_intervals(row: Row) -> None:
    """Print the figures of one row with their intervals, a line each."""
    from voxgender.lab.metrics import SHARES, TITLES

    click.echo(f"\n{row.name}, with 95 % intervals by speaker:")
    for name, title in TITLES.items():
        value, around = getattr(row.figures, name), row.intervals.get(name)
        if value is not None and around is not None:
            numbers = (value, around.low, around.high)
            told, low, high = (f"{number:.1%}" if name in SHARES else f"{number:.3f}" for number in numbers)
            click.echo(f"  {title:<17} {told:>6}  ({low} to {high})")


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

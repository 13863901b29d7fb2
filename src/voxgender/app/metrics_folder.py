"""Where the processes of one service count together: a folder of small files, one or two of each process.

It is the way of the library prometheus_client for several processes: each writes its own files through a memory map,
and whoever is asked for the metrics adds them all up. A file belongs to a place, not to a process: the worker that is
started in the place of a dead one goes on counting in the same file. So no count ever falls while the service runs,
and there are no more files than places, however often a worker dies.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from voxgender.app.disk import lock_now, make_private
from voxgender.core.errors import SettingsError

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""What the library looks for when a metric gets its first value; nobody need set it."""

_PREFIX: Final = "voxgender-metrics-"
_NEW_S: Final = 60.0
"""A folder that is younger may be one whose service has not marked it yet."""
_METRICS: Final = "voxgender.app.metrics"
FILE_BYTES: Final = 1024**2
"""Room of one file of a place: some thousand counts."""
_KINDS: Final = ("counter", "histogram", "gauge_livesum")
"""The library's names of its files, by the kinds of metrics that :mod:`voxgender.app.metrics` has."""

_joined: Path | None = None

log = structlog.get_logger()


@contextlib.contextmanager
def metrics_folder() -> Iterator[Path]:
    """Give a new folder for the time of the context.

    Raises:
        SettingsError: Where there is no place for it.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        mark = os.open(folder / ".mark", os.O_RDWR | os.O_CREAT, 0o600)
        lock_now(mark)
    except OSError as error:
        raise SettingsError(
            f"no folder can be made for the metrics' files: {error.strerror or error}; name a folder that can be "
            "written to by TMPDIR"
        ) from None
    _delete_left(folder.parent)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            for path in folder.glob("*.db"):  # the mark goes last: a folder of files without a mark is left alone
                path.unlink()
        os.close(mark)
        shutil.rmtree(folder, ignore_errors=True)


def _delete_left(parent: Path) -> None:
    """Delete the folders of services that were killed: nobody holds their marks, or they are empty."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    try:
        file = os.open(folder / ".mark", os.O_RDWR)
    except FileNotFoundError:
        # Its service was killed before it had made one. Where there are files, the mark of one that runs was deleted
        # with what is old in the folder of temporary files.
        return time.time() - folder.stat().st_mtime > _NEW_S and not any(folder.iterdir())
    try:
        return time.time() - os.fstat(file).st_mtime > _NEW_S and lock_now(file)
    finally:
        os.close(file)


def count_in(folder: Path | None, place: str) -> None:
    """Have this process count in a folder; to be called before anything of it imports the metrics.

    Args:
        folder: Which; None where the process counts for itself alone.
        place: Tells the process from all others that count there at the same time; of letters and digits.
    """
    if folder is None:
        return
    if _METRICS in sys.modules:
        # Its metrics count in memory already, as in a program that has begun something else before it serves.
        log.debug("metrics are of this process alone")
        return
    try:
        _fill(folder, place)
    except OSError as error:
        log.warning("metrics are of each process alone, because their folder cannot be used", error=error.strerror)
        return
    global _joined
    _joined = folder
    os.environ[_VARIABLE] = str(folder)
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]


def _fill(folder: Path, place: str) -> None:
    """Make a place's files with room for all that it counts: where a disk is full, a write into a map kills."""
    for kind in _KINDS:
        path = folder / f"{kind}_{place}.db"
        if not path.exists():
            # A file without all its room would be taken for a whole one by the next process of the place.
            draft = path.with_suffix(".draft")
            make_private(draft)
            draft.write_bytes(bytes(FILE_BYTES))
            draft.replace(path)


def joined_folder() -> Path | None:
    """Return the folder that this process counts in; None where it counts for itself alone."""
    return _joined


def forget_live(folder: Path | None, place: str) -> None:
    """Forget what counts only as long as its process lives, like open streams; the process has ended."""
    if folder is not None:
        for path in folder.glob(f"gauge_live*_{place}.db"):
            path.unlink(missing_ok=True)

"""Files on the command line: each is done in turn, a bad one is reported and the rest goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from voxgender.core.errors import InputError
from voxgender.files.models import DEFAULT_MODEL

T = TypeVar("T")

STDIN: Final = "-"
MAX_STDIN_BYTES: Final = 500 * 1024**2
"""Most bytes of standard input, as many as the reference product takes in a file."""


model_option = click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, help="Shipped model's id, or path of a model folder."
)


def source_of(name: str) -> Path | bytes:
    """Return the path that a name on the command line means, or for ``-`` the bytes of standard input.

    Raises:
        InputError: Where standard input is closed, or holds more than may be held in memory.
    """
    if name != STDIN:
        return Path(name)
    if sys.stdin is None:
        raise InputError("standard input is closed")
    data = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(data) > MAX_STDIN_BYTES:
        raise InputError(
            f"standard input has more than {MAX_STDIN_BYTES} bytes; hand over a file, which is read in pieces"
        )
    return data


def shown(text: str) -> str:
    r"""Return a name or a message with control characters and broken characters escaped.

    Example:
        >>> print(shown("a\nb"))
        a\nb
    """
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in text)


def report(name: str, message: str) -> None:
    """Tell on standard error, in one line, what there is to say of a file.

    Args:
        name: The file, as the user named it; it is put before the message unless the message begins with it.
        message: One sentence.
    """
    named = "" if message.startswith(name) else f"{name}: "
    click.echo(f"voxgender: {shown(named + message)}", err=True)


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep decoders written in C from printing at the user; what Python writes to standard error still gets there.

    mpg123 tells of each damaged frame on file descriptor 2 and has no switch for it; our own messages say what counts.
    """
    before = sys.stderr
    if before is None:
        yield
        return
    before.flush()
    kept = os.dup(2)
    try:
        with open(kept, "w", buffering=1, encoding=before.encoding, errors="replace", closefd=False) as ours:
            sys.stderr = ours
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            yield
    finally:
        sys.stderr = before
        os.dup2(kept, 2)
        os.close(kept)


def progress_bar() -> Progress:
    """Return a progress bar on standard error, which shows itself on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def for_each(names: Iterable[str], description: str, work: Callable[[str], T], then: Callable[[str, T], None]) -> int:
    """Do some work for each file and return how many of them failed.

    Args:
        names: As on the command line.
        description: What is done, for the progress bar.
        work: Gets a name.
        then: Gets the name and what ``work`` returned. An ``InputError`` of either is reported, and the rest goes on.
    """
    failed = 0
    listed = list(names)
    with quiet_libraries(), progress_bar() as progress:
        bar = progress.add_task(description, total=len(listed))
        for name in listed:
            try:
                then(name, work(name))
            except InputError as error:
                failed += 1
                report(name, str(error))
            progress.advance(bar)
    return failed

"""Files on the command line: each is done in turn, a bad one is reported and the rest goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from voxgender.core.errors import InputError

T = TypeVar("T")

STDIN = "-"


def source_of(name: str) -> Path | bytes:
    """Return the path that a name on the command line means, or for ``-`` the bytes of standard input."""
    return sys.stdin.buffer.read() if name == STDIN else Path(name)


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
        work: Gets a name; an ``InputError`` that it raises is reported, and the rest goes on.
        then: Gets the name and what ``work`` returned.
    """
    failed = 0
    listed = list(names)
    with progress_bar() as progress:
        bar = progress.add_task(description, total=len(listed))
        for name in listed:
            try:
                outcome = work(name)
            except InputError as error:
                failed += 1
                click.echo(f"voxgender: {name}: {error}", err=True)
            else:
                then(name, outcome)
            progress.advance(bar)
    return failed

"""``voxgender identify --server``: recordings and voiceprints to results, by a service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voxgender.cli.files import progress_bar, report, source_of
from voxgender.cli.lake import is_parquet
from voxgender.client import Client, Progress
from voxgender.core.decision import Decision
from voxgender.core.errors import InputError, SettingsError

if TYPE_CHECKING:
    from voxgender.cli.identify import Output


def identify_remotely(
    server: str, key_file: Path | None, names: Sequence[str], decision: Decision, output: Output
) -> int:
    """Write the result of each recording or voiceprint, and return how many have none.

    Args:
        server: URL of the service.
        key_file: File with the key to show it.
        names: Files; ``-`` is standard input.
        decision: Prior and smallest probability, whatever the service's own are.
        output: What writes them.

    Raises:
        VoxgenderError: Where the service refuses or does not answer.
    """
    if any(is_parquet(name) for name in names):
        raise click.UsageError("Parquet and folders are not sent to a service; leave --server out")
    sources: list[tuple[str, Path | bytes]] = []
    failed = 0
    for name in names:
        try:
            sources.append((name, source_of(name)))
        except InputError as error:
            failed += 1
            report(name, str(error))
    key = None if key_file is None else _key(key_file)
    with Client(server, key=key) as client, progress_bar() as bars:
        bar = bars.add_task("asking", total=len(sources))

        def show(progress: Progress) -> None:
            bars.update(bar, completed=progress.done)

        parts = client.stream(
            [source for _, source in sources],
            male_prior=decision.male_prior,
            min_probability=decision.min_probability,
            on_error="keep",
            progress=show,
        )
        try:
            for part in parts:
                failed += len(part.errors)
                for item, result in zip(part.item.tolist(), part, strict=True):
                    name, _ = sources[item]
                    if item in part.errors:
                        report(name, str(part.errors[item]))
                    else:
                        output.add(name, result)
        finally:
            output.end()  # what is known is not lost where the service goes away for good
    return failed


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else "it holds more than a key"
        raise SettingsError(f"--key-file is {path}, which cannot be read: {reason}") from None

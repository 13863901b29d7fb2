"""``voxgender restore``: a store as a backup has it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from shlex import quote

import click

from voxgender.app.postgres_url import is_postgres, without_password
from voxgender.app.restore import Restored, restore
from voxgender.app.settings import load_settings
from voxgender.cli.backup import place_of
from voxgender.core.errors import BackupError


@click.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--store-url", metavar="URL", help="Where the store is to be [VOXGENDER_STORE_URL].")
@click.option("--spool-dir", metavar="FOLDER", help="Where its media are to be [VOXGENDER_SPOOL_DIR].")
@click.option("--replace", is_flag=True, help="Replace a store that holds tasks or keys.")
def command(file: Path, store_url: str | None, spool_dir: str | None, *, replace: bool) -> None:
    """Put the store back that a backup in FILE holds; the service must not run meanwhile."""
    settings = load_settings(store_url=store_url, spool_dir=spool_dir)
    if is_postgres(settings.store_url):
        url = quote(without_password(settings.store_url))
        raise BackupError(
            f"the store is in PostgreSQL, which restores itself: pg_restore --clean --if-exists --dbname={url} "
            f"{quote(str(file))}; and put the folder of the media back"
        )
    restored = restore(file, place_of(settings), replaces=replace)
    contents = restored.contents
    click.echo(
        f"{settings.sqlite_path}: {contents.tasks} tasks, {contents.recordings} recordings, {restored.keys} keys"
    )
    for line in _told_of_keys(restored):
        click.echo(line)


def _told_of_keys(restored: Restored) -> list[str]:
    """Return what the operator must know of keys: those that were removed open the service again."""
    lines = []
    if restored.keys:
        made = dt.datetime.fromtimestamp(restored.contents.made_s, dt.UTC)
        lines.append(
            f"The keys are those of the backup, of {made:%Y-%m-%d %H:%M} UTC. Remove again those that were removed "
            "since: voxgender keys remove ID"
        )
    if restored.returned:
        lines.append(
            f"{len(restored.returned)} keys that the replaced store did not hold: {' '.join(restored.returned)}"
        )
    if restored.gone:
        lines.append(f"{len(restored.gone)} keys of the replaced store are gone: {' '.join(restored.gone)}")
    return lines

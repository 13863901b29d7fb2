"""``voxgender backup``: the store in one file, while the service runs."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from voxgender.app.backup import StorePlace, back_up
from voxgender.app.postgres_url import is_postgres, without_password
from voxgender.app.settings import Settings, load_settings
from voxgender.core.errors import BackupError


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--store-url", metavar="URL", help="The store [VOXGENDER_STORE_URL].")
@click.option("--spool-dir", metavar="FOLDER", help="The folder of its media [VOXGENDER_SPOOL_DIR].")
@click.option("--replace", is_flag=True, help="Replace FILE, if there is one.")
def command(file: Path, store_url: str | None, spool_dir: str | None, *, replace: bool) -> None:
    """Write a backup of a store in SQLite to FILE: tasks, results, keys, licence use, recordings that wait.

    The service may run meanwhile. FILE may hold voiceprints and recordings; nobody but its owner may read it.
    """
    settings = load_settings(store_url=store_url, spool_dir=spool_dir)
    if is_postgres(settings.store_url):
        url = quote(without_password(settings.store_url))
        raise BackupError(
            f"the store is in PostgreSQL, which backs itself up: pg_dump --format=custom --schema=voxgender "
            f"--file={quote(str(file))} {url}; then copy the folder of the media"
        )
    contents = back_up(place_of(settings), file, replaces=replace)
    click.echo(f"{file}: {contents.tasks} tasks, {contents.recordings} recordings, {file.stat().st_size} bytes")


def place_of(settings: Settings) -> StorePlace:
    """Return where the store and its media are that the settings name."""
    # It loads the model's reader, which only this and the service need.
    from voxgender.app.assembly import spool_folder

    return StorePlace(settings.sqlite_path, spool_folder(settings))

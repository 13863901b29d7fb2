"""``voxgender work``: work on the media of a store that others serve."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from voxgender.app.core_files import forbid_core_files
from voxgender.app.logs import configure_logs
from voxgender.app.settings import load_settings
from voxgender.cli.serve import setting_flags


def _work(**flags: Any) -> None:
    from voxgender.app.work_process import extractors_of
    from voxgender.app.working import work

    forbid_core_files()
    settings = load_settings(**flags)
    configure_logs(settings.log_level)
    if not extractors_of(settings):
        raise click.UsageError("--extractors is 0, which leaves nothing to do; name 1 or more, or leave it out")
    asyncio.run(work(settings))


command = click.Command(
    "work",
    callback=_work,
    params=setting_flags(),
    help="Work on media that services with the same store and spool have accepted, without serving.",
)

"""``voxgender serve``: the REST service."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from voxgender.app.logs import configure_logs
from voxgender.app.service import Service
from voxgender.app.settings import ENV_PREFIX, Settings, load_settings


def _flags() -> list[click.Parameter]:
    """Return a flag for each setting; settings.py alone says what there is."""
    return [
        click.Option(
            [f"--{name.replace('_', '-')}"],
            metavar="VALUE",
            help=f"{field.description} [{ENV_PREFIX}{name.upper()}; default: {field.default}]",
        )
        for name, field in Settings.model_fields.items()
    ]


def _serve(**flags: Any) -> None:
    from voxgender.rest.server import RestServer, bind

    settings = load_settings(**flags)
    configure_logs(settings.log_level)
    service = Service.of_settings(settings)
    listener = bind(settings.host, settings.port)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(RestServer(service, listener).run())


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


command = click.Command("serve", callback=_serve, params=_flags(), help="Start the REST service.")

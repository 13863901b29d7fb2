"""``voxgender serve``: the service, over REST and gRPC."""

from __future__ import annotations

from typing import Any

import click

from voxgender.app.core_files import forbid_core_files
from voxgender.app.logs import configure_logs
from voxgender.app.settings import ENV_PREFIX, Settings, load_settings


def setting_flags() -> list[click.Parameter]:
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
    from voxgender.app.metrics_folder import count_in, metrics_folder
    from voxgender.app.work_process import WorkProcess
    from voxgender.serving.listener import bind, log_listening, rpc_address

    forbid_core_files()
    settings = load_settings(**flags)
    configure_logs(settings.log_level)
    with (
        bind(settings.host, settings.port) as listener,
        rpc_address(settings) as rpc,
        metrics_folder() as metrics,
        WorkProcess(settings, metrics) as working,
    ):

        def on_listening() -> None:
            log_listening(listener, rpc)
            working.start()

        if settings.workers > 1:
            # What only watches over the workers loads nothing of what they answer with.
            from voxgender.serving.workers import Workers

            Workers(settings, listener, rpc, on_listening, working.stop, metrics).run()
        else:
            count_in(metrics, "serve")
            from voxgender.app.service import Service
            from voxgender.serving.server import Server

            Server(Service.of_settings(settings), listener, rpc, on_listening, working.stop).serve()


command = click.Command(
    "serve",
    callback=_serve,
    params=setting_flags(),
    help="Start the service, over REST and gRPC, and work on media beside it.",
)

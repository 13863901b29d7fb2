"""The command line. Each command is a file of its own, and is only loaded when it is called."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Final

import click

from voxgender.core.errors import SettingsError, VoxgenderError

COMMANDS: Final = (
    "serve",
    "work",
    "keys",
    "extract",
    "identify",
    "models",
    "train",
    "calibrate",
    "evaluate",
    "card",
    "doctor",
)

EXIT_SOME_FAILED: Final = 1
EXIT_USAGE: Final = 2


class _Commands(click.Group):
    """Finds a command in the module of its name, so that ``extract`` does not load what ``serve`` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"voxgender.cli.{cmd_name}").command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="voxgender")
def commands() -> None:
    """Tell the perceived gender of a voice, from recordings or voiceprints."""


def main() -> None:
    """Run the command line; errors become one line on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what a terminal's encoding does not know; that must not end the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = commands.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except VoxgenderError as error:
        click.echo(f"voxgender: {error}", err=True)
        code = EXIT_USAGE if isinstance(error, SettingsError) else EXIT_SOME_FAILED
    except BrokenPipeError:
        # Whoever read our output has enough; what is left in the buffer must not complain at the exit.
        _drop_output()
        code = 0
    except OSError as error:
        click.echo(f"voxgender: {error.strerror or error}", err=True)
        _drop_output()
        code = EXIT_SOME_FAILED
    sys.exit(code if isinstance(code, int) else 0)


def _drop_output() -> None:
    """Let what is left in the buffer of standard output go nowhere, so that it does not fail once more at the exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

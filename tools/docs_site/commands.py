"""The reference of the command line, from the commands' own declarations."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from docs_site.markdown import table
from voxgender.cli import commands


def markdown() -> str:
    """Return a section for each command."""
    return "\n".join(_section(context) for context in _contexts(click.Context(commands, info_name="voxgender")))


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield a context for each command below a group, and for each below that."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, info_name=name, parent=context)
        yield below
        if isinstance(command, click.Group):
            yield from _contexts(below)


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = [_option(one, context) for one in command.get_params(context) if isinstance(one, click.Option)]
    head = f"## {context.command_path}\n\n{_unwrapped(command)}\n\n```text\n{usage}\n```\n"
    return f"{head}\n{table(['option', 'meaning'], options)}"


def _option(option: click.Option, context: click.Context) -> list[str]:
    told = option.get_help_record(context)
    assert told is not None
    names, meaning = told
    return [f"`{names}`", meaning]


def _unwrapped(command: click.Command) -> str:
    """Return a help text with its paragraphs; those that keep their lines become blocks of code."""
    paragraphs = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            paragraphs.append(f"```text\n{paragraph[2:]}\n```")
        else:
            paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)

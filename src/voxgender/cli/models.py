"""``voxgender models``: what is installed."""

from __future__ import annotations

import click

from voxgender.files.heads import load_head
from voxgender.files.models import find_model, load_card, shipped_models


@click.command("models")
def command() -> None:
    """List the shipped models; each is checked against the checksums of its card."""
    for name in shipped_models():
        folder = find_model(name)
        click.echo(name)
        click.echo(f"  {load_card(folder / 'extractor', 'extractor')!r}")
        click.echo(f"  {load_head(folder / 'head')[0]!r}")

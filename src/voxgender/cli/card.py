"""``voxgender card``: the model card of a model."""

from __future__ import annotations

from pathlib import Path

import click

from voxgender.cli.files import model_option
from voxgender.cli.lab import need_lab
from voxgender.core.errors import InputError
from voxgender.files.heads import PART, load_head
from voxgender.files.models import extractor_folder, find_model, load_card


@click.command("card")
@model_option
@click.option(
    "--report",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="report.json that evaluate --output has written; without it the card has no figures.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to.")
def command(model: str, report: Path | None, output: Path | None) -> None:
    """Print the model card of a model in Markdown, or write it to a file."""
    need_lab()
    from voxgender.lab.card import model_card
    from voxgender.lab.report import read_report

    extractor = load_card(extractor_folder(model), "extractor")
    head = load_head(find_model(model) / PART)[0]
    text = model_card(extractor, head, None if report is None else read_report(report))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from None

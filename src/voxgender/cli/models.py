"""``voxgender models``: what is installed, and encoders of others taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from voxgender.files.heads import load_head
from voxgender.files.models import find_model, load_card, shipped_models

PRESET_NAMES: Final = ("wespeaker", "campplus", "ecapa", "titanet", "waveform")


@click.group("models", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the shipped models; each is checked against the checksums of its card."""
    if ctx.invoked_subcommand is not None:
        return
    for name in shipped_models():
        folder = find_model(name)
        click.echo(name)
        click.echo(f"  {load_card(folder / 'extractor', 'extractor')!r}")
        click.echo(f"  {load_head(folder / 'head')[0]!r}")


@command.command("import")
@click.argument("graph", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="ENCODER.onnx")
@click.option("--id", "model", required=True, help="Id of the new model; its voiceprints carry it.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Model folder to write the extractor into."
)
@click.option("--preset", type=click.Choice(PRESET_NAMES), help="Family of the encoder; waveform takes samples.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with fields of the description (docs/other-encoders.md); they replace the preset's.",
)
@click.option("--title", default="", help="What it is, in words; for the card.")
@click.option("--licence", default="", help="Licence of the weights, as an SPDX id; for the card.")
@click.option("--url", default="", help="Where the weights are from; for the card.")
def import_command(
    graph: Path, model: str, output: Path, preset: str | None, config: Path | None, title: str, licence: str, url: str
) -> None:
    """Take in a speaker encoder in ONNX; it is tried out first, and train makes its head."""
    if preset is None and config is None:
        raise click.UsageError("say what the encoder takes: --preset for a known family, or --config FILE")
    from voxgender.files.encoder_import import configured, import_encoder
    from voxgender.files.presets import PRESETS

    settings = PRESETS[preset or "waveform"]
    if config is not None:
        settings = configured(settings, config)
    found = import_encoder(graph, output, model, settings, title=title, licence=licence, url=url)
    windows = found.settings.windows
    click.echo(
        f"{model}: vectors of {found.settings.output.dimensions} values; {found.window_s * 1_000:.0f} ms for a window "
        f"of {windows.seconds:g} s, at most {windows.most} windows a channel"
    )
    click.echo(
        f"written to {found.folder}; make its head with: voxgender train --data FOLDER --model {output} -o {output}"
    )

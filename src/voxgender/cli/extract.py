"""``voxgender extract``: recordings to voiceprints."""

from __future__ import annotations

from pathlib import Path

import click

from voxgender.cli import EXIT_SOME_FAILED
from voxgender.cli.files import STDIN, for_each, model_option, report, source_of
from voxgender.core.base64 import encode_base64
from voxgender.core.errors import InputError
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.models import extractor_folder
from voxgender.files.recording import SUFFIX, extract_voiceprint, is_voiceprint, write_voiceprint


@click.command("extract")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    default=".",
    show_default="the current folder",
    metavar="DIR|FILE",
    help="Folder for the voiceprints; for one recording a file, or - for standard output.",
)
@click.option("--base64", is_flag=True, help="Write Base64 text, as the REST service takes it.")
@model_option
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], output: str, base64: bool, model: str) -> None:
    """Make a voiceprint of each recording FILE (- for standard input); its channels are mixed."""
    from voxgender.files.extraction import Extractor

    targets = _targets(files, output)
    extractor = Extractor(extractor_folder(model))

    def write(name: str, voiceprint: Voiceprint) -> None:
        if voiceprint.speech_s == 0:
            report(name, "no speech was found; the voiceprint says so")
        if output == STDIN:
            data = encode_voiceprint(voiceprint)
            click.echo(encode_base64(data) if base64 else data, nl=base64)
        else:
            write_voiceprint(targets[name], voiceprint, base64=base64)

    def work(name: str) -> Voiceprint:
        source = source_of(name)
        if is_voiceprint(source):
            raise InputError("it is a voiceprint already")
        if output != STDIN and targets[name].is_file() and not is_voiceprint(targets[name]):
            raise InputError(f"{targets[name]} exists and is no voiceprint; choose another place with -o")
        return extract_voiceprint(source, extractor)

    if for_each(files, "extracting", work, write):
        ctx.exit(EXIT_SOME_FAILED)


def _targets(files: tuple[str, ...], output: str) -> dict[str, Path]:
    """Return where the voiceprint of each file goes; two must not go to the same place."""
    if not output:
        raise click.UsageError("-o names nothing; name a folder or a file")
    folder = Path(output)
    if output == STDIN or (len(files) == 1 and not folder.is_dir() and not output.endswith("/")):
        if len(files) > 1:
            raise click.UsageError("standard output takes one voiceprint; name a folder with -o for several files")
        return {files[0]: folder}
    if STDIN in files:
        raise click.UsageError("standard input has no name; name the voiceprint's file with -o")
    targets = {name: folder / (Path(name).stem + SUFFIX) for name in files}
    if len(set(targets.values())) < len(set(files)):
        raise click.UsageError("two of the files have the same name; extract them into different folders")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from None
    return targets

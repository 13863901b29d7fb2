"""``voxgender evaluate``: figures of a model on labelled speech."""

from __future__ import annotations

from pathlib import Path

import click

from voxgender.cli.files import model_option
from voxgender.cli.lab import data_option, load, need_lab, print_figures
from voxgender.files.heads import load_scorer
from voxgender.files.models import extractor_folder


@click.command("evaluate")
@data_option
@click.option("--split", default="dev", show_default=True, help="Split to evaluate on.")
@model_option
def command(data: Path, split: str, model: str) -> None:
    """Print accuracy, EER, Cllr and minCllr by corpus and by speech length; children under 15 apart."""
    need_lab()
    from voxgender.lab.evaluation import evaluate
    from voxgender.lab.manifest import read_manifest

    labelled = load(read_manifest(data, split), extractor_folder(model), "clips")
    print_figures(evaluate(load_scorer(model), labelled))

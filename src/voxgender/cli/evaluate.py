"""``voxgender evaluate``: figures of a model on labelled speech."""

from __future__ import annotations

from pathlib import Path

import click

from voxgender.cli.files import model_option
from voxgender.cli.lab import (
    check_writable,
    data_option,
    load,
    measure_pitch,
    need_lab,
    print_figures,
    print_intervals,
)
from voxgender.files.heads import PART, load_head, load_scorer
from voxgender.files.models import extractor_folder, find_model, load_card

PRINTED: tuple[str, ...] = ("all", "corpus", "speech", "gender")
"""Groups that are printed; the report has all of them."""


@click.command("evaluate")
@data_option
@click.option("--split", default="dev", show_default=True, help="Split to evaluate on.")
@model_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write a report to: report.html, report.md with its figures, report.json.",
)
def command(data: Path, split: str, model: str, output: Path | None) -> None:
    """Print accuracy, EER, Cllr and minCllr by corpus, speech length and gender; children under 15 apart.

    The report has more figures with their 95 % intervals, more groups, plots, and what a minimum probability costs.
    """
    need_lab()
    if output is not None:
        check_writable(output)
    from voxgender.lab.evaluation import Condition, Evaluation
    from voxgender.lab.manifest import read_manifest

    extractor = load_card(extractor_folder(model), "extractor")
    labelled = load(read_manifest(data, split), extractor.folder, "clips")
    condition = Condition.scored("as recorded", load_scorer(model), labelled, measure_pitch(labelled.clips))
    evaluation = Evaluation.of(condition)
    rows = evaluation.views[0].rows
    print_figures(row for row in rows if row.group in PRINTED)
    print_intervals(rows[0])
    if output is not None:
        from voxgender.lab.report import write_report

        head = load_head(find_model(model) / PART)[0]
        about = {"model": head.model, "extractor": f"{extractor!r}", "head": f"{head!r}", "data": f"split {split!r}"}
        write_report(output, about, [evaluation])
        click.echo(f"\nreport written to {output / 'report.html'}")

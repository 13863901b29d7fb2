"""``voxgender evaluate``: figures of a model on labelled speech."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

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
from voxgender.core.errors import InputError
from voxgender.files.heads import PART, load_head, load_scorer
from voxgender.files.models import extractor_folder, find_model, load_card
from voxgender.files.recording import SUFFIX

if TYPE_CHECKING:
    from voxgender.core.scorer import Scorer
    from voxgender.lab.data import Labelled
    from voxgender.lab.evaluation import Evaluation

PRINTED: tuple[str, ...] = ("all", "corpus", "speech", "gender")
"""Groups that are printed; the report has all of them."""


@click.command("evaluate")
@data_option
@click.option("--split", default="dev", show_default=True, help="Split to evaluate on.")
@model_option
@click.option(
    "--stress",
    is_flag=True,
    help="Hear the recordings also over telephones, in noise, in a room and cut short; takes minutes.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write a report to: report.html, report.md with its figures, report.json.",
)
def command(data: Path, split: str, model: str, stress: bool, output: Path | None) -> None:
    """Print accuracy, EER, Cllr and minCllr by corpus, speech length and gender; children under 15 apart.

    The report has more figures with their 95 % intervals, more groups, plots, and what a minimum probability costs.
    """
    need_lab()
    if output is not None:
        check_writable(output)
    from voxgender.lab.evaluation import Condition, Evaluation
    from voxgender.lab.manifest import read_manifest

    extractor = load_card(extractor_folder(model), "extractor")
    scorer = load_scorer(model)
    clips = read_manifest(data, split)
    if stress and all(clip.path.suffix == SUFFIX for clip in clips):
        raise InputError(f"--stress needs recordings, and the split {split!r} has voiceprint files alone; leave it out")
    labelled = load(clips, extractor.folder, "clips")
    pitch_hz = measure_pitch(labelled.clips)
    evaluations = [Evaluation.of(Condition.scored("as recorded", scorer, labelled, pitch_hz))]
    rows = evaluations[0].views[0].rows
    print_figures(row for row in rows if row.group in PRINTED)
    print_intervals(rows[0])
    if stress:
        evaluations += _stressed(extractor.folder, scorer, labelled, pitch_hz)
        click.echo()
        print_figures(
            replace(row, group=evaluation.condition.name)
            for evaluation in evaluations
            for row in evaluation.views[-1].rows
            if row.group == "all"
        )
    if output is not None:
        from voxgender.lab.report import write_report

        head = load_head(find_model(model) / PART)[0]
        about = {"model": head.model, "extractor": f"{extractor!r}", "head": f"{head!r}", "data": f"split {split!r}"}
        write_report(output, about, evaluations)
        click.echo(f"\nreport written to {output / 'report.html'}")


def _stressed(
    extractor: Path,
    scorer: Scorer,
    clean: Labelled,
    pitch_hz: NDArray[np.float64] | None,
) -> Iterator[Evaluation]:
    """Give the evaluation of each stress; the pitch is that of the clean recordings.

    Only recordings that could be read are heard again. A stress under which none holds speech is told and left out.
    """
    from voxgender.lab.evaluation import Condition, Evaluation
    from voxgender.lab.stress import STRESSES

    pitch_of = {} if pitch_hz is None else dict(zip((clip.path for clip in clean.clips), pitch_hz, strict=True))
    clips = [*clean.clips, *clean.no_speech]
    voices = [clip.path for clip in clips if not clip.is_child] or [clip.path for clip in clips]
    for stress in STRESSES:
        try:
            labelled = load(stress.of(clips), extractor, stress.name, voices)
        except InputError as error:
            click.echo(f"voxgender: {stress.name}: {error}", err=True)
            continue
        known = np.array([pitch_of.get(clip.path, np.nan) for clip in labelled.clips]) if pitch_of else None
        yield Evaluation.of(Condition.scored(stress.name, scorer, labelled, known))

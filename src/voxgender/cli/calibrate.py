"""``voxgender calibrate``: a head's LLRs fitted to a user's own recordings."""

from __future__ import annotations

from pathlib import Path

import click

from voxgender.cli.files import model_option
from voxgender.cli.lab import check_writable, credible, data_option, load, need_lab, print_figures, told
from voxgender.cli.train import output_option
from voxgender.files.heads import PART, load_head, save_head
from voxgender.files.models import extractor_folder, find_model, take_extractor


@click.command("calibrate")
@data_option
@output_option
@click.option("--split", default="dev", show_default=True, help="Split that the LLRs are calibrated on.")
@model_option
@click.option("--head-version", help="Version that the new head's card tells.  [default: the old one and +calibrated]")
def command(data: Path, output: Path, split: str, model: str, head_version: str | None) -> None:
    """Calibrate a model's LLRs on the adults of labelled speech, as it is in the field, and write the head anew.

    The weights stay; only how sure the answers are changes. It needs at least ten speakers of each gender whom the
    head was not trained on.
    """
    need_lab()
    check_writable(output / PART)
    from voxgender.lab.evaluation import Row
    from voxgender.lab.manifest import read_manifest
    from voxgender.lab.metrics import figures
    from voxgender.lab.training import recalibrate

    card, before = load_head(find_model(model) / PART)
    clips, doubtful = credible(read_manifest(data, split, "adults"))
    labelled = load(clips, extractor_folder(model), "calibration")
    calibrated = recalibrate(before, labelled)
    before_made = card.content.get("made")
    made = dict(before_made) if isinstance(before_made, dict) else {}
    copies = made.get("degraded_copies")
    if isinstance(copies, dict):
        made["degraded_copies"] = copies | {"calibration": 0}
    made["calibration"] = told(labelled, split, doubtful)
    save_head(
        output / PART,
        calibrated.head,
        version=head_version or f"{card.version}+calibrated",
        title=card.title,
        made=made,
    )
    take_extractor(model, output)
    llr = before.llr(labelled.voiceprints)
    print_figures(
        [
            Row("before", "adults", figures(llr, labelled.is_male, labelled.speakers)),
            Row("after, on other speakers", "", figures(calibrated.cross_llr, labelled.is_male, labelled.speakers)),
        ]
    )
    click.echo(f"written to {output / PART}; use it with --model {output}")

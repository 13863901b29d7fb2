"""``voxgender train``: a head from labelled speech."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from voxgender.cli.lab import check_writable, data_option, load, need_lab, print_figures
from voxgender.files.heads import PART, save_head
from voxgender.files.models import DEFAULT_MODEL, extractor_folder, load_card

if TYPE_CHECKING:
    from voxgender.lab.data import Labelled

EXCERPT_SEEDS: Final = (1, 2, 3)
"""One excerpt of each training clip for each seed."""


@click.command("train")
@data_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Model folder to write to; its head goes into FOLDER/head.",
)
@click.option("--train-split", default="train", show_default=True, help="Split that the weights are fitted on.")
@click.option("--calibration-split", default="dev", show_default=True, help="Split that the LLRs are calibrated on.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Model whose voiceprints the head scores.")
@click.option("--head-version", default="1", show_default=True, help="Version that the head's card tells.")
def command(data: Path, output: Path, train_split: str, calibration_split: str, model: str, head_version: str) -> None:
    """Train and calibrate a head on the adults of labelled speech and write it into a model folder."""
    need_lab()
    check_writable(output / PART)
    from voxgender.lab.evaluation import Row
    from voxgender.lab.manifest import EXCERPT_S, excerpts, read_manifest
    from voxgender.lab.metrics import figures
    from voxgender.lab.training import REGULARISATION, train_head

    extractor = extractor_folder(model)
    card = load_card(extractor, "extractor")
    clips = read_manifest(data, train_split, "adults")
    short = [excerpt for seed in EXCERPT_SEEDS for excerpt in excerpts(clips, seed)]
    training = load([*clips, *short], extractor, "training clips and excerpts")
    calibration = load(read_manifest(data, calibration_split, "adults"), extractor, "calibration clips")
    trained = train_head(training, calibration)
    unseen = figures(trained.cross_llr, calibration.is_male, calibration.speakers)
    made = {
        "method": "logistic regression on standardised vectors, speakers and genders balanced; affine calibration",
        "regularisation_c": REGULARISATION,
        "extractor": {"model": card.model, "version": card.version},
        "excerpts": {"speech_s": EXCERPT_S, "seeds": EXCERPT_SEEDS},
        "training": _told(training, train_split),
        "calibration": _told(calibration, calibration_split),
    }
    save_head(output / PART, trained.head, version=head_version, title=f"linear head for {card.model}", made=made)
    click.echo("calibration clips, each scored by a calibration of the other speakers:")
    print_figures([Row("all", "adults", unseen)])
    click.echo(f"written to {output / PART}; use it with --model {output}")


def _told(data: Labelled, split: str) -> dict[str, object]:
    whole = [clip for clip in data.clips if clip.max_speech_s is None]
    corpora = sorted({clip.corpus for clip in data.clips})
    return {
        "split": split,
        "clips": len(whole),
        "excerpts": len(data.clips) - len(whole),
        "speakers": len({clip.speaker_id for clip in data.clips}),
        "corpora": corpora,
        "licences": {
            corpus: sorted({clip.licence for clip in data.clips if clip.corpus == corpus and clip.licence})
            for corpus in corpora
        },
    }

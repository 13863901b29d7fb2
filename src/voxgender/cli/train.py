"""``voxgender train``: a head from labelled speech."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np

from voxgender.cli.lab import check_writable, credible, data_option, load, need_lab, print_figures, told
from voxgender.core.errors import InputError
from voxgender.files.heads import PART, save_head
from voxgender.files.models import DEFAULT_MODEL, extractor_folder, load_card, take_extractor

if TYPE_CHECKING:
    from voxgender.lab.data import Labelled
    from voxgender.lab.manifest import Clip

COPIES: Final = 4
"""Degraded copies of each training clip."""
CALIBRATION_COPIES: Final = 2
"""Copies of each calibration clip, half of them degraded."""
CALIBRATION_DEGRADED: Final = 0.5
TRAINING_SEED: Final = 1
CALIBRATION_SEED: Final = 2

output_option = click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Model folder to write to; its head goes into FOLDER/head.",
)


@click.command("train")
@data_option
@output_option
@click.option("--train-split", default="train", show_default=True, help="Split that the weights are fitted on.")
@click.option("--calibration-split", default="dev", show_default=True, help="Split that the LLRs are calibrated on.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Model whose voiceprints the head scores.")
@click.option("--head-version", default="1", show_default=True, help="Version that the head's card tells.")
@click.option(
    "--copies",
    default=COPIES,
    show_default=True,
    type=click.IntRange(0, 100),
    help="Degraded copies of each training clip: telephones, noise, rooms, short excerpts.",
)
@click.option("--without", multiple=True, help="Corpus or language to leave out of the training; may be repeated.")
def command(
    data: Path,
    output: Path,
    train_split: str,
    calibration_split: str,
    model: str,
    head_version: str,
    copies: int,
    without: tuple[str, ...],
) -> None:
    """Train and calibrate a head on the adults of labelled speech and write it into a model folder.

    Recordings are also heard in degraded copies; those whose pitch contradicts their label are left out. Voiceprint
    files are taken as they are.
    """
    need_lab()
    check_writable(output / PART)
    from voxgender.lab.copies import EXCERPT_S, degraded_copies
    from voxgender.lab.evaluation import Row
    from voxgender.lab.manifest import read_manifest
    from voxgender.lab.metrics import figures
    from voxgender.lab.training import REGULARISATION, train_head

    extractor = extractor_folder(model)
    card = load_card(extractor, "extractor")
    clips, doubtful = credible(_chosen(read_manifest(data, train_split, "adults"), without))
    voices = [clip.path for clip in clips]
    training = load([*clips, *degraded_copies(clips, copies, TRAINING_SEED)], extractor, "training", voices)
    children = _children(data, train_split, without, extractor, copies, voices)
    others, others_doubtful = credible(read_manifest(data, calibration_split, "adults"))
    heard = [*others, *degraded_copies(others, min(copies, CALIBRATION_COPIES), CALIBRATION_SEED, CALIBRATION_DEGRADED)]
    calibration = load(heard, extractor, "calibration", voices)
    trained = train_head(training, calibration, parts=card.vector_parts, children=children)
    made = {
        "method": "logistic regression on standardised vectors, speakers and genders balanced, for each part of the "
        "vector; fusion by logistic regression; affine calibration; a second head for children's voices",
        "regularisation_c": REGULARISATION,
        "extractor": {"model": card.model, "version": card.version},
        "degraded_copies": {"training": copies, "calibration": min(copies, CALIBRATION_COPIES)},
        "excerpts_speech_s": EXCERPT_S,
        "left_out": sorted(without),
        "training": told(training, train_split, doubtful),
        "children": None if children is None else told(children, train_split, 0),
        "calibration": told(calibration, calibration_split, others_doubtful),
    }
    save_head(output / PART, trained.head, version=head_version, title=f"linear head for {card.model}", made=made)
    take_extractor(model, output)
    click.echo("calibration clips and their copies, each scored by a calibration of the other speakers:")
    unseen = figures(trained.cross_llr, calibration.is_male, calibration.speakers)
    print_figures([Row("all", "adults", unseen)])
    click.echo(f"written to {output / PART}; use it with --model {output}")


def _chosen(clips: list[Clip], without: tuple[str, ...]) -> list[Clip]:
    """Return the clips of no corpus and language that is left out."""
    for name in without:
        if not any(name in (clip.corpus, clip.language) for clip in clips):
            raise InputError(f"--without {name}: no corpus and no language of the training split has this name")
    kept = [clip for clip in clips if not _is_left_out(clip, without)]
    if not kept:
        raise InputError("--without leaves no clips to train on")
    return kept


def _is_left_out(clip: Clip, without: tuple[str, ...]) -> bool:
    return clip.corpus in without or clip.language in without


def _children(
    data: Path, split: str, without: tuple[str, ...], extractor: Path, copies: int, voices: list[Path]
) -> Labelled | None:
    """Return the voiceprints of the split's children; None where there are too few to learn from."""
    from voxgender.lab.copies import degraded_copies
    from voxgender.lab.manifest import read_manifest
    from voxgender.lab.training import MIN_SPEAKERS

    clips = [clip for clip in read_manifest(data, split) if clip.is_child and not _is_left_out(clip, without)]
    if len({clip.speaker_id for clip in clips}) < MIN_SPEAKERS:
        return None
    try:
        heard = load([*clips, *degraded_copies(clips, copies, TRAINING_SEED)], extractor, "children", voices)
    except InputError as error:
        click.echo(f"voxgender: trained without children: {error}", err=True)
        return None
    return heard if len(np.unique(heard.speakers)) >= MIN_SPEAKERS else None

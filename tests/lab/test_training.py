"""From labelled voiceprints to a calibrated head: training, its command, and evaluation."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voxgender.core.errors import InputError
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import Voiceprint, Voiceprints, encode_voiceprint
from voxgender.files.heads import load_head, load_scorer, save_head
from voxgender.files.models import extractor_folder
from voxgender.lab.data import Labelled, load_labelled
from voxgender.lab.evaluation import Condition, evaluate
from voxgender.lab.manifest import Clip, read_manifest
from voxgender.lab.metrics import cllr, min_cllr
from voxgender.lab.training import fit_calibration, fit_heads, train_head

DIMENSION = 286
AXIS = np.random.default_rng(99).normal(size=DIMENSION)
AXIS /= np.linalg.norm(AXIS)


def voice(is_male: bool, random: np.random.Generator, distance: float = 2.0) -> NDArray[np.float32]:
    """A vector of one of two normal distributions that lie ``2 * distance`` deviations apart."""
    noise = random.normal(size=DIMENSION)
    return (noise + AXIS * (distance if is_male else -distance)).astype(np.float32)


def labelled(seed: int, speakers: int = 300, clips_each: int = 2, males: float = 0.7) -> Labelled:
    random = np.random.default_rng(seed)
    clips, vectors = [], []
    for speaker in range(speakers):
        is_male = random.random() < males
        for _ in range(clips_each):
            clips.append(Clip(Path("-"), "x", f"corpus{speaker % 2}", f"{seed}-{speaker}", is_male, is_child=False))
            vectors.append(voice(is_male, random))
    speech_s = random.uniform(1, 9, len(clips)).astype(np.float32)
    return Labelled(clips, Voiceprints("ge2e-2", speech_s, np.stack(vectors)), [], [])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of voiceprint files with a manifest, as a user has it whose recordings are voiceprints already."""
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(5)
    rows = []
    for number in range(240):
        gender = "male" if number % 3 else "female"
        data = encode_voiceprint(Voiceprint("ge2e-2", 3.0, voice(gender == "male", random, distance=3.0)))
        (folder / f"{number}.vp").write_bytes(data)
        row = {"path": f"{number}.vp", "split": "train" if number < 140 else "dev", "corpus": "made"}
        rows.append({**row, "speaker": number, "gender": gender, "age": "9" if number % 12 == 0 else ""})
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_a_head_finds_the_direction_in_which_the_genders_differ() -> None:
    (head,) = fit_heads(labelled(1, speakers=2000), [DIMENSION], 0.01)
    weight = head.weight
    assert float(weight @ AXIS / np.linalg.norm(weight)) > 0.9


def test_llrs_of_unseen_speakers_are_calibrated_whatever_the_share_of_men_in_training() -> None:
    head = train_head(labelled(1, 1000), labelled(2, 1000)).head
    unseen = labelled(3, 1000, males=0.5)
    llr = head.llr(unseen.voiceprints)
    male, female = llr[unseen.is_male], llr[~unseen.is_male]
    assert np.mean((llr > 0) == unseen.is_male) > 0.95
    assert cllr(male, female) - min_cllr(male, female) < 0.02


def test_no_llr_goes_beyond_what_the_number_of_calibration_speakers_supports() -> None:
    calibration = labelled(2, speakers=40)
    head = train_head(labelled(1), calibration).head
    people = {clip.speaker_id for clip in calibration.clips}
    assert head.calibration.bound == pytest.approx(np.log(len(people) + 1))
    extreme = Voiceprints("ge2e-2", np.array([5, 5], np.float32), np.stack([AXIS, -AXIS]).astype(np.float32) * 1e6)
    assert np.abs(head.llr(extreme)) == pytest.approx([head.calibration.bound] * 2)


def test_each_speaker_of_a_gender_weighs_the_same_and_both_genders_do() -> None:
    data = labelled(4, speakers=50)
    weights = data.balanced_weights()
    assert weights[data.is_male].sum() == pytest.approx(weights[~data.is_male].sum())
    of_men = [weights[data.speakers == speaker].sum() for speaker in np.unique(data.speakers[data.is_male])]
    assert of_men == pytest.approx([of_men[0]] * len(of_men))


def test_a_saved_head_scores_bit_by_bit_as_before_and_the_same_head_gives_the_same_bytes(tmp_path: Path) -> None:
    head = train_head(labelled(1), labelled(2)).head
    for name in ("a", "b"):
        save_head(tmp_path / name, head, version="1", title="made in a test", made={})
    card, loaded = load_head(tmp_path / "a")
    voiceprints = labelled(3).voiceprints
    assert np.array_equal(loaded.llr(voiceprints), head.llr(voiceprints))
    assert card.model == "ge2e-2"
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_train_and_evaluate_work_on_a_user_s_own_voiceprints(corpus: Path, tmp_path: Path) -> None:
    model = tmp_path / "mine"
    command = [sys.executable, "-m", "voxgender"]
    train = [*command, "train", "--data", str(corpus), "-o", str(model)]
    told = subprocess.run(train, capture_output=True, text=True, check=True).stdout
    assert "Cllr" in told
    card = json.loads((model / "head/card.json").read_text())
    told_data = {"split": "train", "clips": 128, "degraded_copies": 0, "speakers": 128, "corpora": ["made"]}
    told_data["left_out_as_contradicted_by_pitch"] = 0
    told_data["licences"] = {"made": []}
    assert card["made"]["training"] == told_data
    scorer = load_scorer(model)
    data = read_manifest(corpus, "dev", "adults")
    results = score_bytes(scorer, [clip.path.read_bytes() for clip in data])
    assert np.mean((results.llr > 0) == [clip.is_male for clip in data]) > 0.95
    # The folder has a head alone; its extractor is the shipped one that its card names.
    evaluate_mine = [*command, "evaluate", "--data", str(corpus), "--model", str(model)]
    shown = subprocess.run(evaluate_mine, capture_output=True, text=True, check=True).stdout
    assert [line.split()[:2] for line in shown.splitlines()[1:3]] == [["all", "adults"], ["corpus", "made"]]
    assert "children under 15" in shown


def test_evaluation_reports_each_corpus_each_speech_length_and_children_apart() -> None:
    training = labelled(1)
    data = labelled(2)
    clips = [
        Clip(clip.path, clip.split, clip.corpus, clip.speaker, clip.is_male, is_child=number < 20)
        for number, clip in enumerate(data.clips)
    ]
    mixed = Labelled(clips, data.voiceprints, [], [])
    from voxgender.core.scorer import Scorer

    rows = evaluate(Condition.scored("clean", Scorer({"ge2e-2": train_head(training, labelled(5)).head}), mixed), 0)
    counts = {(row.group, row.name): row.figures.clips for row in rows}
    assert counts["all", "adults"] == len(clips) - 20
    assert counts["all", "children under 15"] == 20
    assert sum(count for (group, _), count in counts.items() if group == "corpus") == len(clips) - 20
    assert sum(count for (group, _), count in counts.items() if group == "speech") == len(clips) - 20


def test_voiceprints_of_another_model_are_left_out_and_told(corpus: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.vp"
    foreign.write_bytes(encode_voiceprint(Voiceprint("other", 3.0, np.ones(DIMENSION, np.float32))))
    clips = read_manifest(corpus, "dev")[:3]
    data = load_labelled([replace(clips[0], path=foreign), *clips[1:]], extractor_folder("ge2e-2"), lambda: None)
    assert data.clips == clips[1:]
    ((clip, reason),) = data.unreadable
    assert clip.path == foreign
    assert reason == "a voiceprint of the model 'other', not of 'ge2e-2'"


def only(data: Labelled, keep: Callable[[Clip], bool]) -> Labelled:
    rows = [row for row, clip in enumerate(data.clips) if keep(clip)]
    columns = data.voiceprints
    chosen = Voiceprints(columns.model, columns.speech_s[rows], columns.vectors[rows])
    return Labelled([data.clips[row] for row in rows], chosen, [], [])


def test_too_few_speakers_or_the_same_ones_in_both_splits_are_refused_in_words() -> None:
    training, calibration = labelled(1), labelled(2)
    with pytest.raises(InputError, match="the training split has 0 women"):
        train_head(only(training, lambda clip: clip.is_male), calibration)
    with pytest.raises(InputError, match="the calibration split has 0 men"):
        train_head(training, only(calibration, lambda clip: not clip.is_male))
    with pytest.raises(InputError, match="300 speakers are in both splits"):
        train_head(training, training)


def test_a_fold_is_calibrated_with_both_genders_weighing_the_same() -> None:
    data = labelled(2, speakers=400, males=0.5)
    raw = np.where(data.is_male, 1.0, -1.0) + np.random.default_rng(0).normal(0, 2, len(data.clips))
    uneven = np.flatnonzero(~data.is_male | (np.arange(len(raw)) % 4 == 0))
    fitted = fit_calibration(raw, data, uneven)
    # Symmetric scores need no offset, whatever the share of men among the rows.
    assert abs(fitted.offset) < 0.3


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (None, "cannot be read"),
        ("path,split,corpus,speaker\n", "'corpus'|'gender'"),
        ("path,split,corpus,speaker,gender\na,train,c,s,unknown\n", "line 2: gender is 'unknown'"),
        ("path,split,corpus,speaker,gender\na,train,c,s,male\n", "no clips of the split 'dev'"),
        ("\xff\n", "cannot be read|lacks"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_told_with_what_is_wrong(
    tmp_path: Path, manifest: str | None, reason: str
) -> None:
    if manifest is not None:
        (tmp_path / "manifest.csv").write_text(manifest, encoding="latin-1")
    with pytest.raises(InputError, match=reason):
        read_manifest(tmp_path, "train" if "unknown" in reason else "dev")


def test_children_of_whom_the_head_was_told_are_scored_nearer_to_50_percent() -> None:
    """Their voices lie aside of men's and women's; adults are scored almost as without them."""
    aside = np.random.default_rng(98).normal(size=DIMENSION).astype(np.float32)
    training, calibration, children = labelled(1, 1000), labelled(2, 1000), labelled(3, 200)
    moved = children.voiceprints.vectors + 0.5 * aside
    children = replace(children, voiceprints=replace(children.voiceprints, vectors=moved))
    without, knowing = (train_head(training, calibration, children=known).head for known in (None, children))
    before, after = without.llr(children.voiceprints), knowing.llr(children.voiceprints)
    assert np.mean(np.abs(after)) < 0.5 * np.mean(np.abs(before))
    adults = labelled(4, 300).voiceprints
    assert np.mean(np.abs(knowing.llr(adults))) > 0.8 * np.mean(np.abs(without.llr(adults)))


def test_voiceprints_of_children_from_another_model_are_refused() -> None:
    children = labelled(3, 50)
    shorter = replace(children, voiceprints=replace(children.voiceprints, vectors=children.voiceprints.vectors[:, :5]))
    with pytest.raises(InputError, match="of children have 5 values"):
        train_head(labelled(1), labelled(2), children=shorter)


def test_what_is_left_out_must_be_there(corpus: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "voxgender", "train", "--data", str(corpus), "-o", str(tmp_path / "mine")]
    for name, message in (("typo", "no corpus and no language"), ("made", "leaves no clips")):
        done = subprocess.run([*command, "--without", name], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr

"""Groups of an evaluation: each clip where it belongs, children apart, with and without contradicted labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scored_clips import condition
from voxgender.core.errors import InputError
from voxgender.lab.evaluation import CHILDREN, Evaluation, Row, age_group, evaluate, worst
from voxgender.lab.manifest import Clip, read_manifest
from voxgender.lab.metrics import figures

CONDITION = condition()
ROWS = evaluate(CONDITION, resamples=50)


def adults(group: str) -> dict[str, int]:
    return {row.name: row.figures.clips for row in ROWS if row.group == group}


@pytest.mark.parametrize("group", ["corpus", "speech", "gender", "age", "language", "channel", "sample rate"])
def test_each_adult_is_in_one_group_of_each_kind_and_no_child_is(group: str) -> None:
    assert sum(adults(group).values()) == np.sum(~CONDITION.is_child)


def test_groups_hold_the_clips_that_they_are_named_after() -> None:
    clips = [clip for clip in CONDITION.clips if not clip.is_child]
    assert adults("age")["thirties"] == sum(clip.age == "31" for clip in clips)
    assert adults("age")["forties"] == sum(clip.age == "fourties" for clip in clips)
    assert list(adults("age")) == ["teens", "twenties", "thirties", "forties", "not told"]
    assert adults("language")["not told"] == sum(not clip.language for clip in clips)
    assert adults("sample rate")["8 kHz"] == sum(clip.sample_rate_hz == 8000 for clip in clips)
    assert adults("SNR")["5 to 10 dB"] == sum(clip.snr_db is not None and 5 <= clip.snr_db < 10 for clip in clips)
    long = ~CONDITION.is_child & (CONDITION.speech_s >= 3)
    assert adults("all")["adults, 3 s and more"] == long.sum()
    assert adults("all")[CHILDREN] == CONDITION.is_child.sum()


def test_a_row_s_figures_are_those_of_its_clips_and_the_whole_has_all_intervals() -> None:
    chosen = ~CONDITION.is_child & np.array([clip.corpus == "corpus1" for clip in CONDITION.clips])
    row = next(row for row in ROWS if row.name == "corpus1")
    assert row.figures == figures(CONDITION.llr[chosen], CONDITION.is_male[chosen], CONDITION.speakers[chosen])
    assert "cllr" in row.intervals
    assert "eer" not in row.intervals
    assert "eer" in ROWS[0].intervals
    assert all(not row.intervals for row in evaluate(CONDITION, resamples=0))


def test_what_the_manifest_does_not_tell_makes_no_groups() -> None:
    plain = [
        Clip(clip.path, clip.split, clip.corpus, clip.speaker, clip.is_male, clip.is_child) for clip in CONDITION.clips
    ]
    rows = evaluate(replace(CONDITION, clips=plain, pitch_hz=None), resamples=0)
    assert {row.group for row in rows} == {"all", "corpus", "speech", "gender", "age"}
    assert {row.name for row in rows if row.group == "age"} == {"not told"}
    assert "adults, pitch agrees" not in {row.name for row in rows}


def test_without_contradicted_labels_just_these_clips_are_left_out() -> None:
    every, plausible = Evaluation.of(CONDITION, resamples=0).views
    gone = CONDITION.contradicted
    assert gone.sum() == 4
    assert every.rows[0].figures.clips - plausible.rows[0].figures.clips == 4
    agrees = next(row for row in every.rows if row.name == "adults, pitch agrees")
    assert agrees.figures == plausible.rows[0].figures
    (alone,) = Evaluation.of(replace(CONDITION, pitch_hz=None), resamples=0).views
    assert alone.rows[0].figures == every.rows[0].figures


def test_adults_of_one_gender_have_no_curves_and_children_alone_no_thresholds() -> None:
    men = CONDITION.only(CONDITION.is_male & ~CONDITION.is_child)
    assert Evaluation.of(men, resamples=0).views[0].curves is None
    children = Evaluation.of(CONDITION.only(CONDITION.is_child), resamples=0).views[0]
    assert children.curves is None
    assert children.thresholds == []
    assert [row.name for row in children.rows] == [CHILDREN]


def test_the_worst_group_is_that_of_least_accuracy_among_those_of_20_speakers() -> None:
    base = ROWS[0].figures
    rows = [
        Row("corpus", "good", replace(base, accuracy=0.99, speakers=20)),
        Row("language", "bad", replace(base, accuracy=0.9, speakers=20)),
        Row("language", "small", replace(base, accuracy=0.1, speakers=19)),
        Row("age", "other", replace(base, accuracy=0.2, speakers=500)),
    ]
    assert worst(rows, "corpus", "language") is rows[1]
    assert worst(rows[2:], "corpus", "language") is None


@pytest.mark.parametrize(
    ("age", "is_child", "group"),
    [
        ("9", True, "under 15"),
        ("15", False, "teens"),
        ("teens", False, "teens"),
        ("29", False, "twenties"),
        ("93", False, "nineties"),
        ("104", False, "104"),
        ("fourties", False, "forties"),
        ("", False, "not told"),
        ("old", False, "old"),
    ],
)
def test_ages_in_years_and_in_words_come_together(age: str, is_child: bool, group: str) -> None:
    assert age_group(replace(CONDITION.clips[0], age=age, is_child=is_child)) == group


def test_the_shared_manifest_tells_language_channel_band_and_licence_of_each_clip(speech_dir: Path) -> None:
    clips = read_manifest(speech_dir, "dev")
    assert all(clip.language and clip.channel and clip.licence for clip in clips)
    assert {clip.sample_rate_hz for clip in clips} == {8000, 16_000}
    assert {clip.snr_db for clip in clips} == {None}


def test_a_number_in_the_manifest_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    header = "path,split,corpus,speaker,gender,sample_rate,snr_db"
    (tmp_path / "manifest.csv").write_text(f"{header}\na,dev,c,s,male,8000,-3.5\nb,dev,c,s,male,,loud\n")
    with pytest.raises(InputError, match=r"line 3: snr_db is 'loud'; it must be a number"):
        read_manifest(tmp_path, "dev")
    (tmp_path / "manifest.csv").write_text(f"{header}\na,dev,c,s,male,8000,-3.5\nb,dev,c,s,male,,\n")
    told = [(clip.sample_rate_hz, clip.snr_db) for clip in read_manifest(tmp_path, "dev")]
    assert told == [(8000, -3.5), (None, None)]

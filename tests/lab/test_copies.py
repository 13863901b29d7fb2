"""Degraded and shortened copies: how many, of what, and the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from voxgender.lab.copies import EXCERPT_S, degraded_copies
from voxgender.lab.degradation import parse_degradation
from voxgender.lab.manifest import Clip

RECORDINGS = [
    Clip(Path(f"{number}.wav"), "train", "made", str(number), number % 2 == 0, is_child=False, language="de")
    for number in range(1_000)
]
PRINT = replace(RECORDINGS[0], path=Path("stored.vp"))
COPIES = degraded_copies([*RECORDINGS, PRINT], 2, seed=1)


def test_each_recording_has_as_many_copies_as_were_asked_and_a_voiceprint_file_none() -> None:
    assert sorted(copy.path for copy in COPIES) == sorted([clip.path for clip in RECORDINGS] * 2)
    assert degraded_copies(RECORDINGS, 0, seed=1) == degraded_copies([PRINT], 5, seed=1) == []


def test_a_copy_keeps_all_that_is_known_of_its_recording() -> None:
    untouched = [replace(copy, max_speech_s=None, degradation="", seed=0) for copy in COPIES]
    assert untouched == RECORDINGS * 2


def test_the_same_seed_makes_the_same_copies_and_another_seed_others() -> None:
    assert degraded_copies([*RECORDINGS, PRINT], 2, seed=1) == COPIES
    other = degraded_copies(RECORDINGS, 2, seed=2)
    same = [one.degradation == two.degradation for one, two in zip(COPIES, other, strict=True)]
    assert np.mean(same) < 0.1
    assert not {copy.seed for copy in COPIES} & {copy.seed for copy in other}


def test_every_copy_has_a_seed_of_its_own_so_that_no_noise_is_heard_twice() -> None:
    assert len({copy.seed for copy in COPIES}) == len(COPIES)


def test_every_copy_is_degraded_and_half_of_them_are_excerpts_spread_evenly_over_the_logarithm() -> None:
    assert all(parse_degradation(copy.degradation) for copy in COPIES)
    lengths_s = [copy.max_speech_s for copy in COPIES if copy.max_speech_s is not None]
    assert 0.45 < len(lengths_s) / len(COPIES) < 0.55
    shortest_s, longest_s = EXCERPT_S
    assert shortest_s <= min(lengths_s) < max(lengths_s) <= longest_s
    thirds = shortest_s * (longest_s / shortest_s) ** (np.arange(4) / 3)
    counts, _ = np.histogram(lengths_s, thirds)
    assert counts.min() > 0.8 * len(lengths_s) / 3


def test_what_is_not_degraded_is_cut() -> None:
    copies = degraded_copies(RECORDINGS, 2, seed=1, degraded=0.25)
    clean = [copy for copy in copies if not copy.degradation]
    assert 0.7 < len(clean) / len(copies) < 0.8
    assert all(copy.max_speech_s is not None for copy in clean)

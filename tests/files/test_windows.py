"""Promises of the windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxgender.files.windows import MAX_WINDOWS, STEP_FRAMES, WINDOW_FRAMES, Windows


def numbered(frames: int) -> NDArray[np.float32]:
    """Frames whose one value is their own number."""
    return np.arange(frames, dtype=np.float32)[:, np.newaxis]


def starts(windows: Windows) -> list[int]:
    """First frames of the windows kept; each window must hold consecutive frames."""
    kept = windows.kept()[:, :, 0]
    assert (np.diff(kept, axis=1) == 1).all()
    return [int(window[0]) for window in kept]


@pytest.mark.parametrize(("frames", "expected"), [(160, 1), (236, 1), (237, 2), (160 + 127 * 77, 128)])
def test_windows_overlap_by_the_step(frames: int, expected: int) -> None:
    """As many windows as fit are kept, 77 frames apart, as long as there are not too many."""
    windows = Windows()
    windows.feed(numbered(frames))
    assert starts(windows) == [STEP_FRAMES * index for index in range(expected)]


@settings(deadline=None)
@given(st.integers(160, 60_000), st.lists(st.integers(0, 60_000), max_size=5))
def test_a_long_stream_keeps_few_windows_evenly_over_all_of_it(frames: int, cuts: list[int]) -> None:
    """There are never more than 128; they are evenly spaced, reach to the end, and do not depend on the cut."""
    windows = Windows()
    for piece in np.split(numbered(frames), sorted(cuts)):
        windows.feed(piece)
    found = starts(windows)
    fitting = (frames - WINDOW_FRAMES) // STEP_FRAMES + 1
    stride = 1
    while -(-fitting // stride) > MAX_WINDOWS:
        stride *= 2
    assert found == list(range(0, fitting * STEP_FRAMES, stride * STEP_FRAMES))
    assert min(fitting, MAX_WINDOWS // 2 + 1) <= len(found) <= MAX_WINDOWS


@pytest.mark.parametrize(("frames", "expected"), [(160, 1), (196, 1), (197, 2), (273, 2), (274, 3)])
def test_a_last_window_counts_from_three_quarters_on(frames: int, expected: int) -> None:
    """Zeros fill a last window that has 120 frames or more; one with fewer is left out."""
    windows = Windows()
    windows.feed(numbered(frames))
    windows.end_at(frames)
    windows.feed(np.zeros((WINDOW_FRAMES, 1), np.float32))
    assert len(windows.kept()) == expected


def test_a_last_window_that_does_not_count_drops_no_other() -> None:
    """The zeros after the end make no 129th window, for which every other one would go."""
    windows = Windows()
    frames = WINDOW_FRAMES + (MAX_WINDOWS - 1) * STEP_FRAMES
    windows.feed(numbered(frames))
    windows.end_at(frames)
    windows.feed(np.zeros((WINDOW_FRAMES, 1), np.float32))
    assert len(windows.kept()) == MAX_WINDOWS


def test_a_stream_shorter_than_a_window_is_one_window() -> None:
    """Nothing is added to 0.8 s and more: the frames there are make the only window."""
    windows = Windows()
    windows.feed(numbered(150)[:70])
    windows.feed(numbered(150)[70:])
    assert np.array_equal(windows.kept(), numbered(150)[np.newaxis])


@pytest.mark.parametrize("frames", [1, 2, 33, 79])
def test_a_very_short_stream_goes_forth_and_back(frames: int) -> None:
    """Less than 0.8 s is turned round at its end, and again at its start, until there is so much."""
    windows = Windows()
    windows.feed(numbered(frames))
    once = np.concatenate((numbered(frames), numbered(frames)[::-1]))
    assert np.array_equal(windows.kept(), np.tile(once, (40, 1))[np.newaxis, :80])

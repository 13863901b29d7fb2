"""The windows of the rate limit that one process counts alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse
from limits.strategies import MovingWindowRateLimiter

from voxgender.app.own_windows import OwnWindows

LIMIT, WINDOW_S = 5, 10


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.25, 1.0, 2.5, 10.0, 11.0]),
            st.sampled_from("abc"),
            st.integers(1, 6),
            st.sampled_from(["count", "count", "count", "clear"]),
        ),
        max_size=60,
    )
)
def test_it_lets_in_what_a_list_of_times_lets_in(steps: list[tuple[float, str, int, str]]) -> None:
    now_s = 1000.0
    windows = OwnWindows(lambda: now_s)
    times: dict[str, list[float]] = {}
    for pause_s, key, amount, act in steps:
        now_s += pause_s
        if act == "clear":
            windows.clear(key)
            times[key] = []
            continue
        inside = [at_s for at_s in times.get(key, []) if at_s >= now_s - WINDOW_S]
        fits = len(inside) + amount <= LIMIT
        times[key] = inside + amount * [now_s] * fits
        assert windows.acquire_entry(key, LIMIT, WINDOW_S, amount) == fits
        began_s, count = windows.get_moving_window(key, LIMIT, WINDOW_S)
        assert count == len(times[key])
        assert time.time() - began_s == pytest.approx(now_s - times[key][0] if times[key] else 0, abs=1)


def test_windows_in_which_nothing_is_any_more_are_forgotten_as_others_come() -> None:
    now_s = 0.0
    windows = OwnWindows(lambda: now_s)
    for caller in range(3000):
        assert windows.acquire_entry(f"caller {caller}", LIMIT, WINDOW_S)
        now_s += 0.1
    assert len(windows) <= 2 * WINDOW_S / 0.1
    assert windows.reset() is not None
    assert len(windows) == 0


def test_the_library_counts_with_them() -> None:
    limiter = MovingWindowRateLimiter(OwnWindows())
    rate = parse("2 per hour")
    assert [limiter.hit(rate, "anybody") for _ in range(3)] == [True, True, False]
    reset_s, remaining = limiter.get_window_stats(rate, "anybody")
    assert remaining == 0
    assert reset_s == pytest.approx(time.time() + 3600, abs=60)

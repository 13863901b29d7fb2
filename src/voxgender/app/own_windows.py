"""The windows of the rate limit that a process counts alone, in memory, by a clock that nobody sets."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from voxgender.app.moving_windows import MovingWindows

FORGET_WINDOWS: Final = 2
"""Most windows that one new request looks at to forget what is over: more than come in, so that few are kept."""


class OwnWindows(MovingWindows):
    """Moving windows for one thread at a time.

    The library's own counts by the machine's clock: where that is set back by an hour, who has used up a limit would
    be refused for an hour.

    Args:
        now_s: Tells the time; tests hand in their own.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._windows: dict[str, tuple[int, deque[float]]] = {}
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """Return how many windows are kept."""
        return len(self._windows)

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """Nothing goes wrong in memory."""
        return ()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` requests and return True, or return False where they do not fit.

        Args:
            key: Whose window.
            limit: Requests in one window.
            expiry: Seconds that the window is long.
            amount: Requests to count.
        """
        now_s = self._now_s()
        self._forget(now_s)
        hits = self._inside(key, expiry, now_s)
        if len(hits) + amount > limit:
            return False
        if key not in self._windows:
            heapq.heappush(self._ends, (now_s + expiry, key))
        self._windows[key] = (expiry, hits)
        hits.extend([now_s] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's
        """Return when the window began (UTC epoch seconds) and the requests in it; now and 0 where there are none."""
        now_s = self._now_s()
        hits = self._inside(key, expiry, now_s)
        return time.time() - (now_s - hits[0] if hits else 0.0), len(hits)

    def clear(self, key: str) -> None:
        """Forget a window's requests."""
        if key in self._windows:
            self._windows[key][1].clear()

    def reset(self) -> int | None:
        """Forget all windows and return how many there were."""
        forgotten = len(self._windows)
        self._windows.clear()
        self._ends.clear()
        return forgotten

    def check(self) -> bool:
        """Memory can be used."""
        return True

    def _inside(self, key: str, expiry: int, now_s: float) -> deque[float]:
        """Return the times of a window's requests, without those that have left it."""
        hits = self._windows[key][1] if key in self._windows else deque()
        while hits and hits[0] < now_s - expiry:
            hits.popleft()
        return hits

    def _forget(self, now_s: float) -> None:
        """Forget windows in which nothing is any more; each is looked at again once its newest request has left it."""
        for _ in range(FORGET_WINDOWS):
            if not self._ends or self._ends[0][0] >= now_s:
                return
            _, key = heapq.heappop(self._ends)
            expiry, _ = self._windows[key]
            if hits := self._inside(key, expiry, now_s):
                heapq.heappush(self._ends, (hits[-1] + expiry, key))
            else:
                del self._windows[key]

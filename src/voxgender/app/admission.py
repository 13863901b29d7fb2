"""Admission: may this caller do this now? Rate and licence are asked here, by every protocol in the same way."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import limits
import structlog
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from voxgender.app.licence import Charge, Licence, Resource
from voxgender.app.metrics import count_rate_limit_hit
from voxgender.app.rate_storage import RateWindows
from voxgender.core.errors import RateLimitError

RETRY_S: Final = 10.0
"""After an error of the shared windows, seconds until they are tried again."""

_Counted: TypeAlias = tuple[bool, float, int]
"""Whether a request is let in, when its window resets (UTC epoch seconds), and what is left in it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RatePermit:
    """What is left of a caller's window.

    Attributes:
        limit: Requests in one window.
        remaining: Requests left in it.
        reset_s: UTC epoch seconds at which the window resets.
    """

    limit: int
    remaining: int
    reset_s: int


class Admission:
    """Decides on each request before its body is read, and prices its work.

    Args:
        rate_limit: Like ``1 per 5 second``; None for no limit. Each caller has a window for each operation, so that
            polling does not use up what is meant for new tasks.
        licence: None for unlimited work.
        windows: Where several processes count together; None where this one is alone. While they cannot be used, each
            process counts for itself: no request fails by it, and at most as many times the limit is let in as there
            are processes.

    Attributes:
        licence: The licence.
    """

    def __init__(
        self, rate_limit: str | None, licence: Licence | None, windows: RateWindows[Any] | None = None
    ) -> None:
        self._rate = limits.parse(rate_limit) if rate_limit else None
        self.licence = licence
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._windows = windows
        self._shared = MovingWindowRateLimiter(windows) if windows else None
        self._shared_from_s = 0.0
        # They may be busy for a while, and the event loop must not wait for them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rate-limit")

    async def admit(self, caller: str, operation: str) -> RatePermit | None:
        """Count a request and return what is left; None without a limit.

        Raises:
            RateLimitError: Where the caller has used up its requests.
        """
        if self._rate is None:
            return None
        if self._shared is None:
            allowed, reset_s, remaining = _hit(self._own, self._rate, operation, caller)
        else:
            allowed, reset_s, remaining = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._hit_together, self._shared, self._rate, operation, caller
            )
        if allowed:
            return RatePermit(self._rate.amount, remaining, math.ceil(reset_s))
        count_rate_limit_hit(operation)
        raise RateLimitError(
            f"Rate limit exceeded: {self._rate}.",
            limit=self._rate.amount,
            remaining=0,
            reset_s=math.ceil(reset_s),
            retry_after_s=max(1, math.ceil(reset_s - time.time())),
        )

    def charge(self, resource: Resource, amount: float, now_s: float) -> Charge | None:
        """Return what the licence will be charged for the work; None without a licence.

        Raises:
            LicenceExpiredError: Where the licence has ended.
        """
        return None if self.licence is None else self.licence.charge(resource, amount, now_s)

    def close(self) -> None:
        """Let go of what is shared with other processes."""
        self._thread.shutdown()
        if self._windows is not None:
            self._windows.close()

    def _hit_together(
        self, shared: MovingWindowRateLimiter, rate: limits.RateLimitItem, operation: str, caller: str
    ) -> _Counted:
        """Count with the other processes, or alone as long as that does not work."""
        if time.monotonic() >= self._shared_from_s:
            try:
                return _hit(shared, rate, operation, caller)
            except StorageError as error:
                self._shared_from_s = time.monotonic() + RETRY_S
                reason = str(error.storage_error)
                log.warning("rate limit counted by each process alone for now", retry_s=RETRY_S, error=reason)
        return _hit(self._own, rate, operation, caller)


def _hit(limiter: MovingWindowRateLimiter, rate: limits.RateLimitItem, operation: str, caller: str) -> _Counted:
    allowed = limiter.hit(rate, operation, caller)
    reset_s, remaining = limiter.get_window_stats(rate, operation, caller)
    return allowed, reset_s, remaining

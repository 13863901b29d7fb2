"""Admission: may this caller do this now? Rate and licence are asked here, by every protocol in the same way."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import limits
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from voxgender.app.licence import Charge, Licence, Resource
from voxgender.core.errors import RateLimitError


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
    """

    def __init__(self, rate_limit: str | None, licence: Licence | None) -> None:
        self._rate = limits.parse(rate_limit) if rate_limit else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._licence = licence

    def admit(self, caller: str, operation: str) -> RatePermit | None:
        """Count a request and return what is left; None without a limit.

        Raises:
            RateLimitError: Where the caller has used up its requests.
        """
        if self._rate is None:
            return None
        allowed = self._limiter.hit(self._rate, operation, caller)
        reset_s, remaining = self._limiter.get_window_stats(self._rate, operation, caller)
        if allowed:
            return RatePermit(self._rate.amount, remaining, math.ceil(reset_s))
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
        return None if self._licence is None else self._licence.charge(resource, amount, now_s)

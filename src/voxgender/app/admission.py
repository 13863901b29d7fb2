"""Admission: may this caller do this now? Key, rate and licence are asked here, by every protocol in the same way."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import limits
import structlog
from limits.errors import StorageError
from limits.strategies import MovingWindowRateLimiter

from voxgender.app.key import ApiKey
from voxgender.app.key_ring import KeyRing
from voxgender.app.licence import Charge, Licence, Resource
from voxgender.app.metrics import count_rate_limit_hit
from voxgender.app.own_windows import OwnWindows
from voxgender.app.rate_storage import RateWindows
from voxgender.core.errors import KeyRefusedError, RateLimitError

REFUSED_LIMIT: Final = "100 per minute"
"""So often an address is told that its key opens nothing; then that it asks too often."""
RETRY_S: Final = 10.0
"""After an error of the shared windows, seconds until they are tried again."""

_Counted: TypeAlias = tuple[bool, float, int]
"""Whether a request is let in, when its window resets (UTC epoch seconds), and what is left in it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RateWindow:
    """What is left of a caller's window.

    Attributes:
        limit: Requests in one window.
        remaining: Requests left in it.
        reset_s: UTC epoch seconds at which the window resets.
    """

    limit: int
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Permit:
    """What a caller is let in with.

    Attributes:
        key: The caller's; None where none is demanded.
        window: What is left of the caller's requests; None without a limit.
    """

    key: ApiKey | None = None
    window: RateWindow | None = None

    @property
    def owner(self) -> str:
        """Whose the tasks are that it starts: the key's id, empty without one."""
        return "" if self.key is None else self.key.key_id

    def opens(self, owner: str) -> bool:
        """Return whether it may see the tasks of an owner: where keys are demanded, those of its own key alone."""
        return self.key is None or self.owner == owner


ANYONE: Final = Permit()
"""The permit where nothing is demanded."""


class Admission:
    """Decides on each request before its body is read, and prices its work.

    Args:
        rate_limit: Like ``1 per 5 second``; None for no limit. Each caller has a window for each operation, so that
            polling does not use up what is meant for new tasks. A key's own limit goes before it.
        licence: None for unlimited work.
        keys: Knows the callers.
        windows: Where several processes count together; None where this one is alone. While they cannot be used, each
            process counts for itself: no request fails by it, and at most as many times the limit is let in as there
            are processes.

    Attributes:
        licence: The licence.
        keys: Those of the callers.
    """

    def __init__(
        self,
        rate_limit: str | None,
        licence: Licence | None,
        keys: KeyRing,
        windows: RateWindows[Any] | None = None,
    ) -> None:
        self._rate_limit = rate_limit
        self.licence = licence
        self.keys = keys
        self._own = MovingWindowRateLimiter(OwnWindows())
        self._windows = windows
        self._shared = MovingWindowRateLimiter(windows) if windows else None
        self._shared_from_s = 0.0
        # They may be busy for a while, and the event loop must not wait for them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rate-limit")

    async def admit(self, address: str, key: str | None, operation: str) -> Permit:
        """Count a request and return what its caller may do.

        Args:
            address: Where the caller is, which stands for who it is where keys are not demanded.
            key: What the caller sent as its key; None for nothing.
            operation: What the request is counted as.

        Raises:
            KeyRefusedError: Where a key is demanded, and the caller's opens nothing.
            RateLimitError: Where the caller has used up its requests, or was refused too often.
        """
        address = counted_as(address)
        try:
            held = await self.keys.key_of(key)
        except KeyRefusedError:
            self._count_refused(address)
            raise
        if held is not None:
            structlog.contextvars.bind_contextvars(key_id=held.key_id)
        limit = self._rate_limit if held is None or held.rate_limit is None else held.rate_limit
        if limit is None:
            return ANYONE if held is None else Permit(held)
        return Permit(held, await self._count(parse_limit(limit), address if held is None else held.key_id, operation))

    async def permit_of(self, owner: str) -> Permit:
        """Return what a task's owner may be charged by; a key that was removed meanwhile charges nothing any more."""
        return Permit(await self.keys.key_by_id(owner)) if owner else ANYONE

    async def _count(self, rate: limits.RateLimitItem, caller: str, operation: str) -> RateWindow:
        if self._shared is None:
            allowed, reset_s, remaining = _hit(self._own, rate, operation, caller)
        else:
            allowed, reset_s, remaining = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._hit_together, self._shared, rate, operation, caller
            )
        if allowed:
            return RateWindow(rate.amount, remaining, math.ceil(reset_s))
        count_rate_limit_hit(operation)
        raise _exceeded(rate, reset_s)

    def _count_refused(self, address: str) -> None:
        """Count a caller without a key that opens; each process does so for itself."""
        rate = parse_limit(REFUSED_LIMIT)
        allowed, reset_s, _ = _hit(self._own, rate, "refused", address)
        if not allowed:
            count_rate_limit_hit("refused")
            raise _exceeded(rate, reset_s)

    async def check(self, permit: Permit) -> None:
        """Check that a permit that was given a while ago still holds.

        Raises:
            KeyRefusedError: Where its key was removed or has ended meanwhile.
        """
        if permit.key is not None:
            await self.keys.check(permit.key)

    def check_licence(self, now_s: float) -> None:
        """Check that there is a licence for work, if any is needed.

        Raises:
            LicenceExpiredError: Where it has ended.
        """
        self.charges(ANYONE, "voiceprints", 0, now_s)

    def charges(self, permit: Permit, resource: Resource, amount: float, now_s: float) -> tuple[Charge, ...]:
        """Return what licence and key are charged for the work.

        Raises:
            LicenceExpiredError: Where the licence has ended.
        """
        if self.licence is None and permit.key is None:
            return ()  # nearly always, and small requests ask twice
        charges = (
            holder.charge(resource, amount, now_s) for holder in (self.licence, permit.key) if holder is not None
        )
        return tuple(charge for charge in charges if charge is not None)

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


def _exceeded(rate: limits.RateLimitItem, reset_s: float) -> RateLimitError:
    return RateLimitError(
        f"Rate limit exceeded: {rate}.",
        limit=rate.amount,
        remaining=0,
        reset_s=math.ceil(reset_s),
        retry_after_s=max(1, math.ceil(reset_s - time.time())),
    )


@functools.lru_cache(1024)
def counted_as(address: str) -> str:
    """Return as what an address is counted: itself, and of IPv6 its network of 64 bits.

    One line of a network has so many addresses of IPv6 at least (RFC 6177), and may send each request from another one.

    Example:
        >>> [counted_as(address) for address in ("192.0.2.1", "2001:db8::1:2:3:4", "::ffff:192.0.2.1", "")]
        ['192.0.2.1', '2001:db8::/64', '192.0.2.1', '']
    """
    if ":" not in address:
        return address
    try:
        whole = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(whole.ipv4_mapped or ipaddress.IPv6Network((int(whole), 64), strict=False))


@functools.cache
def parse_limit(text: str) -> limits.RateLimitItem:
    """Return the limit that a text like ``100 per minute`` tells."""
    return limits.parse(text)


def _hit(limiter: MovingWindowRateLimiter, rate: limits.RateLimitItem, operation: str, caller: str) -> _Counted:
    allowed = limiter.hit(rate, operation, caller)
    reset_s, remaining = limiter.get_window_stats(rate, operation, caller)
    return allowed, reset_s, remaining

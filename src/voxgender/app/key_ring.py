"""The key ring: which key does a caller hold?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from voxgender.app.key import ApiKey, parts_of
from voxgender.app.store import Store
from voxgender.core.errors import KeyExpiredError, KeyMissingError, KeyUnknownError

FRESH_S: Final = 5.0
"""So long what the store told of its keys is taken for true: after it a removed key opens nowhere any more."""
AGAIN_S: Final = 0.5
"""A key that is not known may be a new one; the store is asked again, but not more often than this."""

_UNKNOWN: Final = "the key is none of this service; it is misspelled, or was removed"
_ENDED: Final = "the key has ended; ask for a new one"
_NOBODYS: Final = ApiKey("", "", bytes(32), 0.0)


class KeyRing:
    """Knows the keys of a store.

    Args:
        store: Where they are kept.
        is_demanded: Whether a caller must have one; where not, keys are not looked at.
        now_s: Tells the time in UTC epoch seconds; tests hand in their own.
    """

    def __init__(self, store: Store, *, is_demanded: bool, now_s: Callable[[], float] = time.time) -> None:
        self.is_demanded = is_demanded
        self._store = store
        self._now_s = now_s
        self._keys: dict[str, ApiKey] = {}
        self._asked_s = -math.inf
        self._looking = asyncio.Lock()

    async def count(self) -> int:
        """Return how many keys there are.

        Raises:
            StoreUnavailableError: Where the keys cannot be read.
        """
        await self._look(FRESH_S)
        return len(self._keys)

    async def key_of(self, text: str | None) -> ApiKey | None:
        """Return the key that a caller holds; None where none is demanded.

        Args:
            text: What the caller sent; None for nothing.

        Raises:
            KeyRefusedError: Where it opens nothing.
            StoreUnavailableError: Where the keys cannot be read.
        """
        if not self.is_demanded:
            return None
        if not text:
            raise KeyMissingError(
                "a key is demanded; send yours as Authorization: Bearer KEY (voxgender keys add makes one)"
            )
        key_id, secret = parts_of(text)
        await self._look(FRESH_S)
        if key_id not in self._keys:
            await self._look(AGAIN_S)
        # Whether the id or the secret is wrong takes the same time.
        key = self._keys.get(key_id, _NOBODYS)
        if not key.opens_with(secret) or key is _NOBODYS:
            raise KeyUnknownError(_UNKNOWN)
        if key.has_ended(self._now_s()):
            raise KeyExpiredError(_ENDED)
        return key

    async def key_by_id(self, key_id: str) -> ApiKey | None:
        """Return a key by its id; None where it was removed.

        Raises:
            StoreUnavailableError: Where the keys cannot be read.
        """
        await self._look(FRESH_S)
        if key_id not in self._keys:
            await self._look(0.0)  # whose work is charged must not be missed
        return self._keys.get(key_id)

    async def check(self, key: ApiKey) -> None:
        """Check that a key that opened once still does.

        Raises:
            KeyRefusedError: Where it was removed or has ended.
            StoreUnavailableError: Where the keys cannot be read.
        """
        if await self.key_by_id(key.key_id) is None:
            raise KeyUnknownError(_UNKNOWN)
        if key.has_ended(self._now_s()):
            raise KeyExpiredError(_ENDED)

    async def _look(self, fresh_s: float) -> None:
        """Ask the store, unless it was asked so short a time ago; who comes meanwhile waits for the same answer."""
        called_s = time.monotonic()
        if called_s - self._asked_s < fresh_s:
            return
        async with self._looking:
            if self._asked_s >= called_s or time.monotonic() - self._asked_s < fresh_s:
                return
            asked_s = time.monotonic()
            self._keys = {key.key_id: key for key in await self._store.keys()}
            self._asked_s = asked_s

"""What all ways to count requests have in common: moving windows, as the library ``limits`` asks for them."""

from __future__ import annotations

from limits.storage.base import MovingWindowSupport, Storage


class MovingWindows(Storage, MovingWindowSupport):
    """A storage of the library ``limits`` that keeps moving windows and no fixed ones."""

    STORAGE_SCHEME = None

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Fixed windows are not kept."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Fixed windows are not kept."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Fixed windows are not kept."""
        raise NotImplementedError

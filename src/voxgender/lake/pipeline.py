"""Work on a stream in another thread: while one piece is worked on, the next one is read and the last one written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

A = TypeVar("A")
B = TypeVar("B")

AHEAD: Final = 3
"""Pieces that may wait to be worked on or to be taken."""


def map_ahead(work: Callable[[A], B], pieces: Iterable[A], threads: int = 1) -> Iterator[B]:
    """Yield what ``work`` makes of each piece, in their order, while other threads work on those that follow.

    The pieces are read in the caller's thread. At most ``AHEAD`` of them a thread are held at a time.

    Raises:
        Exception: What ``work`` or reading raised, in the place of that piece.

    Example:
        >>> list(map_ahead(str, range(5)))
        ['0', '1', '2', '3', '4']
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) >= AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

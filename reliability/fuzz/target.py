"""What is fuzzed: bytes to begin with, and what must hold for any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """A reader under fuzzing.

    Attributes:
        promise: What must hold for any bytes, as the table of findings says it.
        check: Holds it against some bytes; raises anything where it does not hold.
        seeds: Gives real input to begin with.
        words: Pieces of input that chance would not find.
        max_bytes: Longest input.
    """

    promise: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Sequence[bytes]
    max_bytes: int = 4096


def drawn(strategy: SearchStrategy[bytes], count: int) -> list[bytes]:
    """Return examples of a Hypothesis strategy, the same each time."""
    found: list[bytes] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(example: bytes) -> None:
        found.append(example)

    draw()
    return found


def cut(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Return a body in pieces of the sizes, again and again."""
    pieces: list[bytes] = []
    at = 0
    while at < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[at : at + size])
        at += size
    return pieces


def outcome_of(call: Callable[[], Any], *documented: type[Exception]) -> tuple[str, Any]:
    """Return what a call gives, or which of the documented errors in what words; any other error is a fault."""
    try:
        return "read", call()
    except documented as error:
        return type(error).__name__, str(error)

"""Lengths of time: seconds to protobuf and back."""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration

from voxgender.core.errors import RequestValidationError

MAX_S: Final = 315_576_000_000
"""The longest time that a Duration can say."""


def duration(seconds: float) -> Duration:
    """Return a length to the nanosecond.

    Example:
        >>> duration(2.75)
        seconds: 2
        nanos: 750000000
        <BLANKLINE>
    """
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)


def seconds_of(told: Duration, *location: str, allows_zero: bool = True) -> float:
    """Return the seconds of a length that a message has told.

    Args:
        told: The length.
        location: Where in the message it stands.
        allows_zero: Whether it may be 0.

    Raises:
        RequestValidationError: Where it is negative, or 0 and must not be, or none that protobuf allows.
    """
    seconds, remedy = told.seconds + told.nanos / 1e9, None
    if seconds < 0 or (seconds == 0 and not allows_zero):
        remedy = "0 or more" if allows_zero else "above 0"
    elif not (told.seconds <= MAX_S and 0 <= told.nanos < 10**9):
        remedy = f"a length of up to {MAX_S} seconds, and 0 to 999999999 nanos"
    if remedy is not None:
        raise RequestValidationError(
            f"'{'.'.join(location)}' is {seconds:g} s; it must be {remedy}.", location, "value.out-of-range"
        )
    return seconds

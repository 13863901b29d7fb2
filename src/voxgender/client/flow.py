"""What a conversation with the service is made of, without any I/O: generators, and what they yield and are sent.

A flow yields a :class:`Request`, and is sent the :class:`~voxgender.client.wire.Answer`, or :class:`Lost` or
:class:`Unsent`; or it yields a :class:`Wait`, and is sent None once the time has passed. It returns, or raises, what
the conversation came to. The two clients only drive it, each with its own way to send and to sleep.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

from voxgender.client.wire import Answer
from voxgender.core.errors import InputError

QUIET_S: Final = 60.0
"""How long nothing may come of an answer, besides what was asked to be waited for."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be sent.

    Attributes:
        method: HTTP's.
        path: From the service's root.
        query: What stands in the URL's query.
        headers: To send.
        body: To send; None for none.
        file: A recording to send as the part ``file`` of a multipart body, read piece by piece; None for none.
        quiet_s: Longest time in which nothing comes of the answer.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # a key may be among them
    body: bytes | None = field(default=None, repr=False)
    file: Path | bytes | None = field(default=None, repr=False)
    quiet_s: float = QUIET_S


@dataclass(frozen=True, slots=True)
class Wait:
    """A time to let pass, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lost:
    """There was no answer, or not all of it.

    Attributes:
        reason: Why, in a few words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """A request could not be made at all.

    Attributes:
        error: Why, as when its recording is no longer there.
    """

    error: InputError


Reply: TypeAlias = Answer | Lost | Unsent
Flow: TypeAlias = Generator[Request | Wait, Reply | None, T]

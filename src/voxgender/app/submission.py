"""The submission: what a caller names once and may send again without a second task, after a lost answer say."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from voxgender.app.task import Technology
from voxgender.core.errors import RequestValidationError

LOCATION: Final = ("header", "idempotency-key")
"""Where a request names its submission."""
MAX_NAME_CHARACTERS: Final = 128
DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission as a store knows it: by digests, of which neither tells what was sent.

    Attributes:
        name: Of caller, technology, and the name that the caller gave.
        fingerprint: Of what came, with the caller's name before it, so that two submissions of the same are not alike.
    """

    name: bytes
    fingerprint: bytes


class NamedRequest:
    """A request that may come again: the name that its caller gave it, and a digest of what came with it.

    Args:
        name: 1 to 128 printable ASCII characters.

    Raises:
        RequestValidationError: Where the name is none.

    Example:
        >>> NamedRequest("")
        Traceback (most recent call last):
        ...
        voxgender.core.errors.RequestValidationError: The header idempotency-key must hold 1 to 128 printable ASCII ...
    """

    def __init__(self, name: str) -> None:
        if not (0 < len(name) <= MAX_NAME_CHARACTERS and name.isascii() and name.isprintable()):
            reason = f"The header {LOCATION[1]} must hold 1 to {MAX_NAME_CHARACTERS} printable ASCII characters."
            raise RequestValidationError(reason, LOCATION, "value.type")
        self._name = name.encode("ascii")
        self._came = hashlib.sha256(self._name + b"\n")
        self._config = b""

    def take(self, piece: bytes | bytearray) -> None:
        """Take the next piece of what comes with it."""
        self._came.update(piece)

    def take_config(self, config: bytes) -> None:
        """Take a config; apart from the rest, because how much of a file is taken before it depends on the network."""
        self._config = hashlib.sha256(config).digest()

    async def taking(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Take pieces on their way."""
        async for piece in pieces:
            self.take(piece)
            yield piece

    def submission(self, owner: str, technology: Technology) -> Submission:
        """Return what a store knows it by, once all has come.

        Args:
            owner: The caller's key; empty where there are no keys.
            technology: What is asked for.
        """
        name = hashlib.sha256(f"{owner}\n{technology}\n".encode("ascii") + self._name)
        came = self._came.copy()
        came.update(self._config)
        return Submission(name.digest()[:DIGEST_BYTES], came.digest()[:DIGEST_BYTES])


def earlier(submission: Submission, fingerprint: bytes, task_id: UUID) -> UUID:
    """Return the task that an earlier submission of the same name made.

    Args:
        submission: The one that has come now.
        fingerprint: The earlier one's.
        task_id: The task's id.

    Raises:
        RequestValidationError: Where something else was sent then.
    """
    if submission.fingerprint != fingerprint:
        reason = "This Idempotency-Key came before with another request; give each request one of its own."
        raise RequestValidationError(reason, LOCATION, "idempotency-key.reused")
    return task_id

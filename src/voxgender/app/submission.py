"""The submission: what a caller names once and may send again without a second task, after a lost answer say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from voxgender.app.task import Technology
from voxgender.core.errors import RequestValidationError

LOCATION: Final = ("header", "idempotency-key")
"""Where a request names its submission."""
MAX_NAME_CHARACTERS: Final = 128


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission as a store knows it: by digests, of which neither tells what was sent.

    Attributes:
        name: Of caller, technology, and the name that the caller gave.
        fingerprint: Of what was sent; keyed by the caller's name, so that two submissions of the same are not alike.
    """

    name: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class SubmissionName:
    """The name that a caller gave to a submission.

    Attributes:
        text: 1 to 128 printable ASCII characters.

    Raises:
        RequestValidationError: Where it is none.

    Example:
        >>> SubmissionName("").text
        Traceback (most recent call last):
        ...
        voxgender.core.errors.RequestValidationError: The header idempotency-key must hold 1 to 128 printable ASCII ...
    """

    text: str

    def __post_init__(self) -> None:
        if not (0 < len(self.text) <= MAX_NAME_CHARACTERS and self.text.isascii() and self.text.isprintable()):
            reason = f"The header {LOCATION[1]} must hold 1 to {MAX_NAME_CHARACTERS} printable ASCII characters."
            raise RequestValidationError(reason, LOCATION, "value.type")

    def digest(self) -> Digest:
        """Return what takes what is sent under this name."""
        return Digest(hashlib.blake2b(key=_short(self.text), digest_size=16))

    def submission(self, owner: str, technology: Technology, digest: Digest) -> Submission:
        """Return the submission.

        Args:
            owner: The caller's key; empty where there are no keys.
            technology: What is asked for.
            digest: What has taken what was sent.
        """
        parts = "\n".join((owner, technology, self.text))
        return Submission(hashlib.blake2b(parts.encode("ascii"), digest_size=16).digest(), digest.value())


class Digest:
    """Takes what is sent, piece by piece.

    Args:
        hashing: What it is kept in.
    """

    def __init__(self, hashing: hashlib.blake2b) -> None:
        self._hashing = hashing

    def take(self, piece: bytes | bytearray) -> None:
        """Take the next piece."""
        self._hashing.update(piece)

    def value(self) -> bytes:
        """Return the digest of all that was taken."""
        return self._hashing.digest()


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


def _short(text: str) -> bytes:
    """Return the key of a digest, which takes 64 bytes at most."""
    return hashlib.blake2b(text.encode("ascii"), digest_size=64).digest()

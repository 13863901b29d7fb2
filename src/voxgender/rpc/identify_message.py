"""The messages of Identify on the wire: those of alike voiceprints are read as a matrix.

Two lanes read the same grammar. protobuf alone says what a message is. But one that holds nothing than voiceprints of
one length is the same few bytes again and again with a voiceprint behind them, and is viewed as a matrix with one
voiceprint a row, without an object for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from phonexia.grpc.common.core_pb2 import Voiceprint
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyRequest,
    IdentifyResponse,
)

from voxgender.core.scoring import FEW_ITEMS, Scoring

_VOICEPRINTS: Final = b"\x0a"
"""The field ``voiceprints`` of a request, number 1, and the field ``content`` of a voiceprint, number 1 as well: a byte
that says the number, 1 times 8, and the wire type, 2 for bytes whose count follows."""
_MAX_VARINT_BYTES: Final = 5


class MessageVoiceprints(Protocol):
    """The voiceprints of a message, however it was read."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int) -> bytes: ...

    def add_to(self, scoring: Scoring, start: int, stop: int) -> None:
        """Have those from ``start`` up to ``stop`` scored."""


@dataclass(frozen=True, slots=True)
class AlikeVoiceprints:
    """Voiceprints of one length.

    Attributes:
        rows: One in each, shape (n, bytes of each).
    """

    rows: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> bytes:
        data: bytes = self.rows[position].tobytes()
        return data

    def add_to(self, scoring: Scoring, start: int, stop: int) -> None:
        """Have those from ``start`` up to ``stop`` scored."""
        scoring.add_records(self.rows[start:stop])


@dataclass(frozen=True, slots=True)
class ListedVoiceprints:
    """Voiceprints of any lengths.

    Attributes:
        messages: One in each.
    """

    messages: Sequence[Voiceprint]

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, position: int) -> bytes:
        return self.messages[position].content

    def add_to(self, scoring: Scoring, start: int, stop: int) -> None:
        """Have those from ``start`` up to ``stop`` scored."""
        scoring.add_bytes([one.content for one in self.messages[start:stop]])


def voiceprints_of(
    request: IdentifyRequest | AlikeVoiceprints,
) -> tuple[MessageVoiceprints, IdentifyRequest | None]:
    """Return the voiceprints of what :func:`read_request` has read, and the message if there may be more in it."""
    if isinstance(request, AlikeVoiceprints):
        return request, None
    return ListedVoiceprints(request.voiceprints), request


def read_request(data: bytes) -> IdentifyRequest | AlikeVoiceprints:
    """Return the message that bytes hold, or its voiceprints where it holds nothing else, and they are many and alike.

    Raises:
        google.protobuf.message.DecodeError: Where they hold none.
    """
    rows = _alike_rows(data)
    if rows is not None:
        return AlikeVoiceprints(rows)
    request: IdentifyRequest = IdentifyRequest.FromString(data)
    return request


def write_response(response: IdentifyResponse | bytes) -> bytes:
    """Return the bytes of an answer, which it may be already."""
    return response if isinstance(response, bytes) else response.SerializeToString()


def _alike_rows(data: bytes) -> NDArray[np.uint8] | None:
    """Return the voiceprints of a message that holds nothing else, of one length; None where it is another."""
    outer = _counted(data, 0)
    if outer is None:
        return None
    content_at, outer_bytes = outer
    inner = _counted(data, content_at)
    if inner is None:
        return None
    at, content_bytes = inner
    end = content_at + outer_bytes
    # The voiceprint must be all that its message holds, and the messages all that there is.
    if at + content_bytes != end or not content_bytes or len(data) % end or len(data) <= FEW_ITEMS * end:
        return None
    rows = np.frombuffer(data, np.uint8).reshape(-1, end)
    is_alike = np.array_equal(rows[:, :at], np.broadcast_to(rows[0, :at], (len(rows), at)))
    return rows[:, at:] if is_alike else None


def _counted(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the bytes of a field begin that stands at ``at``, and how many they are; None if it is another."""
    if data[at : at + 1] != _VOICEPRINTS:
        return None
    count = 0
    for place, byte in enumerate(data[at + 1 : at + 1 + _MAX_VARINT_BYTES]):
        count |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return at + 2 + place, count
    return None

"""What is sent: messages of voiceprints as the bytes on the wire, and whether the answers to them are right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Final

import numpy as np
from phonexia.grpc.common.core_pb2 import Voiceprint
from phonexia.grpc.technologies.gender_identification.v1 import gender_identification_pb2
from phonexia.grpc.technologies.gender_identification.v1.gender_identification_pb2 import (
    IdentifyRequest,
    IdentifyResponse,
    IdentifyResult,
)

from voxgender.core.result import SPEECH_DIGITS

IDENTIFY: Final = f"/{gender_identification_pb2.DESCRIPTOR.services_by_name['GenderIdentification'].full_name}/Identify"
FULL: Final = 1024
"""Voiceprints of the largest message that the service takes."""
DIFFERENT: Final = 16
"""Messages of a kind that are all different; a stream sends them in turn."""


@dataclass(frozen=True)
class Messages:
    """Different messages of one size.

    Attributes:
        size: Voiceprints of each.
        wire: Their bytes.
        expected: The right results of each, as REST writes them.
        right: Number and answer of messages that were found right: the same message has the same answer, byte by byte.
    """

    size: int
    wire: Sequence[bytes]
    expected: Sequence[Sequence[Any]]
    right: set[tuple[int, bytes]] = field(default_factory=set, repr=False)

    @classmethod
    def of(cls, size: int, items: Sequence[bytes], results: Sequence[Any]) -> Messages:
        """Return messages of the first voiceprints, whose results are known."""
        parts = [slice(at, at + size) for at in range(0, min(len(items), DIFFERENT * size) - size + 1, size)]
        return cls(size, [request(items[part]) for part in parts], [results[part] for part in parts])

    def stream(self, count: int) -> Iterable[bytes]:
        """Return so many messages, taken in turn."""
        return islice(cycle(self.wire), count)

    def check(self, answers: Sequence[bytes], count: int) -> None:
        """Check the answers to a stream of so many messages.

        Raises:
            RuntimeError: Where one is missing or wrong.
        """
        if len(answers) != count:
            raise RuntimeError(f"{len(answers)} answers to {count} messages of {self.size} voiceprints")
        for at, answer in enumerate(answers):
            number = at % len(self.wire)
            if (number, answer) in self.right:
                continue
            results = IdentifyResponse.FromString(answer).results
            wrong = sum(not _is_same(*pair) for pair in zip(results, self.expected[number], strict=False))
            if len(results) != self.size or wrong:
                raise RuntimeError(f"{len(results)} results of {self.size} voiceprints, {wrong} of them wrong")
            self.right.add((number, answer))


def request(items: Sequence[bytes]) -> bytes:
    """Return the message of voiceprints."""
    wire: bytes = IdentifyRequest(voiceprints=[Voiceprint(content=item) for item in items]).SerializeToString()
    return wire


def _is_same(result: IdentifyResult, expected: Any) -> bool:
    """Whether a result says what REST writes, in the float32 of its own fields."""
    male, female = expected["scores"]
    speech_s = result.speech_length.seconds + result.speech_length.nanos / 1e9
    return round(speech_s, SPEECH_DIGITS) == expected["speech_length"] and all(
        score.score_llr == np.float32(told["score_llr"]) and score.probability == np.float32(told["probability"])
        for score, told in ((result.score_male, male), (result.score_female, female))
    )

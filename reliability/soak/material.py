"""What is sent: lists of voiceprints and recordings, each with what the library tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Final

import pyarrow as pa
from benchmarks.rpc.messages import Messages
from benchmarks.serving.bodies import MODEL, Body, arrow_body, expected_results, gzip_body, json_body, voiceprints

import voxgender
from recordings import RATE_HZ, voice
from reliability.soak.load import WrongAnswerError
from sounds import encode, encode_media
from voxgender.core.errors import VoxgenderError
from voxgender.files.heads import load_scorer

FEW: Final = (1, 2, 3, 5, 8, 16)
"""Voiceprints of the small lists."""
THOUSAND: Final = 1000
MESSAGE, MESSAGES = 64, 4
"""Voiceprints of a message over gRPC, and how many messages differ."""
SPEECH_S: Final = 2.0
"""Length of a recording."""
FORMATS: Final = (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"))
MEDIA_FORMATS: Final = (("ipod", "aac"), ("webm", "libopus"))
"""Formats that the extra ``media`` reads."""
ARROW: Final = "Arrow"
"""The form of an answer that is no JSON."""
_RESULT: Final = b'"result":'


class VoiceprintList:
    """A list of voiceprints, as it is sent, and the answers to it that are known to be right.

    Args:
        items: The voiceprints.
        expected: What the library tells of them.

    Attributes:
        count: How many they are.
        bodies: As JSON, as packed JSON and as Arrow.
    """

    def __init__(self, items: Sequence[bytes], expected: list[Any]) -> None:
        self.count = len(items)
        plain = json_body("JSON", items)
        arrow = arrow_body(items)
        if arrow is None:
            raise RuntimeError("PyArrow is missing: pip install 'voxgender[dev]'")
        self.bodies: tuple[Body, ...] = (plain, gzip_body(plain), arrow)
        # As text, because 50,000 objects take five times as much memory, which would stay with the load generator.
        self._expected = json.dumps(expected)
        self._right: set[bytes] = set()

    def check(self, form: str, content: bytes) -> None:
        """Check an answer to a poll.

        The first one is read and compared with the library; what it says besides the task's id is the same each time,
        so that the others need not be read. A list of 50,000 would have the load generator stand still.

        Args:
            form: ``ARROW``, or another word where it is JSON.
            content: Its body, unpacked.

        Raises:
            WrongAnswerError: Where it does not tell these results.
        """
        result = content if form == ARROW else content.partition(_RESULT)[2]
        digest = sha256(result).digest()
        if digest in self._right:
            return
        expected = json.loads(self._expected)
        if form == ARROW:
            is_right = _rows(content) == [_row(one) for one in expected]
        else:
            is_right = json.loads(content)["result"]["voiceprints"] == expected
        if not is_right:
            raise WrongAnswerError(f"the results of {self.count} voiceprints are not those of the library")
        self._right.add(digest)


@dataclass(frozen=True)
class Recording:
    """A media file, and what the library tells of it.

    Attributes:
        name: What it is.
        content: Its bytes.
        channels: The right result, as the wire contract writes it; None where it cannot be read.
    """

    name: str
    content: bytes = field(repr=False)
    channels: list[Any] | None

    @classmethod
    def of(cls, name: str, content: bytes) -> Recording:
        """Return a recording of one channel, with what the library tells of it."""
        try:
            results = voxgender.identify(content)
        except VoxgenderError:
            return cls(name, content, None)
        return cls(name, content, [{"channel_number": 0, **one.as_dict()} for one in results])


@dataclass(frozen=True)
class Material:
    """All that is sent.

    Attributes:
        few: Small lists.
        thousand: A list of 1,000.
        many: A large list.
        good: Recordings that can be read, in several formats.
        damaged: Broken ones.
        messages: Of voiceprints, for gRPC.
    """

    few: tuple[VoiceprintList, ...]
    thousand: VoiceprintList
    many: VoiceprintList
    good: tuple[Recording, ...]
    damaged: tuple[Recording, ...]
    messages: Messages

    @classmethod
    def of(cls, many: int) -> Material:
        """Make it; always the same.

        Args:
            many: Voiceprints of the large list.
        """
        scorer = load_scorer(MODEL)

        def list_of(count: int) -> VoiceprintList:
            items = voiceprints(count)
            return VoiceprintList(items, expected_results(scorer, items))

        good = tuple(Recording.of(name, content) for name, content in _files())
        damaged = tuple(Recording.of(name, content) for name, content in _damaged([one.content for one in good]))
        items = voiceprints(MESSAGE * MESSAGES)
        messages = Messages.of(MESSAGE, items, expected_results(scorer, items))
        return cls(tuple(map(list_of, FEW)), list_of(THOUSAND), list_of(many), good, damaged, messages)

    @property
    def lists(self) -> tuple[VoiceprintList, ...]:
        """All lists."""
        return (*self.few, self.thousand, self.many)


def _files() -> Iterator[tuple[str, bytes]]:
    for number, (container, codec) in enumerate(FORMATS):
        samples = voice(("male", "female")[number % 2], SPEECH_S)[:, None]
        yield f"{container} {codec}", encode(samples, RATE_HZ, container, codec)
    for container, codec in MEDIA_FORMATS:
        yield f"{container} {codec}", encode_media(voice("female", SPEECH_S)[:, None], RATE_HZ, container, codec)


def _damaged(good: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield each file cut off, and with bytes that are others; and what never was one."""
    chance = Random(1)
    for number, content in enumerate(good):
        yield f"cut {number}", content[: len(content) // chance.choice((2, 3, 50))]
        changed = bytearray(content)
        for _ in range(20):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        yield f"changed {number}", bytes(changed)
    yield "noise", chance.randbytes(20_000)
    yield "text", b"This is no recording. " * 100


def _row(result: Any) -> tuple[float, str, float | None]:
    llr = result["scores"][0]["score_llr"] if result["scores"] else None
    return result["speech_length"], result["gender"], llr


def _rows(content: bytes) -> list[tuple[float, str, float | None]]:
    table = pa.ipc.open_stream(content).read_all()
    columns = (table[name].to_pylist() for name in ("speech_length", "gender", "score_llr"))
    rows = zip(*columns, strict=True)
    return [(round(speech_s, 2), gender, None if llr is None else round(llr, 4)) for speech_s, gender, llr in rows]

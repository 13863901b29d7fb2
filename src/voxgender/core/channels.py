"""What is told of a recording: one result, or one voiceprint, for each of its channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from voxgender.core.base64 import encode_base64
from voxgender.core.decision import Decision, Gender
from voxgender.core.result import RECORD, SPEECH_DIGITS, Results, ScoreDict
from voxgender.core.scorer import Scorer
from voxgender.core.scoring import score_bytes
from voxgender.core.voiceprint import decode_voiceprint

_NUMBER: Final = np.dtype("<i4")
_AUDIO_S: Final = np.dtype("<f8")


class ChannelResultDict(TypedDict):
    """The result of one channel in the wire contract; ``scores`` is empty where there was no speech."""

    channel_number: int
    speech_length: float
    scores: list[ScoreDict]
    gender: Gender


class ChannelVoiceprintDict(TypedDict):
    """The voiceprint of one channel in the wire contract, in Base64."""

    channel_number: int
    voiceprint: str
    speech_length: float
    model: str


@dataclass(frozen=True, slots=True)
class ChannelVoiceprints:
    """The voiceprints of a recording.

    Attributes:
        numbers: The channels, counted from 0; 0 where they were mixed.
        voiceprints: The bytes of each channel's voiceprint; its speech length is 0 where no speech was found.
        audio_s: Seconds of audio that were heard, of all these channels together.
    """

    numbers: tuple[int, ...]
    voiceprints: tuple[bytes, ...]
    audio_s: float = 0.0

    def as_dicts(self) -> list[ChannelVoiceprintDict]:
        """Return the channels as the wire contract writes them."""
        told: list[ChannelVoiceprintDict] = []
        for number, data in zip(self.numbers, self.voiceprints, strict=True):
            voiceprint = decode_voiceprint(data)
            told.append(
                {
                    "channel_number": number,
                    "voiceprint": encode_base64(data),
                    "speech_length": round(voiceprint.speech_s, SPEECH_DIGITS),
                    "model": voiceprint.model,
                }
            )
        return told

    def score(self, scorer: Scorer, decision: Decision) -> ChannelResults:
        """Return the result of each channel.

        Raises:
            VoiceprintListError: Where the scorer has not loaded their model.
        """
        return ChannelResults(self.numbers, score_bytes(scorer, self.voiceprints, decision), self.audio_s)


@dataclass(frozen=True, slots=True)
class ChannelResults:
    """The results of a recording.

    Attributes:
        numbers: The channels, counted from 0; 0 where they were mixed.
        results: What each sounds like.
        audio_s: Seconds of audio that were heard, of all these channels together.
    """

    numbers: tuple[int, ...]
    results: Results
    audio_s: float = 0.0

    def as_dicts(self) -> list[ChannelResultDict]:
        """Return the channels as the wire contract writes them.

        Example:
            >>> results = Results(np.array([2], np.float32), np.array([0], np.float32))
            >>> ChannelResults((1,), results).as_dicts()[0]["channel_number"]
            1
        """
        told = (result.as_dict() for result in self.results)
        return [{"channel_number": number, **one} for number, one in zip(self.numbers, told, strict=True)]

    def to_bytes(self) -> bytes:
        """Return the numbers as little-endian int32, the results as they write themselves, the length as float64."""
        numbers, audio_s = np.array(self.numbers, _NUMBER), np.array(self.audio_s, _AUDIO_S)
        return numbers.tobytes() + self.results.to_bytes() + audio_s.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, decision: Decision) -> ChannelResults:
        """Return what :meth:`to_bytes` wrote.

        Example:
            >>> results = Results(np.array([2, 3], np.float32), np.array([0.1, -1], np.float32))
            >>> ChannelResults.from_bytes(ChannelResults((0, 4), results, 2.5).to_bytes(), results.decision).numbers
            (0, 4)
        """
        # What an earlier version has stored has no length. A channel takes up 12 bytes, so that its 8 are seen.
        count, left_bytes = divmod(len(data), _NUMBER.itemsize + RECORD.itemsize)
        numbers: Sequence[int] = np.frombuffer(data, _NUMBER, count).tolist()
        end = len(data) - left_bytes
        audio_s = float(np.frombuffer(data[end:], _AUDIO_S)[0]) if left_bytes else 0.0
        return cls(tuple(numbers), Results.from_bytes(data[count * _NUMBER.itemsize : end], decision), audio_s)

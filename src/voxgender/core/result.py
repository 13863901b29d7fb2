"""The result: what is told of each voiceprint, in columns, and one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from voxgender.core.decision import EQUAL_PRIORS, Decision, Gender

RECORD: Final = np.dtype([("speech_s", "<f4"), ("llr", "<f4")])
"""How a result is stored."""
PROBABILITY_DIGITS: Final = 6
LLR_DIGITS: Final = 4
SPEECH_DIGITS: Final = 2
"""Decimal digits with which each number is written."""


class ScoreDict(TypedDict):
    """One score of the wire contract; ``score_llr`` is natural-log, of that gender against the other."""

    gender: Gender
    probability: float
    score_llr: float


class ResultDict(TypedDict):
    """One result of the wire contract; ``scores`` is empty where there was no speech."""

    speech_length: float
    scores: list[ScoreDict]
    gender: Gender


@dataclass(frozen=True, slots=True)
class Result:
    """What one voice sounds like.

    Attributes:
        speech_s: Seconds of speech that it rests on.
        llr: Natural-log likelihood ratio of male against female; None without speech.
        male_probability: Probability of a male voice under the prior; None without speech.
        gender: The gender that the voice is perceived as, or ``unknown``.
    """

    speech_s: float
    llr: float | None
    male_probability: float | None
    gender: Gender

    def as_dict(self) -> ResultDict:
        """Return the result as the wire contract writes it, male first; the two printed probabilities add up to 1.

        Example:
            >>> Result(12.341, 3.9, 0.98014, "male").as_dict()["scores"][1]
            {'gender': 'female', 'probability': 0.01986, 'score_llr': -3.9}
        """
        scores: list[ScoreDict] = []
        if self.llr is not None and self.male_probability is not None:
            male = _written(self.male_probability, PROBABILITY_DIGITS)
            llr = _written(self.llr, LLR_DIGITS)
            scores = [
                {"gender": "male", "probability": male, "score_llr": llr},
                {
                    "gender": "female",
                    "probability": _written(1 - male, PROBABILITY_DIGITS),
                    "score_llr": 0.0 - llr,
                },
            ]
        return {
            "speech_length": _written(self.speech_s, SPEECH_DIGITS),
            "scores": scores,
            "gender": self.gender,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The results of a batch, in the order of its voiceprints: 8 bytes each, and the decision that reads them.

    Attributes:
        speech_s: Seconds of speech, float32, shape (n,).
        llr: Natural-log LLR of male against female, float32, shape (n,); NaN where nothing can be told, as without
            speech.
        decision: Prior and smallest probability.
    """

    speech_s: NDArray[np.float32]
    llr: NDArray[np.float32]
    decision: Decision = EQUAL_PRIORS

    def __len__(self) -> int:
        return len(self.llr)

    def __getitem__(self, index: int) -> Result:
        """Return the result at ``index``, counted from the end where it is negative.

        Raises:
            IndexError: Where there is none.

        Example:
            >>> results = Results(np.array([2, 0], np.float32), np.array([-1, np.nan], np.float32))
            >>> results[0].gender, results[1]
            ('female', Result(speech_s=0.0, llr=None, male_probability=None, gender='unknown'))
        """
        (result,) = Results(self.speech_s[[index]], self.llr[[index]], self.decision)
        return result

    def __iter__(self) -> Iterator[Result]:
        """Yield each result; the probabilities are computed for all at once."""
        male = self.decision.male_probability(self.llr)
        for speech_s, llr, probability in zip(self.speech_s.tolist(), self.llr.tolist(), male.tolist(), strict=True):
            if llr != llr:  # NaN: nothing can be told
                yield Result(speech_s, None, None, "unknown")
            else:
                yield Result(speech_s, llr, probability, self.decision.gender(probability))

    def part(self, start: int, stop: int) -> Results:
        """Return the results from ``start`` up to ``stop``, as a slice does."""
        return Results(self.speech_s[start:stop], self.llr[start:stop], self.decision)

    def to_bytes(self) -> bytes:
        """Return the numbers as little-endian float32 pairs (speech_s, llr), 8 bytes an item, for storing."""
        records = np.empty(len(self), RECORD)
        records["speech_s"], records["llr"] = self.speech_s, self.llr
        return records.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, decision: Decision = EQUAL_PRIORS) -> Results:
        """Return what :meth:`to_bytes` wrote, bit by bit.

        Example:
            >>> results = Results(np.array([2], np.float32), np.array([0.1], np.float32))
            >>> Results.from_bytes(results.to_bytes()).llr
            array([0.1], dtype=float32)
        """
        records = np.frombuffer(data, RECORD)
        return cls(records["speech_s"], records["llr"], decision)


def as_steps(values: NDArray[np.float64], digits: int) -> NDArray[np.int64]:
    """Return numbers as they are written with so many decimal digits, in steps of the last one.

    Example:
        >>> as_steps(np.array([0.98014, -3.9]), 4)
        array([  9801, -39000])
    """
    steps: NDArray[np.int64] = np.rint(values * 10**digits).astype(np.int64)
    return steps


def _written(value: float, digits: int) -> float:
    """Return what :func:`as_steps` makes of one number, as a number; there is no -0.0 among them."""
    scale = float(10**digits)
    return round(value * scale) / scale

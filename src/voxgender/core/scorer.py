"""The scorer: voiceprints of any loaded model in, results out, in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from voxgender.core.base64 import decode_base64
from voxgender.core.calibration import Calibration
from voxgender.core.child import ChildHead
from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.errors import InputError, VoiceprintListError, VoiceprintModelError
from voxgender.core.head import Head
from voxgender.core.result import Results
from voxgender.core.voiceprint import Voiceprints, decode_batch

_Item = TypeVar("_Item")

BLOCK_ITEMS: Final = 1024
"""Voiceprints decoded and scored at a time: 1 MB of float32 at 256 values, so that a block stays in the cache."""


@dataclass(frozen=True, slots=True)
class CalibratedHead:
    """A head and the calibration of its raw scores: what makes LLRs of one model's voiceprints.

    Attributes:
        head: What gives raw scores.
        calibration: What makes LLRs of them.
        child: What makes LLRs of voices that may be children's say less; None where it is not known.
    """

    head: Head
    calibration: Calibration
    child: ChildHead | None = None

    def llr(self, voiceprints: Voiceprints) -> NDArray[np.float64]:
        """Return the LLR of each voiceprint, shape (n,); NaN where nothing can be told, as without speech."""
        llr = self.calibration.llr(self.head.raw_scores(voiceprints.vectors), voiceprints.speech_s)
        return llr if self.child is None else self.child.soften(llr, voiceprints.vectors)


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores the voiceprints of the models that are loaded.

    Attributes:
        heads: The calibrated head of each model, by model id.
    """

    heads: Mapping[str, CalibratedHead]

    def score(self, voiceprints: Voiceprints, decision: Decision = EQUAL_PRIORS) -> Results:
        """Return the results of voiceprints that are columns already.

        Raises:
            VoiceprintModelError: Where their model is not loaded, or has another dimension.
        """
        llr = self._head_of(voiceprints).llr(voiceprints)
        return Results(voiceprints.speech_s, llr.astype(np.float32), decision)

    def score_bytes(self, items: Sequence[bytes], decision: Decision = EQUAL_PRIORS) -> Results:
        """Return the result of each voiceprint, in the order of the items.

        Raises:
            VoiceprintListError: Where an item is no voiceprint or its model is not loaded; it tells of all such items.
        """
        return self._score_blocks(items, lambda item: item, decision)

    def score_base64(self, texts: Sequence[str], decision: Decision = EQUAL_PRIORS) -> Results:
        """Return the result of each Base64 voiceprint, in the order of the texts.

        Raises:
            VoiceprintListError: Where an item is no Base64, no voiceprint, or of a model that is not loaded; it tells
                of all such items.
        """
        return self._score_blocks(texts, decode_base64, decision)

    def _score_blocks(self, items: Sequence[_Item], to_bytes: Callable[[_Item], bytes], decision: Decision) -> Results:
        speech_s = np.zeros(len(items), np.float32)
        llr = np.full(len(items), np.nan, np.float32)
        errors: dict[int, InputError] = {}
        for start in range(0, len(items), BLOCK_ITEMS):
            blobs: list[bytes] = []
            positions: list[int] = []
            for position in range(start, min(start + BLOCK_ITEMS, len(items))):
                try:
                    blobs.append(to_bytes(items[position]))
                except InputError as error:
                    errors[position] = error
                else:
                    positions.append(position)
            batch, position_of = decode_batch(blobs), np.array(positions, np.int64)
            errors |= {positions[row]: error for row, error in batch.errors.items()}
            for group, rows in batch.groups:
                at = position_of[rows]
                try:
                    llr[at] = self._head_of(group).llr(group)
                except VoiceprintModelError as error:
                    errors |= dict.fromkeys(at.tolist(), error)
                speech_s[at] = group.speech_s
        if errors:
            raise VoiceprintListError(dict(sorted(errors.items())))
        return Results(speech_s, llr, decision)

    def _head_of(self, voiceprints: Voiceprints) -> CalibratedHead:
        try:
            return self.heads[voiceprints.model]
        except KeyError:
            raise VoiceprintModelError(
                f"a voiceprint of model {voiceprints.model!r}, which is not loaded; "
                f"loaded: {', '.join(sorted(self.heads)) or 'none'}"
            ) from None

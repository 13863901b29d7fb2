"""The scorer: voiceprints of any loaded model in, results out, in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from voxgender.core.base64 import decode_base64
from voxgender.core.batch import BatchReader, DecodedBatch
from voxgender.core.calibration import Calibration
from voxgender.core.child import ChildHead
from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.errors import InputError, VoiceprintListError, VoiceprintModelError
from voxgender.core.head import Head, raw_scores
from voxgender.core.layout import Frame, Layout
from voxgender.core.result import Results
from voxgender.core.voiceprint import Voiceprints

BLOCK_ITEMS: Final = 2048
"""Voiceprints decoded and scored at a time, in about a millisecond. Of fewer, the steps cost more than the work."""
SETTLED_ITEMS: Final = 4096
"""Voiceprints whose raw scores become LLRs at a time: half a millisecond."""
MAX_ERRORS: Final = 1000
"""Bad items that are told of; of more, only the number is kept, because each takes up memory."""


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

    def raw_scores(self, voiceprints: Voiceprints) -> list[NDArray[np.float64]]:
        """Return the raw score of each voice and, with a child head, that of its being a child's; each shape (n,)."""
        heads = [self.head] if self.child is None else [self.head, self.child.head]
        return raw_scores(heads, voiceprints.vectors, voiceprints.scale)

    def llr_of_raw(self, raw: Sequence[NDArray[np.float64]], speech_s: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the LLRs of voices of which :meth:`raw_scores` said this; each depends on no other."""
        llr = self.calibration.llr(raw[0], speech_s)
        return llr if self.child is None else self.child.soften(llr, raw[1])

    def llr(self, voiceprints: Voiceprints) -> NDArray[np.float64]:
        """Return the LLR of each voiceprint, shape (n,); NaN where nothing can be told, as without speech."""
        return self.llr_of_raw(self.raw_scores(voiceprints), voiceprints.speech_s)


@dataclass(frozen=True)
class Scorer:
    """Scores the voiceprints of the models that are loaded.

    Attributes:
        heads: The calibrated head of each model, by model id.
    """

    heads: Mapping[str, CalibratedHead]

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """The layouts in which voiceprints of the loaded models are written."""
        return tuple(
            Frame.of(model, len(calibrated.head.weight), layout)
            for model, calibrated in self.heads.items()
            for layout in get_args(Layout)
        )

    def score(self, voiceprints: Voiceprints, decision: Decision = EQUAL_PRIORS) -> Results:
        """Return the results of voiceprints that are columns already.

        Raises:
            VoiceprintModelError: Where their model is not loaded, or has another dimension.
        """
        llr = self.head_of(voiceprints).llr(voiceprints)
        return Results(voiceprints.speech_s, llr.astype(np.float32), decision)

    def score_bytes(self, items: Sequence[bytes], decision: Decision = EQUAL_PRIORS) -> Results:
        """Return the result of each voiceprint, in the order of the items.

        Raises:
            VoiceprintListError: Where an item is no voiceprint or its model is not loaded; it tells of such items.
        """
        scoring = Scoring(self)
        for start in range(0, len(items), BLOCK_ITEMS):
            scoring.add_bytes(items[start : start + BLOCK_ITEMS])
        return scoring.results(decision)

    def score_base64(self, texts: Sequence[str], decision: Decision = EQUAL_PRIORS) -> Results:
        """Return the result of each Base64 voiceprint, in the order of the texts.

        Raises:
            VoiceprintListError: Where an item is no Base64, no voiceprint, or of a model that is not loaded; it tells
                of such items.
        """
        scoring = Scoring(self)
        for start in range(0, len(texts), BLOCK_ITEMS):
            scoring.add_texts(texts[start : start + BLOCK_ITEMS])
        return scoring.results(decision)

    def head_of(self, voiceprints: Voiceprints) -> CalibratedHead:
        """Return the head that scores voiceprints.

        Raises:
            VoiceprintModelError: Where their model is not loaded.
        """
        try:
            return self.heads[voiceprints.model]
        except KeyError:
            raise VoiceprintModelError(
                f"a voiceprint of model {voiceprints.model!r}, which is not loaded; "
                f"loaded: {', '.join(sorted(self.heads)) or 'none'}"
            ) from None


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Voiceprints that have raw scores, but no LLRs yet.

    Attributes:
        head: What scored them.
        at: Their positions after the settled items.
        raw: What its ``raw_scores`` said.
        speech_s: Seconds of speech.
    """

    head: CalibratedHead
    at: NDArray[np.int64]
    raw: list[NDArray[np.float64]]
    speech_s: NDArray[np.float32]


class Scoring:
    """The results of one list of voiceprints while it comes in, block by block: 8 bytes an item and the errors.

    A block should hold at most ``BLOCK_ITEMS``. Where the items are cut into blocks changes no bit of the results.

    Args:
        scorer: Scores them.
        max_items: Items after so many are counted, but not read; None for no bound.
    """

    def __init__(self, scorer: Scorer, max_items: int | None = None) -> None:
        self._scorer = scorer
        self._max_items = max_items
        self._reader = BatchReader(scorer.frames)
        self._blocks: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self._scored: list[_Scored] = []
        self._settled_items = 0
        self._errors: dict[int, InputError] = {}
        self._errors_left_out = 0
        self._items = 0

    def __len__(self) -> int:
        return self._items

    def new(self) -> Scoring:
        """Return an empty one of the same scorer and bound."""
        return Scoring(self._scorer, self._max_items)

    def add_records(self, records: NDArray[np.uint8]) -> None:
        """Take voiceprints of one length, one in each row: shape (n, bytes of each)."""
        if self._has_room(len(records)):
            self._add(len(records), self._reader.read_records(records), None)

    def add_bytes(self, items: Sequence[bytes]) -> None:
        """Take the bytes of voiceprints."""
        if self._has_room(len(items)):
            self._add(len(items), self._reader.read(items), None)

    def add_texts(self, texts: Sequence[str]) -> None:
        """Take voiceprints in Base64."""
        if not self._has_room(len(texts)):
            return
        blobs: list[bytes] = []
        positions: list[int] = []
        errors: dict[int, InputError] = {}
        for position, text in enumerate(texts):
            try:
                blobs.append(decode_base64(text))
            except InputError as error:
                errors[position] = error.without_origin()
            else:
                positions.append(position)
        decoded = self._reader.read(blobs)
        if errors:
            self._add(len(texts), decoded, np.array(positions, np.int64), errors)
        else:
            self._add(len(texts), decoded, None)

    def extend(self, other: Scoring) -> None:
        """Take over all that another scoring has found; its items follow ours."""
        self._settle()
        other._settle()
        self._blocks += other._blocks
        self._settled_items += len(other)
        self._keep_errors({self._items + position: error for position, error in other._errors.items()})
        self._errors_left_out += other._errors_left_out
        self._items += len(other)

    def results(self, decision: Decision = EQUAL_PRIORS) -> Results:
        """Return one result for each item, in their order.

        Raises:
            VoiceprintListError: Where items cannot be scored; it tells of the first ``MAX_ERRORS`` of them.
        """
        if self._errors:
            raise VoiceprintListError(self._errors, self._errors_left_out)
        self._settle()
        if not self._blocks:
            return Results(np.empty(0, np.float32), np.empty(0, np.float32), decision)
        if len(self._blocks) > 1:
            self._blocks = [
                (
                    np.concatenate([speech_s for speech_s, _ in self._blocks]),
                    np.concatenate([llr for _, llr in self._blocks]),
                )
            ]
        return Results(*self._blocks[0], decision)

    def _has_room(self, count: int) -> bool:
        """Return whether items are to be read; they are counted here where they are not."""
        if not count or (self._max_items is not None and self._items >= self._max_items):
            self._settle()
            self._items += count
            self._settled_items += count
            return False
        return True

    def _add(
        self,
        count: int,
        decoded: DecodedBatch,
        position_of: NDArray[np.int64] | None,
        errors: Mapping[int, InputError] | None = None,
    ) -> None:
        """Score what was decoded of ``count`` items.

        Args:
            count: Items of the block.
            decoded: The voiceprints among them.
            position_of: The position in the block of each item that was decoded; None where all were.
            errors: Why the others were not, by position in the block.
        """
        told: dict[int, InputError] = dict(errors or {})
        for row, error in decoded.errors.items():
            told[row if position_of is None else int(position_of[row])] = error
        for group, rows in decoded.groups:
            at = rows if position_of is None else position_of[rows]
            try:
                head = self._scorer.head_of(group)
                raw = head.raw_scores(group)
            except VoiceprintModelError as error:
                told |= dict.fromkeys(at.tolist(), error.without_origin())
            else:
                self._scored.append(_Scored(head, self._items - self._settled_items + at, raw, group.speech_s))
        if told:
            self._keep_errors({self._items + position: told[position] for position in sorted(told)})
        self._items += count
        if self._items - self._settled_items >= SETTLED_ITEMS:
            self._settle()

    def _settle(self) -> None:
        """Make LLRs of the raw scores that have come, of many at once: each step costs more than a block's numbers."""
        count = self._items - self._settled_items
        self._settled_items = self._items
        if not count:
            return
        if len(self._scored) == 1 and len(self._scored[0].at) == count:
            only = self._scored.pop()
            self._blocks.append((only.speech_s, only.head.llr_of_raw(only.raw, only.speech_s).astype(np.float32)))
            return
        speech_s = np.zeros(count, np.float32)
        llr = np.full(count, np.nan, np.float32)
        for head in {id(scored.head): scored.head for scored in self._scored}.values():
            parts = [scored for scored in self._scored if scored.head is head]
            at = np.concatenate([part.at for part in parts])
            raw = [np.concatenate(column) for column in zip(*(part.raw for part in parts), strict=True)]
            speech_s[at] = np.concatenate([part.speech_s for part in parts])
            llr[at] = head.llr_of_raw(raw, speech_s[at])
        self._blocks.append((speech_s, llr))
        self._scored.clear()

    def _keep_errors(self, errors: Mapping[int, InputError]) -> None:
        """Keep as many as there is room for; blocks come in order, so that these are the first ones."""
        room = MAX_ERRORS - len(self._errors)
        self._errors |= dict(list(errors.items())[:room])
        self._errors_left_out += max(0, len(errors) - room)

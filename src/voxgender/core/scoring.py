"""A list of voiceprints while it is being scored: block by block, and several small lists at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from voxgender.core.base64 import decode_base64
from voxgender.core.batch import BatchReader, DecodedBatch
from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.errors import InputError, VoiceprintListError, VoiceprintModelError
from voxgender.core.result import Results
from voxgender.core.scorer import CalibratedHead, Scorer
from voxgender.core.voiceprint import Voiceprints

_Number = TypeVar("_Number", bound=np.generic)

BLOCK_ITEMS: Final = 2048
"""Voiceprints decoded and scored at a time, in about a millisecond. Of fewer, the steps cost more than the work."""
FEW_ITEMS: Final = 32
"""Voiceprints of a block of which nothing is known yet. Lists of up to so many wait for others to be scored with."""
SETTLED_ITEMS: Final = 4096
"""Voiceprints whose raw scores become LLRs at a time: half a millisecond."""
MAX_ERRORS: Final = 1000
"""Bad items that are told of; of more, only the number is kept, because each takes up memory."""


def score_bytes(scorer: Scorer, items: Sequence[bytes], decision: Decision = EQUAL_PRIORS) -> Results:
    """Return the result of each voiceprint, in the order of the items.

    Raises:
        VoiceprintListError: Where an item is no voiceprint or its model is not loaded; it tells of such items.
    """
    scoring = Scoring(scorer)
    for start in range(0, len(items), BLOCK_ITEMS):
        scoring.add_bytes(items[start : start + BLOCK_ITEMS])
    return scoring.results(decision)


class Scoring:
    """The results of one list of voiceprints while it comes in, block by block: 8 bytes an item and the errors.

    A block should hold at most ``block_items``. Where the items are cut into blocks changes no bit of the results.

    Args:
        scorer: Scores them.
        max_items: Items after so many are counted, but not read; None for no bound.

    Attributes:
        block_items: Most items that the next block should hold, to take about a millisecond: few at first and after odd
            ones, which are read one by one, and up to ``BLOCK_ITEMS`` where they are all alike.
    """

    def __init__(self, scorer: Scorer, max_items: int | None = None) -> None:
        self._scorer = scorer
        self._max_items = max_items
        self._reader = BatchReader(scorer.frames)
        self._blocks: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self._parts: list[_Part] = []
        self._settled_items = 0
        self._errors: dict[int, InputError] = {}
        self._errors_left_out = 0
        self._items = 0
        self.block_items = FEW_ITEMS

    def __len__(self) -> int:
        return self._items

    def new(self) -> Scoring:
        """Return an empty one of the same scorer, bound and ``block_items``: what follows may well be alike."""
        new = Scoring(self._scorer, self._max_items)
        new.block_items = self.block_items
        return new

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
        settle([self, other])
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
        settle([self])
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
            settle([self])
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
            except VoiceprintModelError as error:
                told |= dict.fromkeys(at.tolist(), error.without_origin())
                continue
            part = _Part(head, self._items - self._settled_items + at, group.speech_s)
            if len(at) > FEW_ITEMS:
                part.raw = head.raw_scores(group)
            else:
                part.unscored = group
            self._parts.append(part)
        if told:
            self._keep_errors({self._items + position: told[position] for position in sorted(told)})
        self._items += count
        is_slow = decoded.strict_items > FEW_ITEMS // 2
        self.block_items = FEW_ITEMS if is_slow else min(2 * self.block_items, BLOCK_ITEMS)
        if self._items - self._settled_items >= SETTLED_ITEMS:
            settle([self])

    def _take_llrs(self, llrs: Sequence[NDArray[np.float32]]) -> None:
        """Make a block of the parts, whose LLRs are these."""
        count = self._items - self._settled_items
        if len(self._parts) == 1 and len(self._parts[0].at) == count:
            self._blocks.append((self._parts[0].speech_s, llrs[0]))
        elif count:
            speech_s = np.zeros(count, np.float32)
            llr = np.full(count, np.nan, np.float32)
            for part, of_part in zip(self._parts, llrs, strict=True):
                speech_s[part.at], llr[part.at] = part.speech_s, of_part
            self._blocks.append((speech_s, llr))
        self._parts.clear()
        self._settled_items = self._items

    def _keep_errors(self, errors: Mapping[int, InputError]) -> None:
        """Keep as many as there is room for; blocks come in order, so that these are the first ones."""
        room = MAX_ERRORS - len(self._errors)
        self._errors |= dict(list(errors.items())[:room])
        self._errors_left_out += max(0, len(errors) - room)


def settle(scorings: Sequence[Scoring]) -> None:
    """Make LLRs of all that has come, of several lists at once.

    A step of NumPy costs as much for one number as for some hundred, so that a hundred small lists together take
    little longer than one. What they are settled with changes no bit of the results.
    """
    parts = [part for scoring in scorings for part in scoring._parts]
    _score([part for part in parts if part.raw is None])
    llrs: dict[int, NDArray[np.float32]] = {}
    for alike in _alike(parts, lambda part: id(part.head)):
        raw = [np.concatenate(column) for column in zip(*(part.raw or () for part in alike), strict=True)]
        llr = alike[0].head.llr_of_raw(raw, np.concatenate([part.speech_s for part in alike])).astype(np.float32)
        llrs |= {id(part): piece for part, piece in _pieces(alike, llr)}
    for scoring in scorings:
        scoring._take_llrs([llrs[id(part)] for part in scoring._parts])


@dataclass(slots=True, eq=False)
class _Part:
    """Voiceprints of one head that have no LLRs yet.

    Attributes:
        head: What scores them.
        at: Their positions after the settled items of their list.
        speech_s: Seconds of speech.
        raw: What the head's ``raw_scores`` said; None where it has not been asked yet.
        unscored: The voiceprints themselves, where it has not.
    """

    head: CalibratedHead
    at: NDArray[np.int64]
    speech_s: NDArray[np.float32]
    raw: list[NDArray[np.float64]] | None = None
    unscored: Voiceprints | None = None


def _score(parts: Sequence[_Part]) -> None:
    """Give each part its raw scores."""
    for alike in _alike(parts, lambda part: (id(part.head), part.unscored is None or part.unscored.scale is None)):
        groups = [part.unscored for part in alike if part.unscored is not None]
        scales = [group.scale for group in groups if group.scale is not None]
        joined = Voiceprints(
            groups[0].model,
            np.empty(0, np.float32),  # no raw score depends on it
            np.concatenate([group.vectors for group in groups]),
            np.concatenate(scales) if scales else None,
        )
        columns = alike[0].head.raw_scores(joined)
        pieces = [[piece for _, piece in _pieces(alike, column)] for column in columns]
        for part, *raw in zip(alike, *pieces, strict=True):
            part.raw = raw


def _alike(parts: Sequence[_Part], key: Callable[[_Part], Hashable]) -> Iterable[list[_Part]]:
    groups: dict[Hashable, list[_Part]] = {}
    for part in parts:
        groups.setdefault(key(part), []).append(part)
    return groups.values()


def _pieces(parts: Sequence[_Part], column: NDArray[_Number]) -> Iterator[tuple[_Part, NDArray[_Number]]]:
    """Yield each part with its piece of a column."""
    at = 0
    for part in parts:
        yield part, column[at : at + len(part.at)]
        at += len(part.at)

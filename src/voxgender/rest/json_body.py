"""The voiceprints of a JSON body, scored while it arrives.

Two lanes read the same grammar. The **strict lane** is a JSON parser, which alone says what is valid and words the
errors. The **fast lane** only ever takes something out of its way: a run of items of one length with equal separators
is viewed as a matrix of bytes, decoded and scored a block at a time, and in the text that is left for the parser a
single placeholder stands for the whole run. The same is done to items of unequal length or with escapes, a few at a
time, once the parser has read them as a list of texts. What is left at the end, the *shell*, is a few bytes as a rule:
the parser reads it, and what it finds in the list are the placeholders and the items that were in no run.

That is exact, because a run lies in an array, outside of any text, and consists of whole texts with their commas: one
text with a comma in its place is valid JSON if and only if the run was. What array it is in only the parser tells; a
run that lies under another key is thrown away with it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from voxgender.core.base64 import decode_base64_rows
from voxgender.core.errors import BodyTooLargeError
from voxgender.core.scoring import FEW_ITEMS, Scoring
from voxgender.rest.json_list import check_beginning, list_of, mismatch

BLOCK_BYTES: Final = 1024 * 1024
"""Bytes that are gathered before they are looked at: about a block of voiceprints."""
MAX_SHELL_BYTES: Final = 512 * 1024
"""Most bytes of a body that are held, because they are in no run: other keys, or an item without an end."""
KEPT_BYTES: Final = 16 * 1024
"""Bytes of a list that wait for what follows."""
MIN_RUN_ROWS: Final = 8
"""Shorter runs are left to the strict lane; a matrix of bytes costs as much for one row as for many."""
STRICT_ITEMS: Final = FEW_ITEMS
"""Items that the strict lane takes at a time, so that none keeps other requests waiting for milliseconds."""
MANY_RUNS: Final = 64
"""After so many runs, one begins only with items of one length: each takes up some kilobytes."""
MAX_RUNS: Final = 1000
"""After so many runs, none begins."""
SMALL_PIECE_BYTES: Final = 4096
"""Pieces under this are put together as they come: a list of them would take up many times their bytes."""
SMALL_BYTES: Final = 16 * 1024
"""Bodies under this go to the parser as they are."""

_SPACE: Final = rb"[ \t\r\n]*+"
_TEXT: Final = rb'"(?:[^"\\]++|\\.)*+"'
_OUTSIDE_LISTS: Final = re.compile(
    rb'(?:[^"\[]++|' + _TEXT + rb"|\[(?!" + _SPACE + rb'(?:"|\Z)))*+',
    re.DOTALL,
)
"""Everything up to an array whose first element is a text, or may be one once more has come."""
_LIST_BEGINS: Final = re.compile(rb"\[" + _SPACE + rb'"')
_FIRST_ROW: Final = re.compile(_SPACE + rb'"([A-Za-z0-9+/]++={0,2})"(' + _SPACE + rb"," + _SPACE + rb')(?=")')
_ITEMS: Final = re.compile(rb"(?:%b%b%b,){1,%d}+" % (_SPACE, _TEXT, _SPACE, STRICT_ITEMS), re.DOTALL)
_UNFINISHED_ITEM: Final = re.compile(
    _SPACE + rb'(?:"(?:[^"\\]++|\\.)*+(?:\\|"' + _SPACE + rb")?+)?+\Z",
    re.DOTALL,
)


class JsonBody:
    """Reads a body piece by piece; what it holds at any time is a block and the shell.

    Reading is cut into steps of a few milliseconds at most: :meth:`feed` and :meth:`finish` yield after each, so that
    an event loop can do something else in between.

    Args:
        scoring: What takes the voiceprints; empty.
    """

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._pieces: list[bytes | bytearray] = []
        self._pending_bytes = 0
        self._wanted_bytes = BLOCK_BYTES
        self._shell = bytearray()
        self._cuts: list[tuple[int, int]] = []
        self._cut_bytes = 0
        self._is_in_list = False
        self._is_left_to_parser = False
        self._mark = ""
        self._runs: dict[str, Scoring] = {}
        self._run: Scoring | None = None

    def feed(self, piece: bytes) -> Iterator[None]:
        """Take the next bytes of the body.

        Raises:
            RequestInvalidError: Where they cannot be the beginning of any JSON text; not always at once.
            RequestValidationError: Where what is no voiceprint is of a wrong type.
            BodyTooLargeError: Where more than ``MAX_SHELL_BYTES`` of the body are no voiceprints.
        """
        if len(piece) >= SMALL_PIECE_BYTES:
            self._pieces.append(piece)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += piece
        else:
            self._pieces.append(bytearray(piece))
        self._pending_bytes += len(piece)
        if self._pending_bytes >= self._wanted_bytes:
            yield from self._read_pending(KEPT_BYTES)

    def finish(self) -> Iterator[None]:
        """Read the rest; after that, all voiceprints are in the scoring.

        Raises:
            RequestInvalidError: Where the body is no JSON.
            RequestValidationError: Where it is JSON, but holds no list of texts under ``voiceprints``.
            BodyTooLargeError: As for :meth:`feed`.
        """
        if self._shell or self._pending_bytes > SMALL_BYTES:
            yield from self._read_pending(0)
        self._shell += b"".join(self._pieces)
        self._pieces.clear()
        scoring = self._scoring
        texts: list[str] = []
        entries = list_of(self._shell, self._offset)
        self._shell.clear()
        for entry in entries:
            run = self._runs.get(entry) if isinstance(entry, str) else None
            if run is None and isinstance(entry, str):
                texts.append(entry)
            if texts and (run is not None or len(texts) == STRICT_ITEMS):
                scoring.add_texts(texts)
                texts.clear()
                yield
            if run is not None:
                scoring.extend(run)
            elif not isinstance(entry, str):
                raise mismatch(len(scoring) + len(texts))
        scoring.add_texts(texts)

    def _read_pending(self, kept_bytes: int) -> Iterator[None]:
        """Read what has come; of a list, a little is kept for the next time, so that runs are not cut short."""
        data = b"".join(self._pieces)
        at = 0
        while at < len(data) - (kept_bytes if self._is_in_list else 0):
            before = at
            at = self._take_items(data, at) if self._is_in_list else self._seek_list(data, at)
            yield
            if at == before and not self._is_in_list:
                break  # more must come before it can be told what this is
            if at == before and _UNFINISHED_ITEM.match(data, at):
                break
            if at == before:
                self._is_in_list, self._run = False, None
        rest = data[at:]
        self._pieces = [rest]
        self._pending_bytes = len(rest)
        # Twice as much as could not be used, so that a long text is not looked at again with each piece of it.
        room_bytes = MAX_SHELL_BYTES - len(self._shell)
        self._wanted_bytes = max(BLOCK_BYTES, min(2 * len(rest), room_bytes + 1))
        if len(rest) > room_bytes:
            self._refuse(rest)

    def _seek_list(self, data: bytes, at: int) -> int:
        """Leave to the shell what comes before the next array of texts; return where that begins, or the end."""
        if self._is_left_to_parser:
            self._shell += data[at:]
            return len(data)
        found = _OUTSIDE_LISTS.match(data, at)
        end = found.end() if found else at
        if begins := _LIST_BEGINS.match(data, end):
            end = begins.end() - 1
            self._is_in_list = True
        self._shell += data[at:end]
        return end

    def _take_items(self, data: bytes, at: int) -> int:
        """Score items that lie whole in the data with their commas; return where they end."""
        end = self._take_rows(data, at)
        return end if end > at else self._take_texts(data, at)

    def _take_rows(self, data: bytes, at: int) -> int:
        """Score items of one length with equal separators, the fast lane."""
        first = _FIRST_ROW.match(data, at)
        if first is None or (self._run is None and len(self._runs) >= MAX_RUNS):
            return at
        width = len(first[1])
        separator = data[first.end(1) : first.end()]
        # A row is an item with all up to the next one, the opening quote included, so that one look shows both.
        stride = width + len(separator) + 1
        most = FEW_ITEMS if self._run is None else self._run.block_items
        count = min((len(data) - first.start(1)) // stride, most)
        if not count:
            return at
        rows = np.frombuffer(data, np.uint8, count * stride, first.start(1)).reshape(count, stride)
        between, expected = rows[:, width:], separator + b'"'
        if between.tobytes() != expected * count:
            count = int((between == np.frombuffer(expected, np.uint8)).all(axis=1).argmin())
        records = None
        while records is None:
            if count < MIN_RUN_ROWS:
                return at
            records = decode_base64_rows(rows[:count, :width])
            # One of them is no plain Base64; halving comes near it in a few steps.
            count, taken = count // 2, count
        end = first.start(1) + taken * stride - 1
        self._run_of(end - at).add_records(records)
        return end

    def _take_texts(self, data: bytes, at: int) -> int:
        """Score a few items of any kind, in the strict lane."""
        found = _ITEMS.match(data, at)
        if found is None or (self._run is None and len(self._runs) >= MANY_RUNS):
            return at
        try:
            texts = msgspec.json.decode(b"[%b]" % data[at : found.end() - 1], type=list[str])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # What is wrong, and whether it matters where it stands, the parser will tell of the whole.
            self._is_left_to_parser = True
            return at
        self._run_of(found.end() - at).add_texts(texts)
        return found.end()

    def _run_of(self, cut_bytes: int) -> Scoring:
        """Return the scoring of the run that goes on here, of which so many bytes more are cut out."""
        if self._run is None:
            self._run = self._scoring.new()
            # What a client cannot guess, so that no item of its own is taken for a placeholder.
            self._mark = self._mark or secrets.token_hex(8)
            name = f"{self._mark}{len(self._runs)}"
            self._runs[name] = self._run
            placeholder = b'"%b",' % name.encode("ascii")
            self._shell += placeholder
            self._cut_bytes -= len(placeholder)
        elif self._cuts:
            self._cuts.pop()
        self._cut_bytes += cut_bytes
        self._cuts.append((len(self._shell), self._cut_bytes))
        return self._run

    def _offset(self, shell_offset: int) -> int:
        """Return the offset in the body of a byte of the shell."""
        return shell_offset + next((cut for at, cut in reversed(self._cuts) if at <= shell_offset), 0)

    def _refuse(self, rest: bytes) -> None:
        """Refuse a body whose shell is too long, for what is wrong with it, if anything is."""
        begun = self._shell + rest
        check_beginning(begun, self._offset)
        raise BodyTooLargeError(MAX_SHELL_BYTES, None, "besides the voiceprints the body")

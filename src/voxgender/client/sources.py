"""What a caller hands over, cut into pieces of work for the service: lists of voiceprints, and recordings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxgender.client.wire import Limits
from voxgender.core.base64 import encode_base64
from voxgender.core.errors import AudioError, InputError, MediaTooLargeError
from voxgender.core.voiceprint import Voiceprint, Voiceprints, encode_voiceprint
from voxgender.files.recording import voiceprint_in

Source: TypeAlias = "str | Path | bytes | Voiceprint"
Sources: TypeAlias = "Source | Iterable[Source] | Voiceprints | NDArray[np.floating]"

MAX_LIST: Final = 10_000
"""Voiceprints sent in one request, if the service takes so many: 5 MB, of which a few are in memory at a time."""
_MIN_TEXT: Final = 100
"""Characters of Base64 from which on a text is rather a voiceprint than the name of a file."""
_TEXT_REASON: Final = "a str is the path of a file; hand over a voiceprint in Base64 as bytes: text.encode()"
_LIST_BYTES: Final = len('{"voiceprints":[]}')
_ITEM_BYTES: Final = len('"",')
_MATRIX_SPEECH_S: Final = 10.0
"""Speech length of a row of a matrix, where it is not told, as ``voxgender.identify`` assumes it."""


@dataclass(slots=True)
class VoiceprintList:
    """Voiceprints that go into one request.

    Attributes:
        items: Their positions in what was handed over.
        texts: Each in Base64.
        body_bytes: What they come to in a request's body.
    """

    items: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list, repr=False)
    body_bytes: int = _LIST_BYTES

    def add(self, item: int, text: str) -> None:
        """Add one."""
        self.items.append(item)
        self.texts.append(text)
        self.body_bytes += len(text) + _ITEM_BYTES

    def without(self, refused: Iterable[int]) -> VoiceprintList:
        """Return a list of those that are not refused."""
        left = VoiceprintList()
        refused = frozenset(refused)
        for item, text in zip(self.items, self.texts, strict=True):
            if item not in refused:
                left.add(item, text)
        return left

    def body(self) -> bytes:
        """Return the body of the request; Base64 needs no escapes."""
        return b'{"voiceprints":["' + '","'.join(self.texts).encode("ascii") + b'"]}'


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording, which is a request of its own.

    Attributes:
        item: Its position in what was handed over.
        source: Its path, or its bytes.
    """

    item: int
    source: Path | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What cannot be sent.

    Attributes:
        item: Its position in what was handed over.
        error: Why.
    """

    item: int
    error: InputError


Piece: TypeAlias = "VoiceprintList | Recording | Unreadable"


def listed(
    sources: Sources, speech_s: NDArray[np.floating] | None, models: Sequence[str]
) -> tuple[Iterable[Source], int | None]:
    """Return what was handed over as items, and how many there are where that is known.

    Args:
        sources: One item, several, voiceprints as columns, or a matrix of vectors, shape (n, dimension).
        speech_s: Of a matrix: seconds of speech of each row, shape (n,); 10 s without it.
        models: Those of the service; a matrix is of the one that there is.

    Raises:
        InputError: Where a matrix does not have the right form, or it is not clear of which model it is.
    """
    if isinstance(sources, np.ndarray):
        sources = _columns(sources, speech_s, models)
    elif speech_s is not None:
        raise InputError("speech_s is of a matrix alone; voiceprints and recordings tell their own")
    if isinstance(sources, Voiceprints):
        return _rows(sources), len(sources)
    if isinstance(sources, str | Path | bytes | Voiceprint):
        return [sources], 1
    return sources, len(sources) if isinstance(sources, Sized) else None


def pieces(sources: Iterable[Source], limits: Limits) -> Iterator[Piece]:
    """Yield pieces of work in the order of the items; a piece is made when it is asked for.

    A recording ends the list of voiceprints before it.

    Args:
        sources: Items; each is told apart by its content, as ``voxgender.identify`` does.
        limits: The service's.
    """
    most = min(MAX_LIST, limits.max_voiceprints)
    waiting = VoiceprintList()
    for item, source in enumerate(sources):
        piece = _piece(item, source, limits)
        is_full = isinstance(piece, str) and waiting.body_bytes + len(piece) + _ITEM_BYTES > limits.max_body_bytes
        if waiting.items and (is_full or len(waiting.items) == most or not isinstance(piece, str)):
            yield waiting
            waiting = VoiceprintList()
        if isinstance(piece, str):
            waiting.add(item, piece)
        else:
            yield piece
    if waiting.items:
        yield waiting


def recordings(sources: Iterable[str | Path | bytes], limits: Limits) -> Iterator[Piece]:
    """Yield each item as a recording, whatever it holds."""
    for item, source in enumerate(sources):
        yield _recording(item, source if isinstance(source, bytes) else Path(source), limits)


def _piece(item: int, source: Source, limits: Limits) -> str | Recording | Unreadable:
    """Return the Base64 text of a voiceprint, or what else an item is."""
    try:
        if isinstance(source, Voiceprint):
            return encode_base64(encode_voiceprint(source, "float32"))
        if isinstance(source, str) and len(source) > _MIN_TEXT and voiceprint_in(source.encode(errors="replace")):
            # It must not be told back in an error, as a file that is not there would be.
            return Unreadable(item, InputError(_TEXT_REASON))
        place = source if isinstance(source, bytes) else Path(source)
        # Unlike that of Path, this takes a name that is too long.
        is_there = isinstance(place, bytes) or os.path.exists(place)  # noqa: PTH110
        data = voiceprint_in(place) if is_there else None
    except InputError as error:
        return Unreadable(item, error.without_origin())
    return _recording(item, place, limits) if data is None else encode_base64(data)


def _recording(item: int, source: Path | bytes, limits: Limits) -> Recording | Unreadable:
    if isinstance(source, bytes):
        size_bytes = len(source)
    else:
        try:
            about = source.stat()
        except (OSError, ValueError) as error:  # a ValueError, where a NUL is in it
            reason = getattr(error, "strerror", None) or error
            return Unreadable(item, InputError(f"{_named(source)} cannot be read: {reason}"))
        if not stat.S_ISREG(about.st_mode):  # a pipe could be read once, and is sent as often as is needed
            reason = f"{str(source)!r} is not a regular file; name a file, or hand in its bytes"
            return Unreadable(item, AudioError(reason))
        size_bytes = about.st_size
    if size_bytes > limits.max_file_bytes:
        # The service would say so too, but only to who has sent much of it.
        return Unreadable(item, MediaTooLargeError(limits.max_file_bytes, size_bytes))
    return Recording(item, source)


def _named(path: Path) -> str:
    """Return a path as an error tells it: what is rather a voiceprint, damaged or cut off, is not told back."""
    text = str(path)
    is_path = len(text) <= _MIN_TEXT or (len(path.name) <= _MIN_TEXT and os.path.isdir(path.parent))  # noqa: PTH112
    return text if is_path else f"{text[:20]}..."


def _columns(matrix: NDArray[np.floating], speech_s: NDArray[np.floating] | None, models: Sequence[str]) -> Voiceprints:
    if matrix.ndim != 2:
        raise InputError(f"a matrix of vectors has two dimensions, not {matrix.ndim}; one vector is matrix[np.newaxis]")
    lengths = np.full(len(matrix), _MATRIX_SPEECH_S) if speech_s is None else np.asarray(speech_s)
    if lengths.shape != (len(matrix),):
        raise InputError(f"speech_s must have the shape ({len(matrix)},), one value a row, not {lengths.shape}")
    if len(models) != 1:
        raise InputError(
            f"the service has the models {', '.join(models)}; say of which the matrix is: Voiceprints(model, ...)"
        )
    return Voiceprints(models[0], lengths.astype(np.float32), matrix.astype(np.float32))


def _rows(columns: Voiceprints) -> Iterator[Voiceprint]:
    for row in range(len(columns)):
        vector = columns.vectors[row].astype(np.float32)
        if columns.scale is not None:
            vector = vector * columns.scale[row]
        yield Voiceprint(columns.model, float(columns.speech_s[row]), vector)

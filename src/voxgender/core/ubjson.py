"""A strict reader for flat UBJSON objects (UBJSON Draft 12), the container of a voiceprint.

It reads one object whose values are numbers, strings, booleans, null or arrays of numbers. Nothing is nested deeper, so
that there is no recursion to exhaust; nothing is allocated beyond the size of the input, because each declared count
is checked against the bytes that are there before it is believed.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxgender.core.errors import VoiceprintError

Numbers: TypeAlias = NDArray[np.int64] | NDArray[np.float64]
Value: TypeAlias = int | float | str | bool | Numbers | None

_INTEGERS: Final = {
    b"i": struct.Struct(">b"),
    b"U": struct.Struct(">B"),
    b"I": struct.Struct(">h"),
    b"l": struct.Struct(">i"),
    b"L": struct.Struct(">q"),
}
_FLOATS: Final = {b"d": struct.Struct(">f"), b"D": struct.Struct(">d")}
_NUMBERS: Final = _INTEGERS | _FLOATS
_CONSTANTS: Final[dict[bytes, bool | None]] = {b"T": True, b"F": False, b"Z": None}


def read_flat_object(data: bytes) -> dict[str, Value]:
    r"""Read one UBJSON object that fills ``data`` from the first byte to the last.

    Args:
        data: The bytes of the object.

    Returns:
        Its members. Arrays come as ``int64`` where every element is an integer, as ``float64`` otherwise.

    Raises:
        VoiceprintError: Where the bytes are no such object; the message names the offset.

    Example:
        >>> read_flat_object(b"{i\x01aU\xffi\x01b[$i#i\x02\xff\x01}")
        {'a': 255, 'b': array([-1,  1])}
    """
    return _Reader(data).whole_object()


class _Reader:
    """A cursor over the bytes; each method reads one construct and moves on."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def whole_object(self) -> dict[str, Value]:
        if self._take(1) != b"{":
            raise self._error("a voiceprint begins with '{'", back=1)
        count = self._count() if self._next_is(b"#") else None
        members: dict[str, Value] = {}
        while self._goes_on(len(members), count, b"}"):
            key = self._text()
            if key in members:
                raise self._error(f"the key {key[:32]!r} stands twice")
            members[key] = self._value()
        if self._at != len(self._data):
            raise self._error("there are bytes behind the object")
        return members

    def _value(self) -> Value:
        marker = self._take(1)
        if marker in _NUMBERS:
            return self._number(marker)
        if marker == b"S":
            return self._text()
        if marker == b"[":
            return self._array()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        raise self._error(f"the type marker {marker!r} cannot stand in a voiceprint", back=1)

    def _array(self) -> Numbers:
        if self._next_is(b"$"):
            marker = self._take(1)
            if marker not in _NUMBERS or not self._next_is(b"#"):
                raise self._error("a typed array holds numbers and tells its count")
            dtype = np.dtype(_NUMBERS[marker].format)
            numbers = np.frombuffer(self._take(self._count() * dtype.itemsize), dtype)
            if marker in _INTEGERS:
                return numbers.astype(np.int64)
            # NumPy warns of a signalling NaN that it widens.
            with np.errstate(invalid="ignore"):
                return numbers.astype(np.float64)
        count = self._count() if self._next_is(b"#") else None
        elements: list[int | float] = []
        while self._goes_on(len(elements), count, b"]"):
            marker = self._take(1)
            if marker not in _NUMBERS:
                raise self._error(f"an array of a voiceprint holds numbers, not {marker!r}", back=1)
            elements.append(self._number(marker))
        integers = all(isinstance(element, int) for element in elements)
        return np.array(elements, np.int64) if integers else np.array(elements, np.float64)

    def _number(self, marker: bytes) -> int | float:
        form = _NUMBERS[marker]
        number: int | float = form.unpack(self._take(form.size))[0]
        return number

    def _text(self) -> str:
        raw = self._take(self._count())
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self._error("a text is not UTF-8") from None

    def _count(self) -> int:
        marker = self._take(1)
        if marker not in _INTEGERS:
            raise self._error(f"a length is an integer, not {marker!r}", back=1)
        count = self._number(marker)
        if not isinstance(count, int) or not 0 <= count <= len(self._data):
            raise self._error("a length is negative or larger than the voiceprint")
        return count

    def _goes_on(self, size: int, count: int | None, closing: bytes) -> bool:
        """Tell whether a container that has ``size`` elements so far has one more, and move on to it or past the end.

        A container that tells its count has no closing marker.
        """
        if size == count:
            return False
        self._skip_no_ops()
        return count is not None or not self._next_is(closing)

    def _skip_no_ops(self) -> None:
        while self._next_is(b"N"):
            pass

    def _next_is(self, marker: bytes) -> bool:
        if self._data[self._at : self._at + 1] != marker:
            return False
        self._at += 1
        return True

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise self._error("it ends too early")
        self._at += size
        return taken

    def _error(self, reason: str, back: int = 0) -> VoiceprintError:
        return VoiceprintError(f"not a voiceprint: {reason} (byte {self._at - back} of {len(self._data)})")

"""Base64 of voiceprints: RFC 4648 section 4, canonical, with surrounding white space tolerated."""

from __future__ import annotations

import binascii
from typing import Final

import numpy as np
import pybase64
from numpy.typing import NDArray

from voxgender.core.errors import Base64Error

_WHITE_SPACE: Final = b" \t\r\n"


def encode_base64(data: bytes) -> str:
    """Return ``data`` in the standard alphabet, padded, on one line.

    Example:
        >>> encode_base64(b"voice")
        'dm9pY2U='
    """
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: str | bytes) -> bytes:
    r"""Return the bytes that ``text`` encodes.

    White space around the text is tolerated, because a ``.vp`` file often ends with a line break; inside it is not.
    There is one text for each sequence of bytes: padding must be there, and the bits behind the last byte must be zero.

    Args:
        text: The Base64 text, as ``str`` or as ASCII bytes.

    Raises:
        Base64Error: Where the text is not canonical Base64.

    Example:
        >>> decode_base64(" dm9pY2U=\n")
        b'voice'
    """
    try:
        raw = (text.encode("ascii") if isinstance(text, str) else text).strip(_WHITE_SPACE)
        data = binascii.a2b_base64(raw, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Base64Error("not Base64; send the bytes encoded by RFC 4648 section 4, with padding") from None
    # strict_mode lets the unused bits before the padding be anything, and the padding be too long; encoding the last
    # one or two bytes again shows both.
    if raw.endswith(b"=") and raw[-4:] != binascii.b2a_base64(data[-(len(data) % 3) :], newline=False):
        raise Base64Error("not canonical Base64: the bits before the padding are not zero, or there is too much of it")
    return data


def decode_base64_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    r"""Return the bytes that texts of one length encode, at the speed of memory; None where one is not canonical.

    It takes less than :func:`decode_base64`, never more: no white space around a text, and the same padding in all.

    Args:
        rows: A text in each row, ASCII, shape (n, characters), n above 0.

    Returns:
        Shape (n, bytes of each).

    Example:
        >>> texts = np.frombuffer(b"dm9pY2U=dm93ZWw=", np.uint8).reshape(2, 8)
        >>> [row.tobytes() for row in decode_base64_rows(texts)]
        [b'voice', b'vowel']
        >>> decode_base64_rows(np.frombuffer(b"dm9pY2U=dm9pY2V=", np.uint8).reshape(2, 8)) is None
        True
    """
    count, width = rows.shape
    padding = int(width >= 4) and bytes(rows[0, -2:]).count(b"=")
    if width % 4:
        return None
    if padding:
        if not (rows[:, width - padding :] == ord("=")).all():
            return None
        # In the place of padding, letters that stand for zero bits. So a row gets bytes at its end that are zero if
        # the bits before the padding were.
        rows = rows.copy()
        rows[:, width - padding :] = ord("A")
    try:
        data = np.frombuffer(pybase64.b64decode(np.ascontiguousarray(rows).data, validate=True), np.uint8)
    except binascii.Error:
        return None
    if len(data) != count * (width // 4 * 3):
        return None  # the last text alone is padded
    data = data.reshape(count, width // 4 * 3)
    if padding:
        if data[:, -padding:].any():
            return None
        data = data[:, :-padding]
    return data

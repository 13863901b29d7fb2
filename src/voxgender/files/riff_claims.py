"""What the text tags of a WAV file claim to be long, hidden from FFmpeg.

FFmpeg takes as much memory as a text tag (title, software and the like) claims to be long, up to 2 GB, before it reads
it: 8 kB can cost 2 GB. The tags say nothing about the sound, so FFmpeg is not shown them.
"""

from __future__ import annotations

import re

from voxgender.core.errors import AudioError
from voxgender.files.byte_source import ByteSource

_TAG_LIST = re.compile(rb"LIST....INFO", re.DOTALL)
_TAG_LIST_BYTES = 12
_READ_BYTES = 1 << 20
_MOST_LISTS = 16


def is_riff(head: bytes) -> bool:
    """Return whether the first bytes are those of a WAV file or a relative.

    >>> is_riff(b"RIFF"), is_riff(b"fLaC")
    (True, False)
    """
    return head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64")


def blank_tags(source: ByteSource) -> None:
    """Make the names of all lists of tags read as zeros, so that the lists are skipped as unknown.

    Args:
        source: The file; its position is the start again afterwards.

    Raises:
        AudioError: There are more lists than any honest file has.
    """
    found = 0
    for start in range(0, source.size_bytes, _READ_BYTES):
        source.seek(start)
        piece = source.read(_READ_BYTES + _TAG_LIST_BYTES - 1)
        for match in _TAG_LIST.finditer(piece):
            found += 1
            if found > _MOST_LISTS:
                raise AudioError("it has more lists of tags than a file can need; it is broken")
            source.blank(start + match.start(), start + match.start() + 4)
    source.seek(0)

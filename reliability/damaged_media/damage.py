"""Media files with damage, made from a seed: the same files on every machine with the same encoders."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np

from recordings import voice
from sounds import MEDIA_KINDS, SNDFILE_KINDS, encode, encode_media

RATE_HZ: Final = 16_000
SOUND_S: Final = 0.3
HEADER_BYTES: Final = 160
"""Where the numbers stand that decide most: sizes, rates, channels."""
_CHUNK_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9]{2}[A-Za-z0-9 ]")
_EXTREMES: Final = (
    0,
    1,
    2,
    3,
    64,
    65,
    255,
    1024,
    2**15,
    2**16 - 1,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**64 - 1,
)

Random: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class DamagedFile:
    """A file that no encoder has written.

    Attributes:
        name: What it was and what was done to it.
        data: Its bytes.
    """

    name: str
    data: bytes


@cache
def whole_files() -> dict[str, bytes]:
    """Return a short recording in every format that is read, by container and coding."""
    sound = voice("female", 1.0)[4000 : 4000 + round(SOUND_S * RATE_HZ), np.newaxis]
    files = {f"{box} {coding}": encode(sound, RATE_HZ, box, coding) for box, coding in SNDFILE_KINDS}
    stereo = np.concatenate([sound, sound[::-1]], axis=1)
    files |= {f"{box} {coding} stereo": encode(stereo, RATE_HZ, box, coding) for box, coding in SNDFILE_KINDS[1::5]}
    return files | {f"{box} {coding}": encode_media(sound, RATE_HZ, box, coding) for box, coding in MEDIA_KINDS}


def damaged_files(count: int, seed: int = 1) -> Iterator[DamagedFile]:
    """Yield files with one to three kinds of damage, each format as often as the others.

    Args:
        count: How many.
        seed: The files of a seed are the same each time.
    """
    originals = list(whole_files().items())
    for number in range(count):
        random = np.random.default_rng([seed, number])
        name, data = originals[number % len(originals)]
        # Each kind comes first in turn, so that each meets each format.
        first = number // len(originals) % len(DAMAGES)
        done = [DAMAGES[first], *random.choice(np.array(DAMAGES), random.integers(0, 3))]
        for damage in done:
            data = damage(data, random) or data[:1]
        yield DamagedFile(f"{number}: {name}, {' and '.join(damage.__name__[1:] for damage in done)}", data)


def _span(data: bytes, random: Random, most_bytes: int = 400) -> tuple[int, int]:
    """Return where some range begins and ends; half of them begin in the header, where damage does most."""
    start = int(random.integers(0, max(1, min(HEADER_BYTES if random.random() < 0.5 else len(data), len(data)))))
    return start, min(len(data), start + int(random.integers(1, most_bytes)))


def _flipped_bits(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    start, stop = _span(data, random, len(data))
    for position in random.integers(start, stop, int(random.integers(1, 20))):
        changed[position] ^= 1 << int(random.integers(0, 8))
    return bytes(changed)


def _cut_off(data: bytes, random: Random) -> bytes:
    return data[: _span(data, random)[1]]


def _extreme_numbers(data: bytes, random: Random) -> bytes:
    """Put extremes where numbers stand: in the header, and behind the names of chunks and boxes."""
    changed = bytearray(data)
    names = [found.end() for found in _CHUNK_NAME.finditer(data)] or [0]
    for _ in range(int(random.integers(1, 4))):
        form = str(random.choice(["<H", ">H", "<I", ">I", "<Q", ">Q"]))
        size = struct.calcsize(form)
        near_name = int(random.choice(names)) + int(random.choice([-8, 0, 4, 8, 12]))
        at = near_name if random.random() < 0.5 else 2 * int(random.integers(0, HEADER_BYTES // 2))
        if 0 <= at <= len(changed) - size:
            number = _EXTREMES[int(random.integers(0, len(_EXTREMES)))]
            changed[at : at + size] = struct.pack(form, number % 2 ** (8 * size))
    return bytes(changed)


def _chunks(data: bytes, random: Random) -> list[bytes]:
    """Return a file in pieces that begin with the names of chunks, or anywhere where it has few."""
    starts = {found.start() for found in _CHUNK_NAME.finditer(data)}
    starts |= {int(place) for place in random.integers(0, len(data), 3)}
    chosen = random.choice(sorted(starts), min(len(starts), 6), replace=False)
    places = sorted({0, len(data), *(int(place) for place in chosen)})
    return [data[start:stop] for start, stop in pairwise(places)]


def _swapped_chunks(data: bytes, random: Random) -> bytes:
    chunks = _chunks(data, random)
    return b"".join(chunks[int(place)] for place in random.permutation(len(chunks)))


def _repeated_chunks(data: bytes, random: Random) -> bytes:
    return b"".join(chunk * int(random.choice([1, 1, 2, 5])) for chunk in _chunks(data, random))


def _missing_chunk(data: bytes, random: Random) -> bytes:
    chunks = _chunks(data, random)
    del chunks[int(random.integers(0, len(chunks)))]
    return b"".join(chunks)


def _zeroed_block(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random, 2000)
    return data[:start] + bytes(stop - start) + data[stop:]


def _joined_files(data: bytes, random: Random) -> bytes:
    other = _other(random)
    return data + other if random.random() < 0.5 else other + data


def _spliced_files(data: bytes, random: Random) -> bytes:
    other = _other(random)
    (start, stop), (first, last) = _span(data, random), _span(other, random, 2000)
    return data[:start] + other[first:last] + data[stop:]


def _noise(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random, 2000)
    return data[:start] + random.bytes(stop - start) + data[stop:]


def _other(random: Random) -> bytes:
    files = list(whole_files().values())
    return files[int(random.integers(0, len(files)))]


Damage: TypeAlias = Callable[[bytes, Random], bytes]
DAMAGES: Final[Sequence[Damage]] = (
    _flipped_bits,
    _cut_off,
    _extreme_numbers,
    _swapped_chunks,
    _repeated_chunks,
    _missing_chunk,
    _zeroed_block,
    _joined_files,
    _spliced_files,
    _noise,
)

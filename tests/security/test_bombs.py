"""Small requests that want to become large ones take the service neither memory nor time, and it goes on."""

from __future__ import annotations

import gzip
import io
import struct
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from operation.workload import ended
from recordings import call, recording, voice
from serving import GENDER, PATH, ServerProcess, voiceprint_text

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is asked of Linux")

ROOM_BYTES = 100 * 1024**2
"""What a process may take more at its peak than it did for honest requests."""


def peaks(open_server: ServerProcess) -> dict[int, int]:
    """The most memory that each process of the service has had, by its id."""
    root = psutil.Process(open_server.process.pid)
    found = {}
    for process in (root, *root.children(recursive=True)):
        text = Path(f"/proc/{process.pid}/status").read_text()
        found[process.pid] = int(text.split("VmHWM:")[1].split()[0]) * 1024
    return found


def zeros(gigabytes: int, byte: bytes = b" ") -> bytes:
    """Gzip of many members."""
    return gzip.compress(byte * 10**7) * (100 * gigabytes)


def test_packed_bodies_that_unpack_to_gigabytes_are_refused_at_the_bound(open_server: ServerProcess) -> None:
    before = peaks(open_server)
    packed = {"content-encoding": "gzip"}
    json = {**packed, "content-type": "application/json"}
    arrow = {**packed, "content-type": "application/vnd.apache.arrow.stream"}
    media = {**packed, "content-type": "multipart/form-data; boundary=x"}
    head = gzip.compress(b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n')
    client = open_server.client
    assert client.post(PATH, content=zeros(2), headers=json).status_code == 413
    assert client.post(PATH, content=iter([zeros(2)]), headers=json).status_code == 413
    assert client.post(PATH, content=gzip.compress(gzip.compress(zeros(1))), headers=json).status_code == 400
    assert client.post(PATH, content=zeros(1, b"\0"), headers=arrow).status_code in (400, 413, 422)
    assert client.post(GENDER, content=head + zeros(2), headers=media).status_code == 413
    # Empty members have no end of their own that would be a bound.
    assert client.post(PATH, content=gzip.compress(b"") * 100_000, headers=json).status_code in (400, 413)
    for pid, bytes_then in before.items():
        assert peaks(open_server)[pid] < bytes_then + ROOM_BYTES
    assert client.post(PATH, json={"voiceprints": [voiceprint_text(1)]}).status_code == 202


def endless_flac() -> bytes:
    """Twenty minutes of silence in a few kilobytes, whose head does not say how long it is."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(20 * 60 * 8_000, np.int16), 8_000, format="FLAC")
    data = bytearray(file.getvalue())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def flac_with_picture() -> bytes:
    """A FLAC file whose picture claims 4 GB, in a block that claims 16 MB."""
    data = recording(voice("male"), form="FLAC")
    picture = struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">I", 0) + bytes(16) + struct.pack(">I", 2**32 - 1)
    return data[:42] + b"\x06\xff\xff\xff" + picture + data[42:]


def mp3_with_pictures() -> bytes:
    """An MP3 file behind a tag that claims 256 MB and holds a picture of which 1 MB is there."""
    sound = recording(voice("male"), form="MP3")
    frame = b"APIC" + b"\x7f\x7f\x7f\x7f" + bytes(2) + b"\0image/png\0\x03\0" + bytes(2**20)
    return b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + frame + sound


def webm(claimed: int) -> bytes:
    """A WebM file with a track whose private data, and then a tag, claim a length."""
    length = struct.pack(">Q", 1 << 56 | claimed)
    codec = b"\x86\x86A_OPUS" + b"\x63\xa2" + length + b"OpusHead"
    track = b"\xae" + length + b"\xd7\x81\x01\x83\x81\x02" + codec
    begin = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102")
    tags = b"\x12\x54\xc3\x67" + length + b"\x73\x73" + length + b"\x67\xc8" + length
    segment = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"
    return begin + segment + b"\x16\x54\xae\x6b" + length + track + bytes(1000) + tags


def caf(name: bytes, claimed: int) -> bytes:
    """A CAF file in which a chunk claims a length."""
    about = struct.pack(">d4sIIIII", 16_000.0, b"aac ", 0, 0, 1024, 1, 16)
    return b"caff\0\1\0\0" + b"desc" + struct.pack(">q", 32) + about + name + struct.pack(">q", claimed) + bytes(500)


def mp4_with_cover(claimed: int) -> bytes:
    """An MP4 file whose cover picture claims a length."""
    cover = struct.pack(">I4sI4sII", claimed, b"covr", claimed - 8, b"data", 13, 0) + bytes(100)
    inner = struct.pack(">I4s", claimed + 8, b"ilst") + cover
    return struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + struct.pack(">I4s", claimed + 16, b"moov") + inner


def test_recordings_that_claim_or_unpack_to_more_than_they_are_are_refused_or_heard(open_server: ServerProcess) -> None:
    before = peaks(open_server)
    gigabyte = 2**30
    bombs = {
        "endless": endless_flac(),
        "picture": flac_with_picture(),
        "pictures": mp3_with_pictures(),
        **{f"webm {claimed}": webm(claimed) for claimed in (2**27, gigabyte, 2**40, 2**55)},
        **{
            f"caf {name!r} {claimed}": caf(name, claimed)
            for name in (b"kuki", b"pakt", b"info", b"chan")
            for claimed in (2**27, gigabyte, 2**40, 2**62)
        },
        **{f"cover {claimed}": mp4_with_cover(claimed) for claimed in (2**27, gigabyte, 2**31 - 1)},
    }
    states = {}
    for name, data in bombs.items():
        assert len(data) < 2_000_000
        states[name] = ended(open_server.client, open_server.client.post(GENDER, files={"file": data}))["state"]
    assert states["endless"] == "rejected"
    assert set(states.values()) <= {"rejected", "done"}, states
    for pid, bytes_then in before.items():
        assert peaks(open_server)[pid] < bytes_then + ROOM_BYTES
    assert ended(open_server.client, open_server.client.post(GENDER, files={"file": call()}))["state"] == "done"

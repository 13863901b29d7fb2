"""A recording is bytes: whatever it refers to, no other file is opened and nobody is asked over a network."""

from __future__ import annotations

import ctypes
import io
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recordings import recording, voice
from voxgender.core.errors import AudioError
from voxgender.files.audio import open_audio

av = pytest.importorskip("av")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who opens a file is asked of Linux")

IN_OPEN = 0x20
NAME = "other.wav"


@dataclass
class Bait:
    """A file and an address that nobody may touch.

    Attributes:
        folder: Where the file lies, as :data:`NAME`.
        port: Of 127.0.0.1.
        connections: How often somebody came there.
    """

    folder: Path
    port: int
    connections: list[object] = field(default_factory=list)
    _watch: int = -1

    def opened(self) -> bool:
        """Whether somebody has opened the file since this was asked last."""
        try:
            return bool(os.read(self._watch, 65536))
        except BlockingIOError:
            return False


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Bait]:
    (tmp_path / NAME).write_bytes(recording(voice("male")))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bait = Bait(tmp_path, listener.getsockname()[1])
        libc = ctypes.CDLL(None, use_errno=True)
        bait._watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(bait._watch, os.fsencode(tmp_path / NAME), IN_OPEN) > 0

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                bait.connections.append(connection.getpeername())
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield bait
        os.close(bait._watch)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def box(name: bytes, *parts: bytes) -> bytes:
    """A box of ISO/IEC 14496-12."""
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), name) + content


def reference_movie(url: str) -> bytes:
    """A QuickTime movie that is nothing but the URL of another one."""
    place = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(url) + 1), url.encode() + b"\0")
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", place)))


def alias_of(path: str) -> bytes:
    """A data reference of QuickTime to another file, by its absolute path: an alias record of the Macintosh."""
    name = Path(path).name.encode()
    text = path.encode() + bytes(len(path) % 2)
    record = bytes(10) + b"\x01v".ljust(28, b"\0") + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0")
    record += bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    record += struct.pack(">HH", 2, len(text)) + text + struct.pack(">HH", 0xFFFF, 0)
    return box(b"alis", bytes(4), record)


def movie_of_another_file(path: str) -> bytes:
    """A movie whose index lies in it, and whose samples lie in another file."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as out:
        track = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=1600)
        frame.rate = 16_000
        for part in (frame, None):
            out.mux(track.encode(part))
    whole = file.getvalue()
    moov = whole.rindex(b"moov") - 4
    return whole[:moov] + _with_reference(whole[moov:], alias_of(path))


def _with_reference(content: bytes, reference: bytes) -> bytes:
    """Boxes, in whose `dref` there stands a reference instead of the one to the same file."""
    done, at = b"", 0
    while at < len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        inner = content[at + 8 : at + size]
        if name == b"dref":
            inner = inner[:4] + struct.pack(">I", 1) + reference
        elif name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
            inner = _with_reference(inner, reference)
        done += box(name, inner)
        at += size
    return done


def playlists(target: str) -> dict[str, bytes]:
    """Files of text that name others."""
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
    media = f'TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="{target}"'
    return {
        "hls": hls.encode(),
        "hls master": f'#EXTM3U\n#EXT-X-MEDIA:{media}\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n{target}\n'.encode(),
        "hls key": hls.replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF').encode(),
        "hls behind a tag": b"ID3\x04\x00\x00\x00\x00\x00\x00" + hls.encode(),
        "concat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "dash": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="full"'
            ' mediaPresentationDuration="PT10S"><Period><AdaptationSet contentType="audio"><Representation id="1"'
            f' bandwidth="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>'
        ).encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'.encode(),
        "asf redirect": f"[Reference]\r\nRef1={target}\r\n".encode(),
        "smil": f'<smil><body><audio src="{target}"/></body></smil>'.encode(),
        "xspf": f"<playlist><trackList><track><location>{target}</location></track></trackList></playlist>".encode(),
        "pls": f"[playlist]\nFile1={target}\nNumberOfEntries=1\n".encode(),
        "rtsp": f"RTSPtext\r\n{target}\r\n".encode(),
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\na=control:{target}\nm=audio 5004 RTP/AVP 0\n".encode(),
        "avisynth": f'WavSource("{target}")\n'.encode(),
        "cue": f'FILE "{target}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'.encode(),
        "vobsub": f"# VobSub index file, v7\nid: en, index: 0\ntimestamp: 0, filepos: 0\n{target}\n".encode(),
        "metadata": f";FFMETADATA1\ntitle={target}\n".encode(),
        "url": target.encode(),
    }


def crafted(bait: Bait) -> Iterator[tuple[str, bytes]]:
    """Recordings that refer to the bait."""
    path, address = str(bait.folder / NAME), f"127.0.0.1:{bait.port}/x.wav"
    targets = (
        [path, NAME, f"file:{path}", f"file://{path}", f"concat:{path}", f"subfile,,start,0,end,0,,:{path}"]
        + [f"async:file:{path}", f"cache:file:{path}", f"crypto:{path}"]
        + [f"{scheme}://{address}" for scheme in ("http", "https", "tcp", "ftp", "rtmp", "rtsp", "rtp", "mmsh", "tls")]
    )
    for target in targets:
        for name, text in playlists(target).items():
            yield f"{name} to {target}", text
        yield f"reference movie to {target}", reference_movie(target)
    yield "movie of another file", movie_of_another_file(path)


def test_nothing_that_a_recording_names_is_opened_or_asked(bait: Bait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bait.folder)
    tried = 0
    for name, data in crafted(bait):
        try:
            with open_audio(data) as audio:
                heard = audio.read()
        except AudioError:
            pass
        else:
            # The movie's own bytes are read as its samples at most; what the other file holds is longer.
            assert heard.shape[1] < 16_000, name
        assert not bait.opened(), name
        assert bait.connections == [], name
        tried += 1
    assert tried > 300


def test_a_file_on_disk_is_the_only_one_that_is_opened(bait: Bait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bait.folder)
    (bait.folder / "list.m3u8").write_bytes(playlists(NAME)["hls"])
    with pytest.raises(AudioError):
        open_audio(bait.folder / "list.m3u8")
    assert not bait.opened()


def test_the_baits_are_taken_by_who_opens_the_same_files_without_bounds(
    bait: Bait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bait.folder)
    url = f"http://127.0.0.1:{bait.port}/x.wav"
    baited = {
        "list.m3u8": playlists(NAME)["hls"],
        "list.ffconcat": playlists(NAME)["concat"],
        "movie.mov": movie_of_another_file(str(bait.folder / NAME)),
    }
    options = {
        "protocol_whitelist": "file,http,tcp",
        "allowed_extensions": "ALL",
        "extension_picky": "0",
        "allowed_segment_extensions": "ALL",
        "enable_drefs": "1",
        "use_absolute_path": "1",
        "safe": "0",
    }

    def open_freely(name: str) -> None:
        try:
            with av.open(name, container_options=options, timeout=20) as container:
                next(container.decode(audio=0), None)
        except (av.FFmpegError, ValueError):
            pass

    for name, data in baited.items():
        (bait.folder / name).write_bytes(data)
        open_freely(name)
        assert bait.opened(), name
    (bait.folder / "far.m3u8").write_bytes(playlists(url)["hls"])
    open_freely("far.m3u8")
    assert bait.connections

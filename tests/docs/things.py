"""What a reader of the pages has: two recordings, and what is made of them when a page names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soundfile

from recordings import recording, voice
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint

SPEECH = Path(__file__).resolve().parents[3] / "shared/speech/dev"
# The clips of the outputs that the pages show: LibriSpeech, CC BY 4.0.
CLIPS = {"man.opus": SPEECH / "librispeech-1455-1.opus", "woman.opus": SPEECH / "librispeech-1553-1.opus"}


def have_clips() -> bool:
    """Whether this checkout has the clips beside it, so that what is printed is what the pages show."""
    return all(path.is_file() for path in CLIPS.values())


def prepare(folder: Path, text: str) -> None:
    """Put into a folder what a page with this text speaks of."""
    _recordings(folder)
    for name, make in THINGS.items():
        made_by_the_page = any(f"{way} {name}" in text for way in ("mkdir", ">"))
        if name in text and not made_by_the_page:
            make(folder)


def _recordings(folder: Path) -> None:
    for gender, (name, clip) in zip(("male", "female"), CLIPS.items(), strict=True):
        if have_clips():
            shutil.copy(clip, folder / name)
        else:
            (folder / name).write_bytes(recording(voice(gender), form="FLAC"))


def _call(folder: Path) -> None:
    """Both recordings as the two channels of one file, the shorter one with silence behind it."""
    channels = [soundfile.read(folder / name, dtype="float32") for name in CLIPS]
    longest = max(len(samples) for samples, _ in channels)
    both = [np.pad(samples, (0, longest - len(samples))) for samples, _ in channels]
    soundfile.write(folder / "call.flac", np.stack(both, axis=1), channels[0][1])


def _voiceprint() -> bytes:
    """A voiceprint of nobody."""
    vector = np.random.default_rng(5).normal(size=286).astype(np.float32) / 16
    return encode_voiceprint(Voiceprint("ge2e-2", 12.5, vector))


def _lake(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "lake").mkdir()
    pq.write_table(pa.table({"call": [1, 2, 3], "voiceprint": [_voiceprint()] * 3}), folder / "lake/calls.parquet")


THINGS: Mapping[str, Callable[[Path], object]] = {
    "call.flac": _call,
    "voice.vp": lambda folder: (folder / "voice.vp").write_bytes(_voiceprint()),
    "letter.txt": lambda folder: (folder / "letter.txt").write_text("This is no recording.\n"),
    "lake/": _lake,
}
"""What makes a thing, by the text that speaks of it."""

"""Makes the sample voiceprints of the web page, for visitors without files of their own.

They are nobody's: each is what the shipped model extracts from synthesised sounds (``voices.speak`` of the tests: the
harmonics of a gliding pitch through the resonances of a mouth that moves from vowel to vowel, and hiss), or from
silence. No recording of a person and no voiceprint of one goes into them. The same seeds make the same bytes on the
same versions of the packages:

    python tools/make_sample_voiceprints.py
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

import voxgender

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import voices  # noqa: E402  # it lies among the tests

OUTPUT = ROOT / "src" / "voxgender" / "web" / "assets" / "samples"
SECONDS = 6.0
VOICES = {
    # Pitch in Hz, factor on the resonances, seed. A man's vocal tract is 1.0.
    "low-voice-1": (115.0, 1.0, 2),
    "low-voice-2": (100.0, 1.0, 1),
    "high-voice-1": (190.0, 1.13, 2),
    "high-voice-2": (210.0, 1.17, 2),
    "in-between": (150.0, 1.07, 5),
}


def samples(name: str) -> NDArray[np.float32]:
    """Return the sounds of a sample, at ``voices.SAMPLE_RATE_HZ``."""
    if name == "silence":
        return np.zeros(int(2 * voices.SAMPLE_RATE_HZ), np.float32)
    f0_hz, formant_scale, seed = VOICES[name]
    return voices.speak(SECONDS, f0_hz, formant_scale, seed)


def voiceprint(name: str) -> bytes:
    """Return the bytes of a sample."""
    file = io.BytesIO()
    soundfile.write(file, samples(name), voices.SAMPLE_RATE_HZ, format="WAV")
    return voxgender.encode_voiceprint(voxgender.extract(file.getvalue()))


def main() -> None:
    """Write all samples, and print what the model says of them."""
    OUTPUT.mkdir(exist_ok=True)
    for name in (*VOICES, "silence"):
        path = OUTPUT / f"{name}.vp"
        path.write_bytes(voiceprint(name))
        result = voxgender.identify(path)[0]
        llr = "none" if result.llr is None else f"{result.llr:+.2f}"
        print(f"{name}: {result.gender}, LLR {llr}, {result.speech_s:.1f} s of speech")


if __name__ == "__main__":
    main()

"""What well-known families of speaker encoders take, as their own published code makes it."""

from __future__ import annotations

from typing import Final

from voxgender.files.fbank import Fbank
from voxgender.files.onnx_encoder import EncoderSettings, Input, Output

PRESETS: Final[dict[str, EncoderSettings]] = {
    # wespeaker/bin/infer_onnx.py (Apache-2.0): torchaudio's Kaldi features of 16-bit numbers, Hamming, mean taken.
    "wespeaker": EncoderSettings(input=Input(scale=32_768.0, features=Fbank(window="hamming"))),
    # 3D-Speaker, speakerlab/process/processor.py and bin/infer_sv.py (Apache-2.0): torchaudio's Kaldi features as they
    # are, of samples from -1 to 1, mean taken. ERes2Net and 3D-Speaker's ECAPA take the same.
    "campplus": EncoderSettings(input=Input(features=Fbank())),
    # SpeechBrain (Apache-2.0): processing/features.py with the defaults of lobes/features.py's Fbank, and
    # InputNormalization(norm_type="sentence", std_norm=False), as in spkrec-ecapa-voxceleb/hyperparams.yaml.
    "ecapa": EncoderSettings(
        input=Input(
            features=Fbank(
                fft_samples=400,
                frames="centred",
                remove_dc=False,
                preemphasis=0.0,
                window="hamming",
                window_periodic=True,
                low_hz=0.0,
                triangles="symmetric",
                log="decibel",
                floor=1e-10,
                range_db=80.0,
            )
        )
    ),
    # NeMo (Apache-2.0): conf/titanet-large.yaml, parts/preprocessing/features.py's FilterbankFeatures.
    "titanet": EncoderSettings(
        input=Input(
            name="audio_signal",
            length_name="length",
            layout="bands-frames",
            features=Fbank(
                frames="centred",
                remove_dc=False,
                preemphasis_over="signal",
                window="hann",
                low_hz=0.0,
                mel_scale="slaney",
                triangles="hz",
                equal_area=True,
                floor=2.0**-24,
                floor_added=True,
                normalise="mean-deviation",
            ),
        ),
        output=Output(name="embs"),
    ),
    # Any graph that holds its features itself.
    "waveform": EncoderSettings(),
}
"""The families by name; a configuration file may change any field."""

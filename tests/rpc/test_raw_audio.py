"""Raw samples: heard as the WAV file of the same samples, however they are cut; what they cannot be is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import soundfile
from google.protobuf.duration_pb2 import Duration
from phonexia.grpc.common.core_pb2 import Audio, RawAudioConfig, TimeRange
from phonexia.grpc.technologies.speaker_identification.v1.speaker_identification_pb2 import (
    ExtractRequest,
    ExtractResponse,
)

from recordings import voice
from rpc.stubs import Stubs, extract_messages, identify_messages, refused, seconds, stubs_of
from rpc.traces import left_over
from serving import ServerProcess, wait_for

SUBTYPES = {
    RawAudioConfig.PCM16: "PCM_16",
    RawAudioConfig.PCM32: "PCM_32",
    RawAudioConfig.MULAW: "ULAW",
    RawAudioConfig.ALAW: "ALAW",
}
VOICE = voice("male", 1.5)


@pytest.fixture(scope="module")
def stubs(rpc_server: ServerProcess) -> Iterator[Stubs]:
    with stubs_of(rpc_server) as stubs:
        yield stubs
    wait_for(lambda: left_over(rpc_server) == [])


def written(encoding: int, form: str, rate_hz: int = 16_000) -> bytes:
    """The samples in a file: ``RAW`` has no header."""
    file = io.BytesIO()
    soundfile.write(file, VOICE, rate_hz, SUBTYPES[encoding], "LITTLE" if form == "RAW" else None, form)
    return file.getvalue()


def config(encoding: int = RawAudioConfig.PCM16, rate_hz: int = 16_000, channels: int = 1) -> RawAudioConfig:
    return RawAudioConfig(encoding=encoding, sample_rate_hertz=rate_hz, channels=channels)  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", SUBTYPES, ids=SUBTYPES.values())
def test_raw_samples_have_the_voiceprint_of_their_wav_file_wherever_they_are_cut(stubs: Stubs, encoding: int) -> None:
    of_file = stubs.extract(*extract_messages(written(encoding, "WAV")))
    assert of_file.result.speech_length.seconds >= 1
    # Pieces of 777 bytes end in the middle of samples.
    raw = extract_messages(written(encoding, "RAW"), 777, raw_audio_config=config(encoding))
    assert stubs.extract(*raw) == of_file


def test_the_rate_is_the_one_that_is_told(stubs: Stubs) -> None:
    raw = written(RawAudioConfig.PCM16, "RAW")
    told = stubs.extract(*extract_messages(raw, raw_audio_config=config(rate_hz=8000)))
    assert seconds(told.processed_audio_length) == 3.0
    assert told == stubs.extract(*extract_messages(written(RawAudioConfig.PCM16, "WAV", 8000)))


def test_a_sample_that_breaks_off_is_left_out(stubs: Stubs) -> None:
    raw = written(RawAudioConfig.PCM16, "RAW")
    whole, broken = (
        stubs.extract(*extract_messages(samples, raw_audio_config=config())) for samples in (raw, raw + b"\x7f")
    )
    assert broken == whole


def test_raw_samples_may_begin_like_anything(stubs: Stubs) -> None:
    raw = b"{i\x06format" + b"ID3\x04RIF" + written(RawAudioConfig.PCM16, "RAW")
    (told,) = stubs.identify(*identify_messages(raw, raw_audio_config=config()))
    assert told.results[0].HasField("score_male")


def test_a_time_range_may_stand_beside_the_raw_audio_config(stubs: Stubs) -> None:
    raw = written(RawAudioConfig.PCM16, "RAW")
    half = TimeRange(end=Duration(nanos=500_000_000))
    (told,) = stubs.identify(*identify_messages(raw, 5000, raw_audio_config=config(), time_range=half))
    assert seconds(told.processed_audio_length) == 0.5


def test_no_samples_are_no_error(stubs: Stubs) -> None:
    assert stubs.extract(ExtractRequest(audio=Audio(raw_audio_config=config()))) == ExtractResponse()


def test_samples_of_noise_are_heard_like_any_others(stubs: Stubs) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 64_000, np.uint8).tobytes()
    told = stubs.extract(*extract_messages(noise, 4097, raw_audio_config=config(RawAudioConfig.PCM32)))
    assert seconds(told.processed_audio_length) == 1.0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (config(channels=2), "'audio.raw_audio_config.channels' is 2; send one channel, or the mix of all, and say 1."),
        (config(channels=0), "'audio.raw_audio_config.channels' is 0; send one channel, or the mix of all, and say 1."),
        (config(channels=-1), "'audio.raw_audio_config.channels' is -1; "),
        (config(rate_hz=0), "'audio.raw_audio_config.sample_rate_hertz' is 0; 4000 to 384000 Hz are read."),
        (config(rate_hz=-8000), "'audio.raw_audio_config.sample_rate_hertz' is -8000; "),
        (config(rate_hz=3999), "'audio.raw_audio_config.sample_rate_hertz' is 3999; "),
        (config(rate_hz=2**31 - 1), "'audio.raw_audio_config.sample_rate_hertz' is 2147483647; "),
        (config(4), "'audio.raw_audio_config.encoding' is 4; choose one of PCM16, PCM32, MULAW, ALAW."),
        (config(-1), "'audio.raw_audio_config.encoding' is -1; choose one of "),
    ],
)
def test_what_raw_audio_cannot_be_is_refused_with_the_value_and_the_remedy(
    stubs: Stubs, wrong: RawAudioConfig, words: str
) -> None:
    raw = written(RawAudioConfig.PCM16, "RAW")
    with refused() as by_identify:
        stubs.identify(*identify_messages(raw, raw_audio_config=wrong))
    with refused() as by_extract:
        stubs.extract(*extract_messages(raw, raw_audio_config=wrong))
    assert by_identify == by_extract
    assert (by_identify.status, by_identify.code) == (grpc.StatusCode.INVALID_ARGUMENT, "request.validation-error")
    assert by_identify.message.startswith(words)

"""A recording's channels to voiceprints: each is heard as if it were alone, in one pass."""

from __future__ import annotations

import numpy as np
import pytest

from recordings import call, recording, voice
from voxgender.core.errors import AudioChannelError, AudioError, AudioLimitError
from voxgender.core.media import MediaOptions
from voxgender.core.voiceprint import decode_voiceprint
from voxgender.files.audio import AudioLimits
from voxgender.files.channels import hear_channels
from voxgender.files.extraction import Extractor
from voxgender.files.models import extractor_folder
from voxgender.files.recording import extract_voiceprint


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(extractor_folder("ge2e-2"), threads=1)


def test_a_mix_is_what_the_command_line_hears(extractor: Extractor) -> None:
    heard = hear_channels(call(), extractor, MediaOptions("mix"))
    (mixed,) = (decode_voiceprint(data) for data in heard.voiceprints)
    expected = extract_voiceprint(call(), extractor)
    assert mixed.speech_s == expected.speech_s
    assert np.array_equal(mixed.vector, expected.vector)
    assert (heard.numbers, heard.audio_s) == ((0,), 4.0)


def test_a_channel_is_heard_as_if_it_were_alone(extractor: Extractor) -> None:
    together = hear_channels(call(), extractor)
    alone = [hear_channels(recording(voice(one), form="FLAC"), extractor) for one in ("male", "female")]
    assert together.voiceprints == tuple(heard.voiceprints[0] for heard in alone)
    chosen = hear_channels(call(), extractor, MediaOptions(channels=(1, 0, 1)))
    assert (chosen.numbers, chosen.voiceprints) == ((1, 0), together.voiceprints[::-1])


def test_a_mix_of_chosen_channels_leaves_the_others_out(extractor: Extractor) -> None:
    mixed = hear_channels(call(), extractor, MediaOptions("mix", channels=(1,)))
    assert mixed.voiceprints == hear_channels(call(), extractor).voiceprints[1:]
    assert mixed.numbers == (0,)


def test_a_recording_of_one_channel_is_heard_alike_in_all_modes(extractor: Extractor) -> None:
    alone = recording(voice("male"))
    assert hear_channels(alone, extractor, MediaOptions("mono")) == hear_channels(alone, extractor)


def test_a_range_is_cut_to_the_sample(extractor: Extractor) -> None:
    samples = voice("male")
    ranged = hear_channels(recording(samples), extractor, MediaOptions(range_from_s=0.5, range_to_s=3.25))
    cut = hear_channels(recording(samples[8_000:52_000]), extractor)
    assert ranged.voiceprints == cut.voiceprints
    assert ranged.audio_s == 2.75


def test_speech_is_used_up_to_the_bound_and_no_more_is_read(extractor: Extractor) -> None:
    long = recording(np.tile(voice("male"), 20))
    heard = hear_channels(long, extractor, MediaOptions(max_speech_s=1.5))
    assert decode_voiceprint(heard.voiceprints[0]).speech_s == 1.5
    assert heard.audio_s < 80


def test_progress_rises_to_the_end(extractor: Extractor) -> None:
    told: list[float] = []
    hear_channels(recording(np.tile(voice("male"), 10)), extractor, on_progress=told.append)
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] == 1


def test_what_cannot_be_heard_is_told(extractor: Extractor) -> None:
    with pytest.raises(AudioChannelError, match="no channel 2; it has the channels 0 to 1"):
        hear_channels(call(), extractor, MediaOptions(channels=(0, 2)))
    with pytest.raises(AudioChannelError, match="no channel 1; it has channel 0 alone"):
        hear_channels(recording(voice("male")), extractor, MediaOptions(channels=(1,)))
    with pytest.raises(AudioChannelError, match="the audio has 2 channels; send one of them, or their mix"):
        hear_channels(call(), extractor, MediaOptions("mono"))
    with pytest.raises(AudioLimitError):
        hear_channels(call(), extractor, limits=AudioLimits(max_seconds=3))
    with pytest.raises(AudioError):
        hear_channels(b"no audio", extractor)

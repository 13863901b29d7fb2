"""A recording to voiceprints, channel by channel: each may be a voice of its own, as the two sides of a call are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxgender.core.channels import ChannelVoiceprints
from voxgender.core.errors import AudioChannelError
from voxgender.core.media import ALL, MediaOptions
from voxgender.core.voiceprint import Voiceprint, encode_voiceprint
from voxgender.files.audio import AudioLimits, AudioStream, open_audio
from voxgender.files.extraction import SAMPLE_RATE_HZ, Extractor, OpenExtraction
from voxgender.files.stage_times import StageTimes

_PIECE_S = 10.0


def hear_channels(
    source: str | Path | bytes,
    extractor: Extractor,
    options: MediaOptions = ALL,
    limits: AudioLimits | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
    times: StageTimes | None = None,
) -> ChannelVoiceprints:
    """Make the voiceprints of a recording's channels, all in one pass over it and in memory that does not grow.

    Args:
        source: The path of a file, or its bytes.
        extractor: What makes them.
        options: What is to be heard.
        limits: What the audio may ask for at most.
        on_progress: Told again and again how much of the file has been read, 0 to 1.
        times: What the stages take is added to it.

    Raises:
        AudioChannelError: The recording does not have a channel that was asked for, or several where one may be.
        AudioError: It cannot be read as audio, or is beyond the limits.
    """
    times = times or StageTimes()
    began_s = time.perf_counter()
    is_mixed = options.channel_mode == "mix"
    # The mean of all channels is taken before anything else, so that it is what the command line hears as well.
    rows: Literal["mix", "split"] = "mix" if is_mixed and not options.channels else "split"
    with open_audio(source, sample_rate_hz=SAMPLE_RATE_HZ, channels=rows, piece_s=_PIECE_S, limits=limits) as audio:
        if options.channel_mode == "mono" and audio.info.channels > 1:
            raise AudioChannelError(f"the audio has {audio.info.channels} channels; send one of them, or their mix")
        chosen = (0,) if rows == "mix" else _chosen(options.channels, audio.info.channels)
        numbers = (0,) if is_mixed else chosen
        channels = [extractor.start(options.max_speech_s, times) for _ in numbers]
        samples = 0
        for piece in _in_range(audio, options):
            times.decoding_s += time.perf_counter() - began_s
            heard = piece[list(chosen)]
            if is_mixed:
                heard = heard.mean(axis=0, dtype=np.float32, keepdims=True)
            samples += heard.shape[1]
            for channel, row in zip(channels, heard, strict=True):
                channel.feed(row)
            on_progress(audio.progress)
            began_s = time.perf_counter()
            if all(channel.full for channel in channels):
                break
    voiceprints = tuple(_voiceprint(extractor, channel) for channel in channels)
    return ChannelVoiceprints(numbers, voiceprints, samples * len(numbers) / SAMPLE_RATE_HZ)


def _chosen(asked: Sequence[int], available: int) -> tuple[int, ...]:
    missing = [number for number in asked if not 0 <= number < available]
    if missing:
        there = "channel 0 alone" if available == 1 else f"the channels 0 to {available - 1}"
        raise AudioChannelError(f"the audio has no channel {missing[0]}; it has {there}")
    return tuple(dict.fromkeys(asked)) or tuple(range(available))


def _in_range(audio: AudioStream, options: MediaOptions) -> Iterator[NDArray[np.float32]]:
    """Yield the pieces' samples that lie in the range, shape (channels, samples)."""
    first = round(options.range_from_s * SAMPLE_RATE_HZ)
    last = math.inf if options.range_to_s is None else round(options.range_to_s * SAMPLE_RATE_HZ)
    at = 0
    for piece in audio:
        start, stop = max(0, first - at), int(min(piece.shape[1], last - at))
        at += piece.shape[1]
        if start < stop:
            yield piece[:, start:stop]
        if at >= last:
            return


def _voiceprint(extractor: Extractor, channel: OpenExtraction) -> bytes:
    found = channel.finish()
    return encode_voiceprint(Voiceprint(extractor.model, found.speech_s, found.vector))

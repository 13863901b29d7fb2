"""A recording: what of it is to be heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from voxgender.core.errors import InputError


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """What of a recording is to be heard.

    Attributes:
        channel_mode: ``split`` hears each channel for itself, ``mix`` their mean; ``mono`` refuses a recording that has
            more than one.
        channels: The channels that are heard, counted from 0; all where it is empty. A mix is of these.
        range_from_s: Seconds of audio to pass over.
        range_to_s: Seconds from the start of the audio after which nothing is heard; None for its end.
        max_speech_s: Most seconds of speech that are used of a channel; None for all.

    Raises:
        InputError: Where a value cannot be.

    Example:
        >>> MediaOptions(range_from_s=5, range_to_s=4)
        Traceback (most recent call last):
        ...
        voxgender.core.errors.InputError: the range ends at 4 s, which is not after its start at 5 s
    """

    channel_mode: Literal["split", "mix", "mono"] = "split"
    channels: tuple[int, ...] = ()
    range_from_s: float = 0.0
    range_to_s: float | None = None
    max_speech_s: float | None = None

    def __post_init__(self) -> None:
        if self.range_to_s is not None and not self.range_to_s > self.range_from_s:
            raise InputError(
                f"the range ends at {self.range_to_s:g} s, which is not after its start at {self.range_from_s:g} s"
            )


ALL: Final = MediaOptions()
"""All channels, each for itself, from beginning to end."""

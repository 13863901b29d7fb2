"""What stands in the query of a new task: the decision, and what of a recording is heard."""

from __future__ import annotations

from voxgender.core.decision import Decision
from voxgender.core.media import MediaOptions


def decision_query(male_prior: float | None, min_probability: float | None) -> dict[str, str]:
    """Return the query that asks for a decision; what is None is left to the service.

    Raises:
        SettingsError: Where there is no such decision.

    Example:
        >>> decision_query(None, 0.9)
        {'min_probability': '0.9'}
    """
    asked = {"male_prior": male_prior, "min_probability": min_probability}
    told = {name: float(value) for name, value in asked.items() if value is not None}
    Decision(**told)  # says what cannot be before anything is sent
    return {name: repr(value) for name, value in told.items()}


def media_query(media: MediaOptions) -> dict[str, str]:
    """Return the query that asks for these parts of a recording.

    Example:
        >>> media_query(MediaOptions("mix", (0, 1), range_to_s=9.5))
        {'channel_mode': 'mix', 'channels': '0,1', 'range_to': '9.5'}
    """
    query: dict[str, str] = {"channel_mode": media.channel_mode}
    if media.channels:
        query["channels"] = ",".join(map(str, media.channels))
    if media.range_from_s:
        query["range_from"] = str(media.range_from_s)
    if media.range_to_s is not None:
        query["range_to"] = str(media.range_to_s)
    if media.max_speech_s is not None:
        query["max_speech_length"] = str(media.max_speech_s)
    return query

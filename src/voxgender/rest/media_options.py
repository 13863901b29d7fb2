"""What of a recording a request wants to be heard: in its query, or in the part ``config`` of its body."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request

from voxgender.core.decision import Decision
from voxgender.core.errors import InputError
from voxgender.core.errors import RequestValidationError as WrongValueError
from voxgender.core.media import MediaOptions
from voxgender.rest.decision import DecisionQuery

MAX_CHANNELS: Final = 64
"""Most channels that can be named; no recording with more is read."""


def _as_list(told: object) -> object:
    """Return the numbers of a text like ``0,1``; a list stays what it is."""
    if isinstance(told, str):
        return [part.strip() for part in told.split(",")] if told.strip() else []
    return told


class MediaQuery(DecisionQuery):
    """What of a recording is to be heard; the decision is for gender identification alone."""

    model_config = ConfigDict(extra="ignore")

    channel_mode: Literal["split", "mix"] = Field(
        "split", description="split hears each channel for itself, mix their mean."
    )
    channels: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_as_list)] = Field(
        [],
        max_length=MAX_CHANNELS,
        description="Channels to be heard, counted from 0, like 0,1; all without it.",
        json_schema_extra={"type": "string", "examples": ["0,1"]},
    )
    range_from: float = Field(0.0, ge=0, allow_inf_nan=False, description="Seconds of audio to pass over.")
    range_to: float = Field(
        None,  # type: ignore[assignment]  # null cannot stand in a query
        ge=0,
        allow_inf_nan=False,
        description="Second of the audio after which nothing is heard; its end without it.",
    )
    max_speech_length: float = Field(
        None,  # type: ignore[assignment]
        gt=0,
        allow_inf_nan=False,
        description="Most seconds of speech that are used of a channel; all without it.",
    )


def asked_media(request: Request, config: bytes | None, decision: Decision) -> tuple[MediaOptions, Decision]:
    """Return what a request asks for; what its ``config`` says goes before what its query says.

    Args:
        request: Whose query is read.
        config: The part ``config``, a JSON object; None where there is none.
        decision: What is taken where the request does not say.

    Raises:
        RequestValidationError: FastAPI's own, where a value cannot be.
        WrongValueError: Where values do not go together.
    """
    asked = _read(request.query_params, ("query",), MediaQuery.model_validate)
    if config is not None:
        asked |= _read(config, ("body", "config"), MediaQuery.model_validate_json)
    try:
        options = MediaOptions(
            asked.get("channel_mode", "split"),
            tuple(asked.get("channels", ())),
            asked.get("range_from", 0.0),
            asked.get("range_to"),
            asked.get("max_speech_length"),
        )
    except InputError as error:
        location = ("query", "range_to") if config is None else ("body", "config", "range_to")
        raise WrongValueError(f"{error}.", location, "value.out-of-range") from None
    of_decision = {name: value for name, value in asked.items() if name in DecisionQuery.model_fields}
    return options, replace(decision, **of_decision)


def _read(told: Any, location: tuple[str, ...], validate: Any) -> dict[str, Any]:
    try:
        model: BaseModel = validate(dict(told) if not isinstance(told, bytes) else told)
    except ValidationError as error:
        wrong = [{**one, "loc": (*location, *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from None
    return model.model_dump(exclude_unset=True)

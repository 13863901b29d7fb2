"""What of a recording a request wants to be heard: in its query, or in the part ``config`` of its body."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import from_json
from starlette.requests import Request

from voxgender.core.decision import Decision
from voxgender.core.errors import InputError
from voxgender.core.errors import RequestValidationError as WrongValueError
from voxgender.core.media import MediaOptions
from voxgender.rest.decision import DecisionQuery
from voxgender.rest.query import checked

MAX_CHANNELS: Final = 64
"""Most channels that can be named; no recording with more is read."""

_CONFIG: Final = ("body", "config")
_CHANNELS: Final = rf"^\s*([0-9]+\s*(,\s*[0-9]+\s*){{0,{MAX_CHANNELS - 1}}})?$"
"""What a text of channels looks like, for the OpenAPI document."""


def _as_list(told: object) -> object:
    """Return the numbers of a text like ``0,1``; a list stays what it is."""
    if isinstance(told, str):
        return [part.strip() for part in told.split(",")] if told.strip() else []
    return told


class MediaQuery(BaseModel):
    """What of a recording is to be heard."""

    model_config = ConfigDict(extra="forbid")

    channel_mode: Literal["split", "mix"] = Field(
        "split", description="split hears each channel for itself, mix their mean."
    )
    channels: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(max_length=MAX_CHANNELS),
        BeforeValidator(_as_list),
        WithJsonSchema({"type": "string", "pattern": _CHANNELS, "examples": ["0,1"]}),
    ] = Field(
        [],
        description="Channels to be heard, counted from 0, like 0,1; all without it.",
        json_schema_extra={"default": ""},
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


class GenderQuery(MediaQuery, DecisionQuery):
    """What of a recording is to be heard, and how its gender is decided."""


def asked_media(
    request: Request, config: bytes | None, model: type[MediaQuery], decision: Decision
) -> tuple[MediaOptions, Decision]:
    """Return what a request asks for; what its ``config`` says goes before what its query says.

    Args:
        request: Whose query is read; names that the model does not have are ignored in it.
        config: The part ``config``, a JSON object; None where there is none.
        model: Which parameters there are.
        decision: What is taken where the request does not say.

    Raises:
        RequestValidationError: FastAPI's own, where a value cannot be.
        WrongValueError: Where values do not go together.
    """
    asked = _told(checked(model, _query_values(request, model), "query"))
    if config is not None:
        asked |= _told(checked(model, _config_values(config, model), *_CONFIG))
    try:
        options = MediaOptions(
            asked.get("channel_mode", "split"),
            tuple(asked.get("channels", ())),
            asked.get("range_from", 0.0),
            asked.get("range_to"),
            asked.get("max_speech_length"),
        )
    except InputError as error:
        location = ("query", "range_to") if config is None else (*_CONFIG, "range_to")
        raise WrongValueError(error.sentence, location, "value.out-of-range") from None
    of_decision = {name: value for name, value in asked.items() if name in DecisionQuery.model_fields}
    return options, replace(decision, **of_decision)


def _told(values: BaseModel) -> dict[str, Any]:
    return values.model_dump(exclude_unset=True)


def _query_values(request: Request, model: type[MediaQuery]) -> dict[str, str]:
    """Return what a query says of the parameters that there are; ``channels`` may stand in it several times."""
    told: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in model.model_fields:
            continue
        if name not in told:
            told[name] = value
        elif name == "channels":
            told[name] += f",{value}"
        else:
            raise _refusal("repeated", f"say it once, not {told[name]!r:.40} too", value, "query", name)
    return told


def _config_values(config: bytes, model: type[MediaQuery]) -> dict[str, object]:
    """Return what a config says; null says nothing, and a decision says nothing where none is taken."""
    try:
        told = from_json(config)
    except ValueError as error:
        raise _refusal("json_invalid", f"invalid JSON: {error}", config, *_CONFIG) from None
    if not isinstance(told, dict):
        raise _refusal("dict_type", "it should be a JSON object", config, *_CONFIG)
    silent = {name for name, value in told.items() if value is None and name in model.model_fields}
    silent |= DecisionQuery.model_fields.keys() - model.model_fields.keys()
    return {name: value for name, value in told.items() if name not in silent}


def _refusal(kind: str, words: str, told: object, *location: str) -> RequestValidationError:
    return RequestValidationError([{"type": kind, "loc": location, "msg": words, "input": told}])

"""The bodies of the wire contract, for the OpenAPI document alone: answers are written without them, for speed."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from voxgender.app.task import TaskState

ErrorType = Literal[
    "internal",
    "resource.not-found",
    "method.invalid",
    "request.forbidden",
    "request.invalid",
    "request.validation-error",
    "request.rate-limit-exceeded",
    "request.size-limit-exceeded",
    "storage.capacity-exceeded",
]
ContextValue = str | int | float | bool


class VoiceprintsRequest(BaseModel):
    """Voiceprints to tell the gender of."""

    voiceprints: list[str] = Field(
        description="Base64 voiceprints; surrounding white space is tolerated.", min_length=1
    )


class TaskInfo(BaseModel):
    """A task and where it stands."""

    task_id: UUID
    state: TaskState
    # "| None" would put null into the OpenAPI document, and it is never told.
    progress: float = Field(
        None,  # type: ignore[assignment]
        ge=0,
        le=1,
        description="How much of a media file has been read; only while the task is running.",
    )


class TaskStarted(BaseModel):
    """The answer to a new task."""

    task: TaskInfo


class Score(BaseModel):
    """How much the voice speaks for one gender."""

    gender: Literal["male", "female"]
    probability: float = Field(ge=0, le=1, description="Both genders' probabilities add up to 1.")
    score_llr: float = Field(description="Natural-log likelihood ratio of this gender against the other.")


class VoiceprintResult(BaseModel):
    """The result of one voiceprint; `scores` is empty where there was no speech."""

    speech_length: float = Field(ge=0, description="Seconds of speech.")
    scores: list[Score] = Field(max_length=2)
    gender: Literal["male", "female", "unknown"]


class VoiceprintResults(BaseModel):
    """One result for each voiceprint, in the order of the request."""

    voiceprints: list[VoiceprintResult]


class ErrorDetail(BaseModel):
    """One thing that is wrong, and where."""

    location: list[str | int]
    message: str
    type: str
    context: dict[str, ContextValue | list[ContextValue]] = {}


class TaskError(BaseModel):
    """Why a task failed or was rejected."""

    type: Literal["internal", "task.validation-error"]
    message: str
    detail: list[ErrorDetail] = []


class TaskAnswer(BaseModel):
    """A task with its result or its error; the other is null, and both are while it is not finished."""

    task: TaskInfo
    result: VoiceprintResults | None = None
    error: TaskError | None = None


class ChannelResult(VoiceprintResult):
    """The result of one channel."""

    channel_number: int = Field(ge=0, description="Counted from 0; 0 where the channels were mixed.")


class ChannelResults(BaseModel):
    """One result for each channel."""

    channels: list[ChannelResult]


class ChannelsAnswer(BaseModel):
    """A task of media with its result or its error; the other is null, and both are while it is not finished."""

    task: TaskInfo
    result: ChannelResults | None = None
    error: TaskError | None = None


class ChannelVoiceprint(BaseModel):
    """The voiceprint of one channel."""

    channel_number: int = Field(ge=0, description="Counted from 0; 0 where the channels were mixed.")
    voiceprint: str = Field(description="Base64.")
    speech_length: float = Field(ge=0, description="Seconds of speech.")
    model: str


class ChannelVoiceprints(BaseModel):
    """One voiceprint for each channel."""

    channels: list[ChannelVoiceprint]


class ExtractionAnswer(BaseModel):
    """A task of extraction with its result or its error; the other is null, and both are while it is not finished."""

    task: TaskInfo
    result: ChannelVoiceprints | None = None
    error: TaskError | None = None


class ErrorBody(BaseModel):
    """The body of every error."""

    type: ErrorType
    message: str
    detail: list[ErrorDetail] = []


class SystemStatus(BaseModel):
    """Whether the service works."""

    status: Literal["ok", "unavailable"]


class ReadinessCheck(BaseModel):
    """One of the things that must be so."""

    state: Literal["ok", "warning", "failed"]
    told: str = Field(description="What is the case, in words.")


class Readiness(BaseModel):
    """Whether requests are to come, and by which checks."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, ReadinessCheck]


class SystemInfo(BaseModel):
    """What the service is, what it allows, and what it takes where a request does not say."""

    name: str
    version: str
    models: list[str]
    limits: dict[str, Any]
    defaults: dict[str, float]

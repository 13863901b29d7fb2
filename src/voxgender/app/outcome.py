"""What a finished task tells, as the stores keep it."""

from __future__ import annotations

import msgspec

from voxgender.app.task import Outcome, TaskError, TaskState, Technology
from voxgender.core.channels import ChannelResults, ChannelVoiceprints
from voxgender.core.decision import EQUAL_PRIORS, Decision
from voxgender.core.result import Results


def outcome_bytes(outcome: Outcome) -> bytes:
    """Return an outcome in bytes; its decision is not among them.

    Voiceprints, which are biometric, are only in the outcome of an extraction, for whose sake it was asked for.
    """
    if isinstance(outcome, Results | ChannelResults):
        return outcome.to_bytes()
    if isinstance(outcome, ChannelVoiceprints):
        return msgspec.msgpack.encode(outcome)
    return msgspec.json.encode(outcome)


def read_outcome(technology: Technology, state: TaskState, decision: Decision, data: bytes) -> Outcome | None:
    """Return the outcome that :func:`outcome_bytes` wrote; None where the task is not finished.

    Example:
        >>> error = TaskError("internal", "it took too long", "task.time-limit")
        >>> read_outcome(Technology.EXTRACTION, TaskState.FAILED, EQUAL_PRIORS, outcome_bytes(error)) == error
        True
    """
    if not state.is_finished:
        return None
    if state is not TaskState.DONE:
        return msgspec.json.decode(data, type=TaskError)
    if technology is Technology.GENDER_OF_VOICEPRINTS:
        return Results.from_bytes(data, decision)
    if technology is Technology.GENDER_OF_MEDIA:
        return ChannelResults.from_bytes(data, decision)
    return msgspec.msgpack.decode(data, type=ChannelVoiceprints)


def decision_of(outcome: Outcome | None) -> Decision:
    """Return the decision that reads an outcome; even odds where it needs none."""
    if isinstance(outcome, Results):
        return outcome.decision
    return outcome.results.decision if isinstance(outcome, ChannelResults) else EQUAL_PRIORS

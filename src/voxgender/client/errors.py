"""What a call of the client can end with besides results: one class for each refusal of the wire contract.

All are a :class:`ServiceError`, which is a branch of the one exception tree in :mod:`voxgender.core.errors`. What is
wrong with an argument, before anything is sent, is an ``InputError`` or a ``SettingsError``, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from voxgender.core.errors import VoxgenderError

LIST = ("body", "voiceprints")
"""Location of the list of voiceprints in a request."""
ContextValue: TypeAlias = "str | int | float | bool | list[str | int | float | bool]"


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is wrong, and where.

    Attributes:
        location: Where in the request, like ``("body", "voiceprints", 7)``; of voiceprints in several requests, 7
            counts in the list that the caller handed over.
        message: One sentence.
        type: Stable name of what is wrong, like ``base64.invalid``.
        context: Numbers and texts that tell more.
    """

    location: tuple[str | int, ...]
    message: str
    type: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)


class ServiceError(VoxgenderError):
    """A service did not do what it was asked for.

    Attributes:
        status: The answer's HTTP status; 0 where there was no answer.
        type: The kind of refusal by the wire contract, like ``request.forbidden``; empty where the answer has none.
        details: What exactly is wrong.
        correlation_id: The id that all requests of the call carried; the service's log has it on each line.
        request_id: The id of the one request that this was the end of; empty where there was none.
        code: The type of the first detail, like ``licensing.capacity-exceeded``; without details the kind of error.
    """

    code = "service.error"
    default_status: ClassVar[int] = 0

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str = "",
        details: tuple[Detail, ...] = (),
        correlation_id: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.status = self.default_status if status is None else status
        self.type = type
        self.details = details
        self.correlation_id = correlation_id
        self.request_id = request_id
        if details:
            self.code = details[0].type
        elif self.code == ServiceError.code and type:
            self.code = type


class InvalidRequestError(ServiceError):
    """The service could not parse the request (400)."""

    default_status = 400


class ForbiddenError(ServiceError):
    """A key or a licence does not allow it (403); ``code`` tells what of it: missing, expired or used up."""

    default_status = 403


class NotFoundError(ServiceError):
    """There is nothing at this path (404)."""

    default_status = 404


class TaskGoneError(NotFoundError):
    """A task that was accepted is no longer known: its result has expired, or the service has lost its store.

    It is not submitted again, because that would be charged again; whoever calls may do so.
    """

    code = "task.gone"


class MethodError(ServiceError):
    """The path does not know the method (405), as of a service of another version."""

    default_status = 405


class TooLargeError(ServiceError):
    """A body or a file is larger than the service takes (413)."""

    default_status = 413


class ValidationError(ServiceError):
    """The service could parse the request, but a value is wrong (422).

    Attributes:
        items: What is wrong with items, by their positions in the caller's list. The service tells of 100 items of a
            request at most; a detail of type ``details.omitted`` says how many more there are.
    """

    default_status = 422

    @property
    def items(self) -> dict[int, str]:
        """What is wrong, by position in the caller's list."""
        places = ((detail.location[2:], detail.message) for detail in self.details if detail.location[:2] == LIST)
        return {place[0]: message for place, message in places if place and isinstance(place[0], int)}


class RateLimitedError(ServiceError):
    """The service wanted fewer requests (429) for longer than the client waits."""

    default_status = 429


class InternalServiceError(ServiceError):
    """Something went wrong inside the service (500); its log tells what, under the correlation id."""

    default_status = 500


class UnavailableError(ServiceError):
    """The service could not take requests (502, 503, 504) for longer than the client waits."""

    default_status = 503


class StorageCapacityError(ServiceError):
    """The service's store was full (507) for longer than the client waits."""

    default_status = 507


class TaskRejectedError(ServiceError):
    """A task was not executed, because its input does not fit, like a file that is no recording."""

    code = "task.rejected"


class TaskFailedError(ServiceError):
    """A task went wrong; the same one may succeed later."""

    code = "task.failed"


class ServiceConnectionError(ServiceError):
    """There was no answer: nothing listens, or connections broke, for longer than the client tries."""

    code = "service.unreachable"


class ServiceTimeoutError(ServiceError):
    """A call took longer than its ``timeout_s``."""

    code = "service.timeout"


class UnexpectedAnswerError(ServiceError):
    """An answer is not of the wire contract: what answers at this address may be something else."""

    code = "service.answer-unexpected"


BY_STATUS: Mapping[int, type[ServiceError]] = {
    **{kind.default_status: kind for kind in ServiceError.__subclasses__() if kind.default_status},
    502: UnavailableError,
    504: UnavailableError,
}
"""Which class tells of which status."""

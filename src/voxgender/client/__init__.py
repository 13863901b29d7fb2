"""A client of a voxgender service: submits, waits, tries again, and never submits twice.

Example:
    >>> from voxgender.client import Client
    >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     results = client.identify(["man.opus", "woman.vp"])
    >>> results[0].gender  # doctest: +SKIP
    'male'
"""

from __future__ import annotations

from voxgender.client.async_client import AsyncClient
from voxgender.client.errors import (
    Detail,
    ForbiddenError,
    InternalServiceError,
    InvalidRequestError,
    MethodError,
    NotFoundError,
    RateLimitedError,
    ServiceConnectionError,
    ServiceError,
    ServiceTimeoutError,
    StorageCapacityError,
    TaskFailedError,
    TaskGoneError,
    TaskRejectedError,
    TooLargeError,
    UnavailableError,
    UnexpectedAnswerError,
    ValidationError,
)
from voxgender.client.results import Results
from voxgender.client.session import Progress
from voxgender.client.sync_client import Client
from voxgender.client.wire import Limits, ServiceInfo
from voxgender.core.media import MediaOptions

__all__ = [
    "AsyncClient",
    "Client",
    "Detail",
    "ForbiddenError",
    "InternalServiceError",
    "InvalidRequestError",
    "Limits",
    "MediaOptions",
    "MethodError",
    "NotFoundError",
    "Progress",
    "RateLimitedError",
    "Results",
    "ServiceConnectionError",
    "ServiceError",
    "ServiceInfo",
    "ServiceTimeoutError",
    "StorageCapacityError",
    "TaskFailedError",
    "TaskGoneError",
    "TaskRejectedError",
    "TooLargeError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "ValidationError",
]

"""The one exception tree. Each class carries a stable ``code``; each edge has one table that maps the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self


class VoxgenderError(Exception):
    """Everything that voxgender raises on purpose; the message names the value and the remedy.

    Attributes:
        code: A stable, machine-readable name of the error, in the dotted form of the wire contract.
    """

    code: str = "internal"

    @property
    def sentence(self) -> str:
        """The message as a sentence.

        Example:
            >>> VoxgenderError("the audio is empty").sentence
            'The audio is empty.'
        """
        text = str(self)
        return f"{text[:1].upper()}{text[1:].removesuffix('.')}."

    def without_origin(self) -> Self:
        """Return the error, which forgets where it was raised: that would keep all that was being read in memory."""
        self.__traceback__ = self.__context__ = None
        return self


class InputError(VoxgenderError):
    """What was handed in cannot be used; other input may be."""

    code = "input.invalid"


class Base64Error(InputError):
    """A text is not canonical Base64 (RFC 4648 section 4)."""

    code = "base64.invalid"


class VoiceprintError(InputError):
    """Bytes are not a voiceprint of the format that ``docs/voiceprint-format.md`` describes."""

    code = "voiceprint.invalid"


class VoiceprintModelError(VoiceprintError):
    """A voiceprint is well formed, but of a model other than the one that is to score it."""

    code = "voiceprint.model-mismatch"


class VoiceprintListError(InputError):
    """Some items of a list of voiceprints cannot be scored.

    Attributes:
        errors: Why, by position in the list, in ascending order; never empty.
        left_out: How many more there are after those of ``errors``.
    """

    code = "voiceprints.invalid"

    def __init__(self, errors: Mapping[int, InputError], left_out: int = 0) -> None:
        position, first = next(iter(errors.items()))
        super().__init__(f"{len(errors) + left_out} of the voiceprints cannot be scored; item {position}: {first}")
        self.errors = errors
        self.left_out = left_out


class AudioError(InputError):
    """A file cannot be read as audio."""

    code = "media.invalid"


class AudioLimitError(AudioError):
    """A file is audio, but beyond a limit: too long, too many channels, or an impossible sample rate."""

    code = "media.limit-exceeded"


class AudioFormatError(AudioError):
    """A file is in a format that this installation cannot read."""

    code = "media.unsupported"


class AudioChannelError(AudioError):
    """A file is audio, but does not have a channel that was asked for."""

    code = "media.channel-missing"


class ModelError(VoxgenderError):
    """A model folder is missing, incomplete, changed or of another kind."""

    code = "model.invalid"


class SettingsError(VoxgenderError):
    """A setting has a value that it cannot have."""

    code = "settings.invalid"


class DependencyError(VoxgenderError):
    """An optional dependency that the call needs is not installed."""

    code = "dependency.missing"


class RequestInvalidError(InputError):
    """A request cannot be parsed at all.

    Attributes:
        location: Where in the request, like ``("body",)``.
    """

    code = "request.unparsable"

    def __init__(self, message: str, *location: str | int) -> None:
        super().__init__(message)
        self.location = location


class BodyTooLargeError(InputError):
    """A request's body is larger than allowed.

    Attributes:
        max_body_bytes: The most that is allowed.
        body_bytes: What the request declared; None where it did not.
    """

    code = "body.too-large"

    def __init__(self, max_body_bytes: int, body_bytes: int | None, part: str = "the body") -> None:
        size = "more" if body_bytes is None else f"{body_bytes} bytes"
        super().__init__(f"{part} has {size}; at most {max_body_bytes} bytes are allowed")
        self.max_body_bytes = max_body_bytes
        self.body_bytes = body_bytes


class MediaTooLargeError(InputError):
    """A media file is larger than allowed.

    Attributes:
        max_file_bytes: The most that is allowed.
        file_bytes: What the file has; where it is not known, what of it had come when it was refused.
    """

    code = "media.too-large"

    def __init__(self, max_file_bytes: int, file_bytes: int) -> None:
        super().__init__(f"the media file has {file_bytes} bytes; at most {max_file_bytes} bytes are allowed")
        self.max_file_bytes = max_file_bytes
        self.file_bytes = file_bytes


class RequestValidationError(InputError):
    """A request was parsed, but one of its values is wrong.

    Attributes:
        location: Where in the request, like ``("body", "voiceprints")``.
        reason: Stable name of what is wrong, like ``list.too-long``.
        context: Numbers and texts that tell more.
    """

    code = "request.validation-error"

    def __init__(self, message: str, location: tuple[str | int, ...], reason: str, **context: str | float) -> None:
        super().__init__(message)
        self.location = location
        self.reason = reason
        self.context = context


class CrossSiteError(VoxgenderError):
    """A browser sent the request on behalf of a page that is not this service's.

    Attributes:
        location: The header that tells so, like ``("header", "origin")``.
    """

    code = "request.cross-site"

    def __init__(self, message: str, header: str) -> None:
        super().__init__(message)
        self.location = ("header", header)


class TaskNotFoundError(VoxgenderError):
    """No task of this id is known: it never was, or its result has expired."""

    code = "task.not-found"


class TaskLimitError(VoxgenderError):
    """A task took more time or memory than it may."""

    code = "task.limit-exceeded"


class TaskCrashError(VoxgenderError):
    """The process that did a task died."""

    code = "task.crashed"


class TaskEndError(VoxgenderError):
    """A task was rejected or has failed, for a reason that has a code of its own.

    Args:
        message: Why, in a sentence.
        code: The reason's, which becomes this error's.
    """

    code = "task.ended"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class StreamLimitError(VoxgenderError):
    """As many streams are open as may be."""

    code = "streams.limit-exceeded"


class ServiceStoppingError(VoxgenderError):
    """The service is being stopped."""

    code = "service.stopping"


class BackupError(VoxgenderError):
    """A backup cannot be made, or cannot be restored."""

    code = "backup.failed"


class CapacityError(VoxgenderError):
    """What may be used in this period is used up."""

    code = "capacity-exceeded"


class LicenceCapacityError(CapacityError):
    """The licence's capacity for this period is used up."""

    code = "licensing.capacity-exceeded"


class KeyCapacityError(CapacityError):
    """A key's capacity for this period is used up."""

    code = "key.capacity-exceeded"


class KeyRefusedError(VoxgenderError):
    """A key is demanded, and the caller has none that opens."""

    code = "key.refused"


class KeyMissingError(KeyRefusedError):
    """The caller sent no key."""

    code = "key.missing"


class KeyUnknownError(KeyRefusedError):
    """The key that the caller sent is none of this service: it never was, is misspelled, or was removed."""

    code = "key.unknown"


class KeyExpiredError(KeyRefusedError):
    """The key that the caller sent has ended."""

    code = "key.expired"


class LicenceExpiredError(VoxgenderError):
    """The licence is no longer, or not yet, valid."""

    code = "licensing.expired"


class StorageFullError(VoxgenderError):
    """The task store has reached its configured capacity."""

    code = "storage.capacity-exceeded"


class StoreUnavailableError(VoxgenderError):
    """The task store or the spool cannot be read or written now."""

    code = "storage.unavailable"


class RateLimitError(VoxgenderError):
    """A caller has used up its requests of the current window.

    Attributes:
        limit: Requests allowed in one window.
        remaining: Requests left in it; 0 where this is raised.
        reset_s: UTC epoch seconds at which the window resets.
        retry_after_s: Seconds to wait before the next request.
    """

    code = "request.rate-limit-exceeded"

    def __init__(self, message: str, *, limit: int, remaining: int, reset_s: int, retry_after_s: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.remaining = remaining
        self.reset_s = reset_s
        self.retry_after_s = retry_after_s

"""The exception tree."""

from __future__ import annotations

import pytest

from voxgender.core import errors
from voxgender.core.errors import (
    Base64Error,
    BodyTooLargeError,
    CrossSiteError,
    InputError,
    MediaTooLargeError,
    RateLimitError,
    RequestInvalidError,
    RequestValidationError,
    TaskEndError,
    VoiceprintError,
    VoiceprintListError,
    VoxgenderError,
)

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, VoxgenderError)]


def test_each_class_has_a_code_of_its_own() -> None:
    codes = [error.code for error in CLASSES]
    assert len(CLASSES) > 10
    assert len(set(codes)) == len(codes)


def test_a_list_error_tells_how_many_items_and_why_the_first() -> None:
    errors_by_position: dict[int, InputError] = {3: Base64Error("not Base64"), 7: VoiceprintError("broken")}
    error = VoiceprintListError(errors_by_position)
    assert str(error) == "2 of the voiceprints cannot be scored; item 3: not Base64"
    assert error.errors == errors_by_position


@pytest.mark.parametrize(("body_bytes", "size"), [(None, "more"), (11, "11 bytes")])
def test_a_too_large_body_is_told_with_the_limit(body_bytes: int | None, size: str) -> None:
    error = BodyTooLargeError(10, body_bytes)
    assert str(error) == f"the body has {size}; at most 10 bytes are allowed"
    assert (error.max_body_bytes, error.body_bytes) == (10, body_bytes)


def test_a_too_large_file_is_told_with_its_size_and_the_limit() -> None:
    error = MediaTooLargeError(10, 11)
    assert str(error) == "the media file has 11 bytes; at most 10 bytes are allowed"
    assert (error.max_file_bytes, error.file_bytes) == (10, 11)


def test_an_invalid_request_tells_where() -> None:
    error = RequestInvalidError("no UUID", "path", "task_id")
    assert (str(error), error.location) == ("no UUID", ("path", "task_id"))


def test_a_request_of_another_site_s_page_tells_which_header_says_so() -> None:
    error = CrossSiteError("of another site", "origin")
    assert (str(error), error.location) == ("of another site", ("header", "origin"))


def test_a_wrong_value_tells_where_why_and_with_what_numbers() -> None:
    error = RequestValidationError("too long", ("body", "voiceprints"), "list.too-long", items=3, max_items=2)
    assert (str(error), error.location, error.reason) == ("too long", ("body", "voiceprints"), "list.too-long")
    assert error.context == {"items": 3, "max_items": 2}


def test_the_end_of_a_task_has_the_code_of_its_reason() -> None:
    error = TaskEndError("The audio is empty.", "media.invalid")
    assert (error.code, error.sentence) == ("media.invalid", "The audio is empty.")
    assert TaskEndError.code == "task.ended"


def test_a_rate_limit_tells_when_to_come_again() -> None:
    error = RateLimitError("1 per 5 second", limit=1, remaining=0, reset_s=1_700_000_005, retry_after_s=5)
    assert str(error) == "1 per 5 second"
    assert (error.limit, error.remaining, error.reset_s, error.retry_after_s) == (1, 0, 1_700_000_005, 5)

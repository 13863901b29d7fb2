"""Errors to statuses: one table knows every code, and says the same of an error as REST's table does."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

import voxgender.app
from voxgender.core.errors import (
    InputError,
    ModelError,
    RateLimitError,
    StreamLimitError,
    TaskEndError,
    TaskLimitError,
    VoxgenderError,
)
from voxgender.rest.errors import TABLE as REST_TABLE
from voxgender.rpc.errors import TABLE, refuse

CALLER = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.UNAUTHENTICATED,
}
SERVICE = {StatusCode.INTERNAL, StatusCode.UNAVAILABLE}
ROOM = {StatusCode.RESOURCE_EXHAUSTED}


def tree(root: type[VoxgenderError] = VoxgenderError) -> Iterator[type[VoxgenderError]]:
    """The service's exceptions, not those of its client nor of tests."""
    if root.__module__.startswith("voxgender.") and not root.__module__.startswith("voxgender.client."):
        yield root
    for child in root.__subclasses__():
        yield from tree(child)


def task_error_codes() -> set[str]:
    """The codes that stand as texts where a task's error is made."""
    codes = set()
    for path in Path(next(iter(voxgender.app.__path__))).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "TaskError":
                given = [*node.args[2:3], *(one.value for one in node.keywords if one.arg == "code")]
                codes |= {one.value for one in given if isinstance(one, ast.Constant)}
    return codes


class Abort(Exception):  # noqa: N818 - it is what gRPC raises
    """The end of an RPC."""


class FakeContext:
    """Takes down how an RPC is ended."""

    def __init__(self) -> None:
        self.ended: tuple[StatusCode, str, dict[str, str]] | None = None

    async def abort(self, status: StatusCode, message: str, trailing: tuple[tuple[str, str], ...]) -> None:
        self.ended = (status, message, dict(trailing))
        raise Abort


def ended(error: VoxgenderError) -> tuple[StatusCode, str, dict[str, str]]:
    """How an error ends an RPC."""
    context: Any = FakeContext()
    with pytest.raises(Abort):
        asyncio.run(refuse(context, error))
    assert context.ended is not None
    return context.ended  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_a_row_in_the_table(kind: type[VoxgenderError]) -> None:
    assert kind.code in TABLE


def test_every_code_that_a_task_may_end_in_has_a_row_in_the_table() -> None:
    codes = task_error_codes()
    assert {"media.lost", "task.worker-lost"} <= codes
    assert codes <= set(TABLE)


def test_the_table_has_no_row_for_a_code_that_nothing_has() -> None:
    assert set(TABLE) == {kind.code for kind in tree()} | task_error_codes()


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_both_protocols_say_of_an_error_alike_whether_the_caller_or_the_service_is_to_blame(
    kind: type[VoxgenderError],
) -> None:
    http_status = next(REST_TABLE[one][0] for one in kind.__mro__ if one in REST_TABLE)
    if http_status < 500 or issubclass(kind, InputError):  # REST tells of the latter in a rejected task
        expected = CALLER
    elif http_status == 507 or kind in (TaskLimitError, StreamLimitError):  # rooms of their own
        expected = ROOM
    else:
        expected = SERVICE
    assert TABLE[kind.code] in expected


def test_what_is_wrong_inside_is_not_told_to_a_caller() -> None:
    assert ended(ModelError("the folder /srv/models/x is broken")) == (
        StatusCode.INTERNAL,
        "Internal error.",
        {"x-error-code": "model.invalid"},
    )


def test_why_a_task_has_failed_is_told() -> None:
    error = TaskEndError("The process that read the file died 3 times.", "task.crashed")
    assert ended(error) == (StatusCode.INTERNAL, str(error), {"x-error-code": "task.crashed"})


def test_a_code_that_the_table_does_not_know_is_an_internal_error() -> None:
    assert ended(TaskEndError("No.", "of.tomorrow"))[0] is StatusCode.INTERNAL


def test_a_refusal_for_too_many_requests_tells_when_to_come_back() -> None:
    error = RateLimitError("Rate limit exceeded: 1 per 5 second.", limit=1, remaining=0, reset_s=7, retry_after_s=3)
    assert ended(error) == (
        StatusCode.RESOURCE_EXHAUSTED,
        "Rate limit exceeded: 1 per 5 second.",
        {"x-error-code": error.code, "retry-after": "3"},
    )

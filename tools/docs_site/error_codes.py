"""The reference of the error codes, from the exception tree and the tables of both protocols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from docs_site.markdown import table
from voxgender.app.store import WORKER_LOST
from voxgender.app.worker import MEDIA_LOST
from voxgender.core import errors
from voxgender.core.errors import VoxgenderError
from voxgender.rest import errors as rest
from voxgender.rpc import errors as rpc

_AN_ITEM: Final = "422, in a detail"
_REJECTED: Final = "task `rejected`"
_FAILED: Final = "task `failed`"
_ELSEWHERE: Final[Mapping[type[VoxgenderError], str]] = {
    errors.Base64Error: _AN_ITEM,
    errors.VoiceprintError: _AN_ITEM,
    errors.AudioError: _REJECTED,
    errors.InputError: _REJECTED,
    errors.TaskLimitError: _FAILED,
    errors.TaskCrashError: _FAILED,
    errors.TaskEndError: _FAILED,
    errors.StreamLimitError: "-",
    errors.ServiceStoppingError: "-",
    errors.SettingsError: "-",
    errors.ModelError: "-",
    errors.DependencyError: "-",
}
"""Where REST tells an error that is no status of its own; the last ones it cannot meet."""


def markdown() -> str:
    """Return the table of all codes."""
    rows = {kind.code: _row(kind) for kind in _kinds(VoxgenderError)}
    for code, message in ((WORKER_LOST.code, WORKER_LOST.message), ("media.lost", MEDIA_LOST)):
        rows[code] = [f"`{code}`", message, _FAILED, f"`{rpc.TABLE[code].name}`"]
    return table(["code", "meaning", "REST", "gRPC"], [rows[code] for code in sorted(rows)])


def _row(kind: type[VoxgenderError]) -> list[str]:
    meaning = (kind.__doc__ or "").split("\n\n")[0]
    return [f"`{kind.code}`", meaning, _over_rest(kind), f"`{rpc.TABLE[kind.code].name}`"]


def _over_rest(kind: type[VoxgenderError]) -> str:
    for base in kind.__mro__:
        if base in _ELSEWHERE:
            return _ELSEWHERE[base]
        if base in rest.TABLE:
            return str(rest.TABLE[base][0])
    raise AssertionError(kind)


def _kinds(kind: type[VoxgenderError]) -> Iterator[type[VoxgenderError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)

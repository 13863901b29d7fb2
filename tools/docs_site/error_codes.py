"""The reference of the error codes, from the exception tree and the tables of both protocols."""

from __future__ import annotations

from collections.abc import Iterator

from docs_site.markdown import table
from voxgender.app.store import WORKER_LOST
from voxgender.app.worker import MEDIA_LOST
from voxgender.core.errors import VoxgenderError
from voxgender.rest import errors as rest
from voxgender.rpc import errors as rpc


def markdown() -> str:
    """Return the table of all codes."""
    rows = {kind.code: _row(kind) for kind in _kinds(VoxgenderError)}
    for code, message in ((WORKER_LOST.code, WORKER_LOST.message), ("media.lost", MEDIA_LOST)):
        rows[code] = [f"`{code}`", message, str(rest.TABLE[VoxgenderError][0]), f"`{rpc.TABLE[code].name}`"]
    return table(["code", "meaning", "REST", "gRPC"], [rows[code] for code in sorted(rows)])


def _row(kind: type[VoxgenderError]) -> list[str]:
    meaning = (kind.__doc__ or "").split("\n\n")[0]
    status = next(rest.TABLE[base][0] for base in kind.__mro__ if base in rest.TABLE)
    return [f"`{kind.code}`", meaning, str(status), f"`{rpc.TABLE[kind.code].name}`"]


def _kinds(kind: type[VoxgenderError]) -> Iterator[type[VoxgenderError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)

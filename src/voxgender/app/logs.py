"""Logs: one JSON object a line on standard error, in ASCII, with both request ids wherever there is a request.

Nothing of a voiceprint or of audio is ever logged: only ids, counts, states, durations and error codes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import Any, Final, TextIO

import msgspec
import structlog

_SHARED: Final[list[structlog.typing.Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
_DELETE: Final = "\x7f"


def _json(entry: dict[str, Any], **_: object) -> str:
    line = _ENCODER.encode(entry).decode()
    if line.isascii() and _DELETE not in line:
        return line
    # Beyond ASCII there are ends of lines, and what terminals take for commands.
    return json.dumps(msgspec.json.decode(line)).replace(_DELETE, "\\u007f")


class _Lines:
    """Writes lines; a reader that has gone or a disk that is full must not fail the request that a line tells of.

    It stands in for the standard library's loggers, which take several times as long.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def msg(self, line: str) -> None:
        """Write a line at once."""
        with contextlib.suppress(OSError, ValueError):
            self._file.write(f"{line}\n")
            self._file.flush()

    debug = info = warning = error = critical = exception = msg


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """What :class:`_Lines` is, for the log lines of libraries."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Let the line go."""


def configure_logs(level: str) -> None:
    """Send this package's log lines, and those of the libraries, to standard error as JSON.

    Args:
        level: Least level that is logged: debug, info, warning or error.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = structlog.processors.JSONRenderer(serializer=_json)
    lines = _Lines(sys.stderr)
    structlog.configure(
        processors=[*_SHARED, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=number, handlers=[handler], force=True)

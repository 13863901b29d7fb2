"""Runs a page as the test does, and writes what is printed into those blocks of output that show something else.

PYTHONPATH=tests python -m docs.write_outputs docs/reference/rest-errors.md
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from docs import outputs
from docs.pages import OUTPUT, Block, blocks_of
from docs.reader import Reader
from docs.things import prepare
from serving import ServerProcess

WIDTH = 120


def main(page: Path) -> None:
    """Rewrite a page."""
    text = page.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    moved = 0
    with tempfile.TemporaryDirectory() as name, ExitStack() as at_end:
        folder = Path(name, "reader")
        folder.mkdir()
        prepare(folder, text)
        reader = Reader(folder, lambda: _server(Path(name), at_end))
        at_end.callback(reader.close)
        for block in blocks_of(text, str(page)):
            try:
                reader.read(block, compare=True)
            except (outputs.MismatchError, ValueError):
                if OUTPUT not in block.marks:
                    raise
                shown = _shown(reader, block)
                old = block.text.count("\n")
                lines[block.line + moved : block.line + moved + old] = shown.splitlines(keepends=True)
                moved += shown.count("\n") - old
    page.write_text("".join(lines), encoding="utf-8")


def _server(folder: Path, at_end: ExitStack) -> ServerProcess:
    server = ServerProcess(folder, grpc="on", extractors=1, **{"grpc-port": 0})
    at_end.callback(server.stop)
    return server


def _shown(reader: Reader, block: Block) -> str:
    """Return what was printed as the page is to show it: the ids that it shows stay, and new ones are made up."""
    assert reader.printed is not None
    shown = as_shown(reader.printed, block.language)
    usual = {real: one for one, real in reader.learned.items()}
    for number, real in enumerate(dict.fromkeys(re.findall(outputs.UUID, shown))):
        made_up = uuid.uuid5(uuid.NAMESPACE_URL, f"{block.where}/{number}")
        shown = shown.replace(real, usual.get(real, str(made_up)))
    with suppress(outputs.MismatchError):
        reader.read(Block(block.page, block.line, block.language, block.marks, shown), compare=True)
    return shown


def as_shown(printed: str, language: str) -> str:
    """Return an output as a page shows it: JSON on lines that are not too long, all else as it is."""
    if language == "json":
        return f"{narrow(outputs.printed_json(printed), 0, 0)}\n"
    return "\n".join(line.rstrip() for line in printed.strip("\n").splitlines()) + "\n"


def narrow(value: Any, indent: int, before: int) -> str:
    """Return JSON on one line where it fits, else with an item a line.

    Args:
        value: The JSON value.
        indent: Of the line that it begins on.
        before: Characters of that line that stand before it already.
    """
    short = json.dumps(value, ensure_ascii=False)
    if indent + before + len(short) < WIDTH or not isinstance(value, dict | list) or not value:
        return short
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        keys = {f"{json.dumps(key)}: ": item for key, item in value.items()}
        parts = [f"{inner}{key}{narrow(item, indent + 2, len(key))}" for key, item in keys.items()]
    else:
        parts = [inner + narrow(item, indent + 2, 0) for item in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return begin + "\n" + ",\n".join(parts) + "\n" + " " * indent + end


if __name__ == "__main__":
    main(Path(sys.argv[1]))

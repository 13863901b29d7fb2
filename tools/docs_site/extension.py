"""The Sphinx extension of the site: puts generated parts into pages, and the OpenAPI document beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sphinx.application import Sphinx

from docs_site import commands, error_codes, grpc_services, openapi, rest_operations, settings_sections

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings_sections.markdown,
    "commands": commands.markdown,
    "rest-operations": rest_operations.markdown,
    "grpc-services": grpc_services.markdown,
    "error-codes": error_codes.markdown,
}
"""What makes the part of a page where ``<!-- generated: NAME -->`` stands."""

_NOT_RUN: Final = re.compile(r'^(```(?:sh|python) not-run="([^"]+)"\n.*?^```)$', re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")
_MARK: Final = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx what there is."""
    app.connect("source-read", _fill_in)
    app.connect("build-finished", _write_openapi)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    folder = Path(app.srcdir, page).parent
    text = _LINK.sub(lambda link: _named(link, folder, Path(app.srcdir)), source[0])
    text = _MARK.sub(lambda mark: PARTS[mark[1]](), text)
    # What the tests run is true; where they do not, the reader is told.
    source[0] = _NOT_RUN.sub(r"\1\n\n*Checked, but not run by the tests: \2.*", text)


def _named(link: re.Match[str], folder: Path, pages: Path) -> str:
    """Return a link to a file of the repository that is no page as its path; code hosts show it as a link."""
    target = (folder / link[2]).resolve()
    if target.is_relative_to(pages) or not target.exists():
        return link[0]
    path = target.relative_to(pages.parent)
    return f"`{path}`" if link[1] in (str(path), path.name) else f"{link[1]} (`{path}`)"


def _write_openapi(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        Path(app.outdir, "openapi.json").write_text(openapi.document_text(), encoding="utf-8")

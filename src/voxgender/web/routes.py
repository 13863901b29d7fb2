"""The routes of the web page: its files, as they lie in the package.

The page is a client of the REST API like any other: nothing here knows the service.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

HEADERS: Final = {
    # Blobs: recordings that the visitor chose are played from memory, and the library that writes XLSX packs large
    # files in a worker that it makes from its own text.
    "content-security-policy": "default-src 'self'; media-src 'self' blob:; img-src 'self' blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    # The names of the files stay when the version changes, so a browser asks each time; a match is 304.
    "cache-control": "no-cache",
}
"""Sent with each file."""
INDEX: Final = "index.html"

_TYPES: Final = {".vp": "application/octet-stream", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    media_type: str
    etag: str


def page_routes() -> list[BaseRoute]:
    """Return the routes of the page at ``/`` and of its files below ``/page/``."""
    assets = _read_assets(resources.files("voxgender.web") / "assets")
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"], name="page")
    async def page(request: Request) -> Response:
        return _answer(request, assets[INDEX])

    @router.api_route("/page/{path:path}", methods=["GET", "HEAD"], name="page_file")
    async def file(request: Request) -> Response:
        asset = assets.get(request.path_params["path"])
        if asset is None:
            raise HTTPException(404)
        return _answer(request, asset)

    return router.routes


def _answer(request: Request, asset: _Asset) -> Response:
    headers = {**HEADERS, "etag": asset.etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if asset.etag in known:
        return Response(None, 304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


def _read_assets(folder: Traversable, prefix: str = "") -> dict[str, _Asset]:
    """Return all files below a folder by their paths; they are small and stay in memory."""
    assets: dict[str, _Asset] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            assets |= _read_assets(entry, f"{prefix}{entry.name}/")
        else:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            assets[f"{prefix}{entry.name}"] = _Asset(content, _media_type(entry.name), etag)
    return assets


def _media_type(name: str) -> str:
    suffix = name[name.rfind(".") :]
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain"

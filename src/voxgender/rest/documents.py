"""The API's documents as pages: their scripts come with the installation, and no other may run on them."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse

DOCS: Final = "/docs"
REDOC: Final = "/redoc"
_OPENAPI: Final = "/openapi.json"
_FILES: Final = "/static-offline-docs"
"""Where fastapi-offline hands out its files."""
_INLINE: Final = re.compile(r"<script>(?P<text>.*?)</script>", re.DOTALL)
_OF_PAGES: Final = {
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(), camera=(), geolocation=()",
}


def add_documents(app: FastAPI) -> None:
    """Have an application of fastapi-offline answer at :data:`DOCS` and :data:`REDOC`."""
    icon = f"{_FILES}/favicon.png"
    swagger = _guarded(
        get_swagger_ui_html(
            openapi_url=_OPENAPI,
            title=app.title,
            swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{_FILES}/swagger-ui.css",
            swagger_favicon_url=icon,
        )
    )
    redoc = _guarded(
        get_redoc_html(
            openapi_url=_OPENAPI,
            title=app.title,
            redoc_js_url=f"{_FILES}/redoc.standalone.js",
            redoc_favicon_url=icon,
            with_google_fonts=False,
        )
    )

    @app.get(DOCS, include_in_schema=False)
    async def docs() -> HTMLResponse:
        return swagger

    @app.get(REDOC, include_in_schema=False)
    async def reference() -> HTMLResponse:
        return redoc


def _guarded(page: HTMLResponse) -> HTMLResponse:
    """Return a page with a policy that lets it run its own scripts and ask this service alone.

    Both libraries write styles into the page, which has to be allowed, and Redoc searches in a worker that it makes
    from its own text. The few lines of script in the page are allowed by their hash.
    """
    scripts = [match["text"] for match in _INLINE.finditer(bytes(page.body).decode())]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(["'self'", *(f"'sha256-{one}'" for one in hashes)])
    page.headers.update(_OF_PAGES)
    page.headers["content-security-policy"] = (
        f"default-src 'none'; script-src {allowed}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return page

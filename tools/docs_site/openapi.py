"""The OpenAPI document, as a server with the default settings answers it."""

from __future__ import annotations

import asyncio
import tempfile
from functools import cache

import httpx

from voxgender.app.logs import configure_logs
from voxgender.app.service import Service
from voxgender.app.settings import Settings
from voxgender.rest.app import create_app


@cache
def document_text() -> str:
    """Return the document as JSON."""
    configure_logs("error")
    return asyncio.run(_asked())


async def _asked() -> str:
    with tempfile.TemporaryDirectory() as folder:
        # The defaults alone count, whatever the environment says.
        settings = Settings.model_construct(store_url=f"sqlite:///{folder}/tasks.db")
        transport = httpx.ASGITransport(create_app(Service.of_settings(settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get("/openapi.json")
    return answer.raise_for_status().text

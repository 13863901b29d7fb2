"""The short way to the routes that must be fast; FastAPI documents them, and answers all others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send


class DirectPaths:
    """ASGI application that calls the endpoints of some routes itself.

    FastAPI's way to an endpoint, by its middleware and its parameters, takes longer than the work for one voiceprint.
    Such an endpoint takes the request alone and returns the answer; errors go to the handlers that the application has.

    Args:
        app: The application, which has the routes too.
        routes: Those to be called.
    """

    def __init__(self, app: FastAPI, routes: Sequence[APIRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # The routes' patterns end in "$", which passes over a line feed; a proxy's rule for a path does not.
        if scope["path"].endswith("\n"):
            answer = await self._answer(_nothing, Request(scope, receive, send))
            await answer(scope, receive, send)
            return
        for route in self._routes:
            match, matched = route.matches(scope)
            if match is Match.FULL:
                scope.update(matched, app=self._app, route=route)
                answer = await self._answer(route.endpoint, Request(scope, receive, send))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, endpoint: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        try:
            answer = await endpoint(request)
        except Exception as error:
            handlers = self._app.exception_handlers
            handler = next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)
            if handler is None:
                raise
            answer = await handler(request, error)  # type: ignore[misc]  # ours are all asynchronous
        return answer


async def _nothing(_: Request) -> Response:
    raise HTTPException(404)

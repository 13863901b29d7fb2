"""A request's query: read by a pydantic model, which also documents it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

_Query = TypeVar("_Query", bound=BaseModel)


def read_query(request: Request, model: type[_Query]) -> _Query:
    """Return what a request's query says; names that the model does not have are ignored.

    Raises:
        RequestValidationError: FastAPI's own, where a value cannot be.
    """
    return checked(model, dict(request.query_params), "query")


def checked(model: type[_Query], told: Mapping[str, object], *location: str) -> _Query:
    """Return values as a model has them.

    Args:
        model: Which values there may be.
        told: The values by their names.
        location: Where in the request they stand.

    Raises:
        RequestValidationError: FastAPI's own, where a value cannot be.
    """
    try:
        return model.model_validate(told)
    except ValidationError as error:
        wrong = [{**one, "loc": (*location, *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from None


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return a query's parameters as an OpenAPI document lists them."""
    parameters: list[dict[str, Any]] = []
    for name, schema in model.model_json_schema()["properties"].items():
        text = schema.pop("description", "")
        parameters.append({"name": name, "in": "query", "required": False, "schema": schema, "description": text})
    return parameters

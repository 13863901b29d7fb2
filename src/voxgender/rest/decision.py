"""The decision that a request asks for: what it does not say is as the settings have it."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, Field
from starlette.requests import Request

from voxgender.app.service import Service
from voxgender.app.settings import MalePrior, MinProbability
from voxgender.core.decision import Decision
from voxgender.rest.query import read_query

_MALE_PRIOR = "Probability of a male voice before anything is heard; where it is absent, the service's setting."
_MIN_PROBABILITY = "A gender under this probability is told as unknown; where it is absent, the service's setting."


class DecisionQuery(BaseModel):
    """Prior and smallest probability, which stand in the query, as the options of other technologies do."""

    # "| None" would put null into the OpenAPI document, and a query cannot hold one.
    male_prior: MalePrior = Field(None, description=_MALE_PRIOR)  # type: ignore[assignment]
    min_probability: MinProbability = Field(None, description=_MIN_PROBABILITY)  # type: ignore[assignment]


def asked_decision(request: Request, service: Service) -> Decision:
    """Return the decision for a request.

    Raises:
        RequestValidationError: FastAPI's own, where a value cannot be.
    """
    if not request.scope["query_string"]:
        return service.decision
    asked = read_query(request, DecisionQuery).model_dump(exclude_unset=True)
    return replace(service.decision, **asked)

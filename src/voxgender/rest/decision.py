"""The decision that a request asks for: what it does not say is as the settings have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query

from voxgender.app.service import Service
from voxgender.app.settings import MalePrior, MinProbability
from voxgender.core.decision import Decision
from voxgender.rest.admission import service_of

_MALE_PRIOR = "Probability of a male voice before anything is heard; where it is absent, the service's setting."
_MIN_PROBABILITY = "A gender under this probability is told as unknown; where it is absent, the service's setting."


# "| None" would put null into the OpenAPI document, and a query cannot hold one; None is what FastAPI hands over for an
# absent parameter all the same.
async def asked_decision(
    service: Annotated[Service, Depends(service_of)],
    male_prior: Annotated[MalePrior, Query(description=_MALE_PRIOR)] = None,  # type: ignore[assignment]
    min_probability: Annotated[MinProbability, Query(description=_MIN_PROBABILITY)] = None,  # type: ignore[assignment]
) -> Decision:
    """Return prior and smallest probability, which stand in the query, as the options of other technologies do."""
    asked = {"male_prior": male_prior, "min_probability": min_probability}
    return replace(service.decision, **{name: value for name, value in asked.items() if value is not None})

"""The usual way: FastAPI with pydantic models, as its documentation recommends, and results in memory.

``python -m benchmarks.serving.usual_server PORT``. It is meant to be a fair opponent: ``async def`` endpoints (a plain
``def`` is slower), uvloop and httptools, all voiceprints scored at once by the same code as voxgender's, the answer's
numbers made in columns, and JSON written by pydantic's serialiser. In its favour it stores nothing durably, forgets
nothing, limits nothing and logs nothing.
"""

from __future__ import annotations

import sys
import uuid
from typing import Annotated, Any, Final, Literal

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from pydantic import Base64Bytes, BaseModel, Field

from voxgender.core.result import Results
from voxgender.core.scoring import score_bytes
from voxgender.files.heads import load_scorer

PATH: Final = "/api/technology/gender-identification-voiceprints"
MODEL: Final = "ge2e-2"


class VoiceprintsRequest(BaseModel):
    """Voiceprints to tell the gender of."""

    voiceprints: Annotated[list[Base64Bytes], Field(min_length=1, max_length=50_000)]


class TaskInfo(BaseModel):
    """A task and where it stands."""

    task_id: uuid.UUID
    state: Literal["pending", "running", "rejected", "failed", "done"]


class TaskStarted(BaseModel):
    """The answer to a new task."""

    task: TaskInfo


class Score(BaseModel):
    """How much the voice speaks for one gender."""

    gender: Literal["male", "female"]
    probability: float
    score_llr: float


class VoiceprintResult(BaseModel):
    """The result of one voiceprint."""

    speech_length: float
    scores: list[Score]
    gender: Literal["male", "female", "unknown"]


class VoiceprintResults(BaseModel):
    """One result for each voiceprint."""

    voiceprints: list[VoiceprintResult]


class TaskAnswer(BaseModel):
    """A task with its result."""

    task: TaskInfo
    result: VoiceprintResults | None = None
    error: None = None


app = FastAPI(title="usual")
scorer = load_scorer(MODEL)
tasks: dict[uuid.UUID, Results] = {}


@app.post(PATH, status_code=202)
async def start(request: VoiceprintsRequest, response: Response) -> TaskStarted:
    """Score voiceprints and keep the result."""
    task_id = uuid.uuid4()
    tasks[task_id] = score_bytes(scorer, request.voiceprints)
    response.headers["location"] = response.headers["x-location"] = f"{PATH}/{task_id}"
    return TaskStarted(task=TaskInfo(task_id=task_id, state="done"))


@app.get(PATH + "/{task_id}")
async def poll(task_id: uuid.UUID) -> TaskAnswer:
    """Return the results."""
    if task_id not in tasks:
        raise HTTPException(404)
    results = VoiceprintResults.model_validate({"voiceprints": _as_dicts(tasks[task_id])})
    return TaskAnswer(task=TaskInfo(task_id=task_id, state="done"), result=results)


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Tell that it answers."""
    return {"status": "ok"}


def _as_dicts(results: Results) -> list[dict[str, Any]]:
    male = results.decision.male_probability(results.llr)
    columns = (
        results.speech_s.astype(np.float64).round(2),
        results.llr.astype(np.float64).round(4),
        male.round(6),
        1 - male.round(6),
        np.where(male > 0.5, "male", np.where(male < 0.5, "female", "unknown")),
    )
    return [
        {
            "speech_length": speech_s,
            "scores": [
                {"gender": "male", "probability": p_male, "score_llr": llr},
                {"gender": "female", "probability": p_female, "score_llr": -llr},
            ],
            "gender": gender,
        }
        if llr == llr
        else {"speech_length": speech_s, "scores": [], "gender": gender}
        for speech_s, llr, p_male, p_female, gender in zip(*(column.tolist() for column in columns), strict=True)
    ]


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")

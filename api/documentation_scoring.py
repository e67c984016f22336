"""OpenAPI of the scoring routes that FastAPI does not see."""

from collections.abc import Callable
from typing import Any

from api.scoring_bodies import PATH, RUN_KINDS
from schemas.scoring_runs import RunReason, ScoringSubmit

Json = dict[str, Any]
SCORING_KINDS = (ScoringSubmit, *RUN_KINDS)

_EXAMPLE: Json = {
    "run_id": "nightly-2026-11-20",
    "model": "digits",
    "input": "s3://lake/features/dt=2026-11-20",
    "output": "s3://lake/scores/dt=2026-11-20",
    "passthrough": ["id"],
}


def scoring_paths(
    body: Callable[[str, Json], Json], answer: Callable[[str, str], Json], problems: Callable[..., Json]
) -> Json:
    """Of the two routes. `body`, `answer` and `problems` write a request's body, an answer and the problems of statuses."""
    submit = {
        "summary": "Submit a scoring run: a Parquet data set in, a Parquet data set out",
        "description": "The same `run_id` with the same body is the same run. One that failed or was canceled is queued again, "
        "and goes on from its last committed part.",
        "tags": ["scoring runs"],
        "requestBody": body("ScoringSubmit", {"nightly": {"value": _EXAMPLE}}),
        "responses": {
            "200": answer("It succeeded before", "RunBody"),
            "202": answer("Committed; poll the `Location`", "RunAcceptedBody"),
            **problems(400, 401, 404, 413, 415, 422, 429, 503),
            "403": {
                **problems(403)["403"],
                "description": "Outside of what FOREBAY_SCORING_ROOTS allows, or it allows nothing",
            },
        },
    }
    seconds = {"type": "number", "minimum": 0, "maximum": 60}
    reasons = ", ".join(RunReason)
    look = {
        "summary": "The scoring run as it is, or as soon as it ends",
        "description": f"`error.reason` of a run that failed is one of {reasons}.",
        "tags": ["scoring runs"],
        "parameters": [
            {"name": "run_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 128}},
            {"name": "wait", "in": "query", "description": "Seconds to wait for the end", "schema": seconds},
        ],
        "responses": {
            "200": answer("Ended", "RunBody"),
            "202": answer("Queued or running; ask again after `Retry-After`", "RunBody"),
            **problems(400, 401, 404, 429, 503),
        },
    }
    return {PATH: {"post": submit}, f"{PATH}/{{run_id}}": {"get": look}}

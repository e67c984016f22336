"""OpenAPI: FastAPI's own schema for its routes, written by hand for the hot ones, with examples from the models."""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import bodies
from api.documentation_scoring import SCORING_KINDS, scoring_paths
from api.documentation_uploads import UPLOAD_KINDS, upload_paths
from api.problems import ProblemBody
from schemas.model_spec import ModelSpec
from schemas.submissions import Entry, Submit

Json = dict[str, Any]

_DESCRIPTION = """Submit an input, get a job id at once, poll for the answer.

Errors are `application/problem+json` (RFC 9457). A 202 is given only after the job is committed."""
_REF = "#/components/schemas/{name}"
_STATUSES = {
    400: "Malformed: not JSON, not UTF-8, or a bad header or query parameter",
    401: "No valid API key",
    403: "The address of the upload has expired, or is not as it was given",
    404: "Unknown model, version or job",
    408: "The request did not come in time",
    409: "Another request is putting to this address",
    410: "The job was purged at the end of its retention, or its large result is gone",
    412: "The upload is there already, and stays as it is",
    413: "The body is too large",
    415: "Not plain JSON",
    422: "JSON that does not fit: an unknown field, an input of another shape, a key of another request",
    429: "Too much is waiting",
    503: "The store, or where large payloads are kept, cannot be reached: nothing was confirmed",
}


class Documentation:
    """What `/openapi.json` answers; made once."""

    def __init__(self, app: FastAPI, specs: Sequence[ModelSpec], keys: bool, scoring: bool) -> None:
        self._app = app
        self._specs = specs
        self._keys = keys
        self._scoring = scoring
        self._made: Json | None = None

    def __call__(self) -> Json:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> Json:
        app = self._app
        document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
        examples = examples_of(self._specs)
        document["paths"] = {**_hot_paths(examples), **upload_paths(_body, _answer, _problems), **document["paths"]}
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(_schemas())
        if self._scoring:
            for path, routes in scoring_paths(_body, _answer, _problems).items():
                document["paths"].setdefault(path, {}).update(routes)
        if self._keys:
            schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
            document["components"]["securitySchemes"] = schemes
            document["security"] = [{"bearer": []}]
        return document


def examples_of(specs: Sequence[ModelSpec]) -> dict[str, Json]:
    """By model: a body that its input validation accepts."""
    bodies_ = {spec.name: {"model": spec.name, "inputs": spec.example or _zeros(spec)} for spec in specs}
    return bodies_ or {"digits": {"model": "digits", "inputs": {"pixels": [0.0]}}}


def _zeros(spec: ModelSpec) -> Json:
    return {tensor.name: _zero(tensor.dtype, [max(1, size) for size in tensor.shape]) for tensor in spec.inputs}


def _zero(dtype: str, shape: list[int]) -> Any:
    if shape:
        return [_zero(dtype, shape[1:])] * min(shape[0], 1024)
    if dtype == "string":
        return "text"
    if dtype == "bool":
        return False
    return 0.0 if dtype.startswith("float") else 0


def _hot_paths(examples: dict[str, Json]) -> Json:
    first = next(iter(examples.values()))
    named = {model: {"value": body} for model, body in examples.items()}
    batch = {"jobs": [{**first, "idempotency_key": "order-1"}, first]}
    return {
        "/predict_async": {"post": _submit(named)},
        "/predict_async/batch": {"post": _batch({"two": {"value": batch}})},
        "/result/{job_id}": {"get": _result()},
    }


def _submit(examples: Json) -> Json:
    return {
        "summary": "Submit a job",
        "tags": ["jobs"],
        "parameters": [
            _header("Idempotency-Key", "1 to 255 visible ASCII characters: the same key and body is the same job"),
            _header("Prefer", "`wait=N`: up to N seconds (at most 60) for the result"),
            _header("traceparent", "W3C Trace Context"),
        ],
        "requestBody": _body("Submit", examples),
        "responses": {
            "200": _answer("Ended within the wait", "ResultBody"),
            "202": _answer("Committed; poll the `Location`", "AcceptedBody"),
            **_problems(400, 401, 404, 413, 415, 422, 429, 503),
        },
    }


def _batch(examples: Json) -> Json:
    return {
        "summary": "Submit up to 1000 jobs, each accepted or refused on its own",
        "tags": ["jobs"],
        "parameters": [_header("traceparent", "W3C Trace Context")],
        "requestBody": _body("Batch", examples),
        "responses": {
            "202": _answer("One entry per job, in order: an id or a problem", "BatchBody"),
            **_problems(400, 401, 413, 415, 422, 429, 503),
        },
    }


def _result() -> Json:
    seconds = {"type": "number", "minimum": 0, "maximum": 60}
    return {
        "summary": "The job as it is, or as soon as it ends",
        "tags": ["jobs"],
        "parameters": [
            {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 128}},
            {"name": "wait", "in": "query", "description": "Seconds to wait for the end", "schema": seconds},
        ],
        "responses": {
            "200": _answer("Ended", "ResultBody"),
            "202": _answer("Queued or running; ask again after `Retry-After`", "ResultBody"),
            **_problems(400, 401, 404, 410, 429, 503),
        },
    }


def _header(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _body(schema: str, examples: Json) -> Json:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=schema)}, "examples": examples}}
    return {"required": True, "content": content}


def _answer(description: str, schema: str) -> Json:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=schema)}}}
    return {"description": description, "content": content}


def _problems(*statuses: int) -> Json:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(name="ProblemBody")}}}
    return {str(status): {"description": _STATUSES[status], "content": content} for status in statuses}


def _schemas() -> Json:
    kinds = [Submit, bodies.ResultBody, bodies.AcceptedBody, ProblemBody, Entry, *UPLOAD_KINDS, *SCORING_KINDS]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    named: Json = dict(schemas)
    items = {"$ref": _REF.format(name="Entry")}
    jobs = {"type": "array", "items": items, "minItems": 1, "maxItems": 1000}
    named["Batch"] = _object("Batch", jobs)
    either = [{"$ref": _REF.format(name=name)} for name in ("AcceptedBody", "ProblemBody")]
    named["BatchBody"] = _object("BatchBody", {"type": "array", "items": {"anyOf": either}})
    for name in ("Submit", "Entry"):  # msgspec shows a raw field as anything, with a default that is no JSON
        named[name]["properties"]["inputs"] = {"description": "One item: an object by input name, or the OIP's list"}
        named[name]["oneOf"] = [{"required": ["inputs"]}, {"required": ["inputs_ref"]}]
        named[name]["properties"]["metadata"] = {"type": ["object", "null"], "description": "Returned as sent"}
        named[name]["properties"]["webhook"] = {"type": "null", "description": "Not available yet"}
    return named


def _object(title: str, jobs: Json) -> Json:
    return {"title": title, "type": "object", "properties": {"jobs": jobs}, "required": ["jobs"]}

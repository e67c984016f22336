"""OpenAPI of the uploads, which FastAPI does not see: they are plain ASGI, for a body that is streamed."""

from collections.abc import Callable
from typing import Any

from api.uploads import UploadBody, Uploaded, Wanted

Json = dict[str, Any]
UPLOAD_KINDS = (Wanted, UploadBody, Uploaded)

_EXAMPLE = {"size": {"value": {"size": 10_485_760}}, "any": {"value": {}}}
_QUERY = ("tenant", "expires", "size", "signature")


def upload_paths(
    body: Callable[[str, Json], Json], answer: Callable[[str, str], Json], problems: Callable[..., Json]
) -> Json:
    """Of the two routes. `body`, `answer` and `problems` write a request's body, an answer and the problems of statuses."""
    begin = {
        "summary": "Ask where to put an input that should not pass through a submission",
        "tags": ["uploads"],
        "requestBody": body("Wanted", _EXAMPLE) | {"required": False},
        "responses": {
            "201": answer("Put it there, then submit `inputs_ref`", "UploadBody"),
            **problems(400, 401, 404, 413, 415, 422, 429, 503),
        },
    }
    put = {
        "summary": "Put an input, where POST /uploads gave an address here",
        "tags": ["uploads"],
        "security": [],
        "parameters": [
            {"name": "upload_id", "in": "path", "required": True, "schema": {"type": "string"}},
            *({"name": name, "in": "query", "required": True, "schema": {"type": "string"}} for name in _QUERY),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": {"200": answer("Kept", "Uploaded"), **problems(403, 404, 408, 409, 412, 413, 422, 429, 503)},
    }
    return {"/uploads": {"post": begin}, "/uploads/{upload_id}": {"put": put}}

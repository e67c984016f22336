"""What FastAPI's own routes raise, as problem+json."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.problems import CONTENT_TYPE, FieldError, Problem, ProblemBody, encode, internal

_KINDS = {404: "not-found", 405: "method-not-allowed"}


def install(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def _answer(body: ProblemBody, headers: Sequence[tuple[bytes, bytes]] = ()) -> Response:
    named = {name.decode(): value.decode() for name, value in headers}
    return Response(encode(body), body.status, headers=named, media_type=CONTENT_TYPE[1].decode())


async def _problem(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Problem)
    return _answer(fault.body(), fault.headers)


async def _http(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    kind = _KINDS.get(fault.status_code, "invalid-request")
    headers = [(name.lower().encode(), value.encode()) for name, value in (fault.headers or {}).items()]
    return _answer(Problem(fault.status_code, kind, str(fault.detail)).body(), headers)


async def _invalid(_request: Request, fault: Exception) -> Response:
    """400 that names each query or path parameter at fault."""
    assert isinstance(fault, RequestValidationError)
    errors = [FieldError(_name(error["loc"]), str(error["msg"])[:200]) for error in fault.errors()]
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors)[:500]
    whole = Problem(400, "invalid-request", detail).body()
    return _answer(ProblemBody(whole.type, whole.title, whole.status, whole.detail, errors))


async def _unexpected(_request: Request, _fault: Exception) -> Response:
    return _answer(internal().body())


def _name(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc[1:])[:100].encode("utf-8", "replace").decode()

"""The frame of a hot route: a plain ASGI endpoint that turns Problems into answers and counts them."""

import logging
from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from api.http import Disconnected, respond_problem
from api.problems import Problem, internal

Handle = Callable[[Scope, Receive, Send], Awaitable[int]]
"""Answers the request and returns the status, or raises Problem before it answered anything."""
OnAnswer = Callable[[str, int], None]
"""Told the route and the status of every answer."""

log = logging.getLogger(__name__)


class Hot:
    """Mounted as a Starlette route; `Front` calls it past the router."""

    def __init__(self, name: str, handle: Handle, on_answer: OnAnswer) -> None:
        self._name = name
        self._handle = handle
        self._on_answer = on_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status = await self._handle(scope, receive, send)
        except Problem as problem:
            status = problem.status
            await respond_problem(send, problem)
        except Disconnected:
            return
        except Exception:
            log.exception("%s: unexpected error", self._name)
            status = 500
            await respond_problem(send, internal())
        self._on_answer(self._name, status)

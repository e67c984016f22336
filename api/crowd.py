"""More connections than are served: 503, except for the probes."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import CLOSE, respond_problem
from api.keys import OPEN_PATHS
from api.problems import Problem


class Crowded:
    """In the application's place on a connection too many. Probes go through: a crowd is no reason to be restarted."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
        else:
            await respond_problem(send, crowded(self._most))


def crowded(most: int) -> Problem:
    headers = ((b"retry-after", b"1"), CLOSE)
    return Problem(503, "overloaded", f"{most} connections are open already: try again later", headers=headers)

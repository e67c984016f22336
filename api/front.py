"""The outermost ASGI layer: who is asking, and the hot routes past the router."""

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import respond_problem
from api.keys import Keys
from api.polling import PREFIX
from api.problems import Problem


class Front:
    """Routing is FastAPI's: the hot routes are mounted there as well. Their common shape is only recognised sooner here."""

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        posts: Mapping[str, ASGIApp],
        result: ASGIApp,
        on_answer: Callable[[str, int], None],
        drain: Callable[[], None],
    ) -> None:
        self._app = app
        self._keys = keys
        self._posts = posts
        self._result = result
        self._on_answer = on_answer
        self.drain = drain
        """Answer every long poll now: for a shutdown that waits for open requests. From any thread."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._keys.identify(scope)
        except Problem as problem:
            await respond_problem(send, problem)
            self._on_answer("", problem.status)
            return
        hot = self._hot(scope["method"], scope["path"])
        if hot is not None:
            await hot(scope, receive, send)
        else:
            await self._routed(scope, receive, send)

    def _hot(self, method: str, path: str) -> ASGIApp | None:
        if method == "POST":
            return self._posts.get(path)
        if method == "GET" and path.startswith(PREFIX) and "/" not in path[len(PREFIX) :]:
            return self._result
        return None

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 500

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watching)
        finally:
            # The route's own pattern: a path as sent would make a time series each.
            self._on_answer(getattr(scope.get("route"), "path", ""), status)

"""The servers under test, each one process: Forebay's API as `forebay api` serves it, and a bare FastAPI route.

    python -m loadtest.bench.serve bare
    python -m loadtest.bench.serve forebay <store url> <home> <milliseconds added to every commit>

Prints its URL when it serves.
"""

import gc
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Engine, event

from forebay.serving_api import serve_api
from forebay.settings import load


class Submit(BaseModel):
    model: str
    inputs: dict[str, Any]
    version: str | None = None
    priority: int = 5
    expires_in: float | None = None
    webhook: str | None = None
    metadata: dict[str, Any] | None = None


class Accepted(BaseModel):
    job_id: str
    status: str
    model: str


def bare() -> FastAPI:
    """Accepts, stores nothing, answers 202."""
    app = FastAPI()

    @app.post("/predict_async", status_code=202)
    async def predict_async(submit: Submit) -> Accepted:
        return Accepted(job_id=str(uuid.uuid4()), status="queued", model=submit.model)

    return app


def serve_bare() -> None:
    """With the settings that Forebay's own server has (forebay/serving.py)."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        bare(), loop="uvloop", http="httptools", access_log=False, log_config=None, timeout_keep_alive=75,
        server_header=False,
    )  # fmt: skip
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    say(f"http://127.0.0.1:{listening.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listening])


def serve_forebay(store: str, home: Path, delay_ms: float) -> None:
    if delay_ms > 0:

        @event.listens_for(Engine, "commit")
        def _slow_disk(_connection: object) -> None:
            time.sleep(delay_ms / 1000)

    serve_api(load(host="127.0.0.1", port=0, store=store, home=home), say)


def say(url: str) -> None:
    print(url, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        serve_bare()
    else:
        serve_forebay(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))

"""The peer's HTTP front end: submit, and ask for the result, at once or waiting."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from celery.exceptions import TimeoutError
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field
from tasks import app as celery
from tasks import predict

api = FastAPI()
waiting = ThreadPoolExecutor(64)


class Digit(BaseModel):
    pixels: Annotated[list[float], Field(min_length=64, max_length=64)]


@api.post("/predict", status_code=202)
async def submit(digit: Digit) -> dict[str, str]:
    return {"id": predict.delay(digit.pixels).id}


@api.get("/result/{id}")
async def result(id: str, response: Response, wait: float = 0) -> Any:
    asked = celery.AsyncResult(id)
    if wait:
        return await asyncio.get_running_loop().run_in_executor(waiting, _wait, asked, wait, response)
    if asked.ready():
        return asked.get()
    response.status_code = 202
    return {"status": "pending"}


def _wait(asked: Any, wait: float, response: Response) -> Any:
    try:
        return asked.get(timeout=wait)
    except TimeoutError:
        response.status_code = 202
        return {"status": "pending"}

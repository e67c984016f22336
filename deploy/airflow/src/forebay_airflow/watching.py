"""Waiting for the end of a run, bounded in how long the service may be away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from forebay_airflow.runs import Run
from forebay_client import ForebayError, Passing, ServerError

Look = Callable[[str, float], Awaitable[Run]]
"""Run id and how many seconds the server may wait; raises ForebayError."""


@dataclass(frozen=True)
class Pace:
    every: float
    """Seconds from look to look; the server is asked to wait as long, so that an end is told at once."""
    patience: float
    """Seconds without any answer after which the run is given up for lost."""
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True)
class Lost:
    """Nobody knows how the run stands."""

    why: str
    """One line."""


async def watch(run_id: str, look: Look, pace: Pace, tell: Callable[[str], None]) -> Run | Lost:
    """Until the run ended, or nothing was heard of it for `pace.patience` seconds, or it is refused. `tell` gets a line
    whenever something changed."""
    heard, told = pace.now(), ""
    while True:
        began = pace.now()
        try:
            run = await look(run_id, pace.every)
        except (Passing, ServerError) as met:
            if pace.now() - heard >= pace.patience:
                return Lost(f"nothing was heard of scoring run {run_id} for {pace.now() - heard:.0f} s: {met}")
            line = f"scoring run {run_id} is not heard of, looking again: {met}"
        except ForebayError as met:
            return Lost(f"scoring run {run_id} cannot be watched: {met}")
        else:
            heard, line = pace.now(), run.line()
            if run.ended:
                return run
        if line != told:
            told = line
            tell(line)
        await pace.sleep(max(0.0, pace.every - (pace.now() - began)))

"""The connection to a Ray cluster, quiet, for as long as a run needs it."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from pipelines.scoring.faults import BadOrder, ScoreFault
from workers.errors import one_line

_ANSWERS_WITHIN_S = 5.0
_CORE_LEVEL = "RAY_BACKEND_LOG_LEVEL"


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Whoever is connected already stays so. Raises BadOrder, ScoreFault."""
    if ray.is_initialized():
        yield
        return
    if address is not None:
        _check(address)
    try:
        with _hushed():
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as fault:
        raise ScoreFault(
            f"Ray at {address or 'this machine'}: {one_line(fault, 300)}; a cluster with tokens needs the same RAY_AUTH_MODE and "
            "token here"
        ) from fault
    try:
        yield
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Ray itself would try for a minute, and then tell it in many lines."""
    if "://" in address:
        raise BadOrder(
            f"--ray-address {address}: expected host:port of the cluster's head, called on a machine of the cluster; from "
            "elsewhere: ray job submit -- forebay score --engine ray …"
        )
    if address in ("auto", "local"):
        return
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise BadOrder(f"--ray-address {address}: expected host:port, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN_S).close()
    except (OSError, OverflowError) as fault:
        raise ScoreFault(
            f"no Ray cluster answers at {address}: {fault}; `ray start --head` prints its address"
        ) from fault


@contextmanager
def _hushed() -> Iterator[None]:
    """Ray Data tells the console what the run tells itself; its log file has it all. Ray's core warns of every actor that may
    be made anew, and of a dashboard that is not there: it takes its level from the environment, and only there."""
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL + 1)
    given = os.environ.get(_CORE_LEVEL)
    os.environ[_CORE_LEVEL] = given or "fatal"
    try:
        yield
    finally:
        if given is None:
            del os.environ[_CORE_LEVEL]

"""How requests go out through httpx, alike for both clients."""

from typing import Any

import httpx

from forebay_client.steps import Call
from forebay_client.tasks import TasksTransport
from forebay_client.threads import ThreadsTransport

ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1)
EVERYWHERE = "all://"
"""Mounted there, a transport serves all but what the environment sends through a proxy."""


def settings(base_url: str, key: str | None) -> dict[str, Any]:
    headers = {"accept": "application/json, application/problem+json", "user-agent": "forebay-client"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return {"base_url": base_url, "headers": headers}


def for_threads() -> httpx.BaseTransport:
    context = httpx.create_ssl_context()  # one for all: reading the certificates takes tens of milliseconds
    return ThreadsTransport(lambda: httpx.HTTPTransport(verify=context, limits=ONE))


def for_tasks() -> httpx.AsyncBaseTransport:
    context = httpx.create_ssl_context()
    return TasksTransport(lambda: httpx.AsyncHTTPTransport(verify=context, limits=ONE))


def request_options(call: Call, timeout: float) -> dict[str, Any]:
    """Keyword arguments of httpx's `request`."""
    connect, read = timeout, timeout + call.held
    if call.within is not None:
        connect, read = min(connect, call.within), min(read, call.within)
    return {
        "content": call.content,
        "headers": dict(call.headers),
        "params": dict(call.params) or None,
        "timeout": httpx.Timeout(timeout, connect=connect, read=read),
    }

"""How requests go out through httpx, alike for both clients."""

from typing import Any

import httpx

from forebay_client.steps import Call


def settings(base_url: str, key: str | None) -> dict[str, Any]:
    headers = {"accept": "application/json, application/problem+json", "user-agent": "forebay-client"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return {"base_url": base_url, "headers": headers}


def limits() -> httpx.Limits:
    """Who maps with hundreds in flight holds as many long-polls: `in_flight` is the bound, not the pool."""
    return httpx.Limits(max_connections=None, max_keepalive_connections=64)


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

"""Request bodies. A body is made once: a retry sends the same bytes, so that its idempotency key still fits."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forebay_client.errors import InvalidRequest

BATCH_JOBS = 1000
"""Most jobs in one batch."""
BATCH_BYTES = (8 << 20) - 64
"""Longest list of jobs, so that the whole body stays within 8 MiB."""


@dataclass(frozen=True)
class Options:
    """What a submission may say beside its model and inputs; None leaves it to the server."""

    version: str | None = None
    priority: int | None = None
    expires_in: float | None = None
    webhook: Any = None
    metadata: Mapping[str, Any] | None = None


def checked_key(key: str) -> str:
    """An idempotency key as the server takes it. Raises InvalidRequest."""
    if not (1 <= len(key) <= 255 and all("!" <= character <= "~" for character in key)):
        raise InvalidRequest("idempotency_key: expected 1 to 255 visible ASCII characters", field="idempotency_key")
    return key


def encode(model: str, inputs: Any, options: Options, key: str | None = None) -> bytes:
    """The JSON of one submission. Arrays are taken through their `tolist()`. Raises InvalidRequest, which names what is
    not JSON: NaN and infinities are not."""
    body = {"model": model, "inputs": inputs, **{k: v for k, v in vars(options).items() if v is not None}}
    if key is not None:
        body["idempotency_key"] = checked_key(key)
    try:
        text = json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return text.encode()
    except RecursionError:
        raise InvalidRequest("the request is nested too deeply", field="inputs") from None
    except (TypeError, ValueError) as fault:
        where = _first_not_finite(body)
        if where is not None:
            raise InvalidRequest(
                f"{where}: expected finite numbers, JSON has no NaN or infinity", field=where
            ) from None
        raise InvalidRequest(f"the request can't be written as JSON: {fault}", field="inputs") from None


def chunks(entries: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Entries in order, in batches that the server takes; one that is too long by itself goes alone."""
    start, size = 0, 0
    for index, entry in enumerate(entries):
        if index > start and (index - start == BATCH_JOBS or size + len(entry) + 1 > BATCH_BYTES):
            yield entries[start:index]
            start, size = index, 0
        size += len(entry) + 1
    if start < len(entries):
        yield entries[start:]


def batch_body(entries: Sequence[bytes]) -> bytes:
    return b'{"jobs":[' + b",".join(entries) + b"]}"


def _plain(value: Any) -> Any:
    """Arrays and scalars of numpy, torch and the like."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is neither JSON nor an array with tolist()")


def _first_not_finite(body: Any) -> str | None:
    """None too for what refers to itself, or is nested so deep that the search gives up: then that is what is wrong."""
    try:
        return next(_not_finite(body), None)
    except RecursionError:
        return None


def _not_finite(value: Any, path: str = "") -> Iterator[str]:
    """Where NaN and infinities are, e.g. `inputs.pixels[3]`."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _not_finite(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, f"{path}[{index}]")
    elif hasattr(value, "tolist"):
        yield from _not_finite(value.tolist(), path)

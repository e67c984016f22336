"""Clients of Redis with time-outs: nothing waits for it longer than its caller says."""

import re
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pipelines.redis.address import RedisAddress

FAULTS = (RedisError, OSError)
"""Whatever a call to Redis raises: away, too slow, full, read-only, refusing us."""

_WHERE = re.compile(r"^Error -?\d+ connecting to \S+\. ")
"""What the client says first: whoever tells the fault says where it was."""


def connect(at: RedisAddress, timeout: float, connect_timeout: float | None = None) -> Redis:
    """Connects at its first use. `timeout` in seconds holds for each wait on the socket; no call is tried a second time,
    for whoever calls has another way."""
    tls: dict[str, Any] = {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **dict(at.files)}
    return Redis(
        host=at.host,
        port=at.port,
        db=at.db,
        username=at.username,
        password=at.password,
        socket_timeout=timeout,
        socket_connect_timeout=timeout if connect_timeout is None else connect_timeout,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        client_name="forebay",
        protocol=2,
        **(tls if at.tls else {}),
    )


def one_line(fault: BaseException) -> str:
    """What Redis said or did, without more than a line."""
    said = str(fault).strip().splitlines() or [type(fault).__name__]
    return _WHERE.sub("", said[0]).rstrip(".")[:200]

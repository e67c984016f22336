"""Ports for servers that go away and come back."""

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_TRIES = 200


def steady_port(taken: frozenset[int] = frozenset()) -> int:
    """A free port of 127.0.0.1 that the kernel hands to nobody while its server is down.

    One from the kernel's own range may be given to any outgoing connection; a client that tries to come back may even be
    connected to itself, and the server then can't have its port again.
    """
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, _kernels_first())
        if port not in taken and _free(port):
            return port
    raise OSError(f"no free port between {_LOWEST} and {_kernels_first()} in {_TRIES} tries")


def _kernels_first() -> int:
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = 32768
    return first if first > _LOWEST else 65536


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

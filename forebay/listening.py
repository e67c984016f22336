"""The socket that the API serves on, and room for its connections."""

import errno
import os
import resource
import socket
from typing import Any

OTHER_FILES = 200
"""Open at once beside the connections, at most: the store's, the broker's, those of threads and pipes."""

MOST = 10_000
"""Connections, unless more are asked for: each costs memory."""


class CannotServe(Exception):
    """One line: what is in the way."""


def listen(host: str, port: int) -> socket.socket:
    """Bound, not yet accepting. Raises CannotServe."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _bound(socket.socket(family, socket.SOCK_STREAM), address)
    except (OSError, UnicodeError) as fault:
        raise CannotServe(f"address {in_the_way(host, port, fault)}") from fault


def _bound(listening: socket.socket, address: tuple[Any, ...]) -> socket.socket:
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def in_the_way(host: str, port: int, fault: OSError | UnicodeError, option: str = "--port") -> str:
    """What to tell of an address that cannot be served on. `option`: what chose the port."""
    if isinstance(fault, UnicodeError):  # Python's own, before anything is asked: a label is empty or too long
        shown = host if len(host) <= 80 else f"{host[:77]}..."
        return f"{shown}:{port}: not a host name (labels of 1 to 63 characters); choose another --host"
    if isinstance(fault, socket.gaierror):
        return f"{host}:{port}: the host cannot be resolved ({str(fault.strerror).lower()}); choose another --host"
    what = os.strerror(fault.errno or 0).lower()
    if fault.errno == errno.EADDRNOTAVAIL:
        return f"{host}:{port}: {what}; choose another --host: an address of this machine"
    return f"{host}:{port}: {what}; choose another {option}"


def url_of(listening: socket.socket, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


def allow_connections(wanted: int | None) -> int:
    """How many connections there may be: as many as wanted, or without a wish as many as the system's limit of open files
    allows, `MOST` at most. The soft limit is raised as far as they need. Raises CannotServe."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted is None:
        wanted = MOST if hard == resource.RLIM_INFINITY else max(1, min(MOST, hard - OTHER_FILES))
    _allow_files(wanted, soft, hard)
    return wanted


def _allow_files(connections: int, soft: int, hard: int) -> None:
    wanted = connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise CannotServe(
            f"max_connections {connections}: needs {wanted} open files, the limit is {hard}; raise it (ulimit -Hn)"
            f" or set at most {max(1, hard - OTHER_FILES)}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

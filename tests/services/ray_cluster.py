"""A Ray cluster of several processes on this machine: a head and another node, as `ray start` makes them."""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from tests.services.ports import steady_port

_STARTS_WITHIN = 100.0
_TRIES = 3
"""A node gives up after half a minute, which a machine that is busy with other tests may take."""
_OBJECT_BYTES = 100 << 20
_ANY_PORTS = ("--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0")


class NoRay(Exception):
    """It does not start: with the end of what its log says."""


class RayCluster(Struct, frozen=True):
    """Two nodes with a CPU each."""

    address: str
    env: Mapping[str, str]
    """What a driver needs in order to be let in."""


@contextmanager
def ray_cluster(environment: Mapping[str, str]) -> Iterator[RayCluster]:
    """Raises NoRay."""
    # A short path: the sockets below it may have 107 characters in all.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    cluster = RayCluster(
        f"127.0.0.1:{steady_port()}",
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_AUTH_TOKEN_PATH": ""},
    )
    port, given = cluster.address.rpartition(":")[2], {**environment, **cluster.env, "TMPDIR": str(folder)}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        head = ("--head", "--port", port, "--temp-dir", str(folder), "--include-dashboard", "false",
                "--dashboard-port", str(steady_port()))  # fmt: skip
        stack.enter_context(_node(folder / "head.log", given, *head))
        stack.enter_context(_node(folder / "node.log", given, "--address", cluster.address))
        yield cluster


@contextmanager
def _node(log: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[None]:
    process = _started(log, environment, arguments)
    try:
        yield
    finally:
        _end(process)


def _started(log: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, *_ANY_PORTS, "--num-cpus", "1",
        "--object-store-memory", str(_OBJECT_BYTES), "--disable-usage-stats", "--block",
    ]  # fmt: skip
    for left in reversed(range(_TRIES)):
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True, preexec_fn=_end_with_the_test
            )  # fmt: skip
        try:
            _await(process, log)
            break
        except BaseException as fault:
            _end(process)
            if not left or not isinstance(fault, NoRay):
                raise
    return process


def _end_with_the_test() -> None:
    """In the child: killed when the test's process is, however that went; and Ray's own with it. Linux only."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _await(process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _STARTS_WITHIN
    while "Ray runtime started" not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            raise NoRay(f"Ray does not start: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With all that it started, in its session: a node takes its time to end by itself, and has nothing to save."""
    for pid in (process.pid, *_of_session(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _of_session(session: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[3]) == session:
                yield int(path.parent.name)

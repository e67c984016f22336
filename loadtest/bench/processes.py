"""Child processes of a bench: started, waited for until they say where they serve, ended whatever happens."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
_URL = re.compile(r"https?://[^\s]+:(\d+)")
_PATIENCE_S = 60.0


class NotServing(Exception):
    """One line: which command, and how it ended."""


class Serving(NamedTuple):
    port: int
    pid: int


@contextmanager
def child(command: Sequence[str | Path], core: int | None = None, **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=options.get("stdin"), stdout=subprocess.PIPE, stderr=options.get("stderr"), text=True, cwd=options.get("cwd", ROOT),
        env=_environment(options.get("env")), start_new_session=True,
    )  # type: ignore[call-overload]  # fmt: skip
    try:
        if core is not None:
            cores = os.sched_getaffinity(0)
            os.sched_setaffinity(process.pid, {core} & cores or cores)
        yield process
    finally:
        _end(process)


@contextmanager
def serving(
    command: Sequence[str | Path], core: int | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Serving]:
    """On the port that it says."""
    with child(command, core, env=env) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said = _URL.search(line)
            if said is not None:
                yield Serving(int(said[1]), process.pid)
                return
        raise NotServing(f"{' '.join(map(str, command))}: ended with {process.wait()} before it served")


def await_http(url: str) -> None:
    """Until it answers at all."""
    end = monotonic() + _PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if monotonic() > end:
                raise NotServing(f"{url}: no answer within {_PATIENCE_S:g} s") from None
            sleep(0.1)


def python(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, *arguments]


def _environment(given: object) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FOREBAY_")}
    return clean | (dict(given) if isinstance(given, Mapping) else {})


def _end(process: "subprocess.Popen[str]") -> None:
    """Its whole session: a server may have started others."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(15)
            break
        except subprocess.TimeoutExpired:
            continue
    if process.stdout is not None:
        process.stdout.close()

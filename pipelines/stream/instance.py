"""Who this process is to the group: a name that a restart takes up again, so that it fences its own orphan at once."""

import fcntl
import os
import re
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.kafka.faults import InstanceTaken, KafkaRefused

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
MOST = 256
"""Processes of one group on one machine."""


class Instance:
    """A locked slot under `folder`; the lock ends with the process, however it ends."""

    def __init__(self, folder: Path, name: str, lock: int) -> None:
        self.name = name
        self.starts_path = folder / f"{name}.starts"
        self._lock = lock

    @classmethod
    def take(cls, folder: Path, name: str | None = None) -> Self:
        """`name`, or this host's first slot that is free. Raises InstanceTaken, KafkaRefused for a name that cannot be one."""
        if name is not None and not _NAME.fullmatch(name):
            raise KafkaRefused(f"instance {name!r}: expected letters, digits, '.', '_' or '-', at most 200")
        folder.mkdir(parents=True, exist_ok=True)
        host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "host"
        for candidate in [name] if name is not None else [f"{host}-{slot}" for slot in range(MOST)]:
            lock = _locked(folder / f"{candidate}.lock")
            if lock is not None:
                return cls(folder, candidate, lock)
        taken = f"instance {name!r} runs already" if name else f"{MOST} instances run already"
        raise InstanceTaken(f"{taken} with files under {folder}; choose another --instance or --home")

    def close(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _locked(path: Path) -> int | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd

"""Whom a server runs as. PostgreSQL refuses root, so root hands its files to another account and starts it as that."""

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int

    @classmethod
    def for_servers(cls) -> "Account | None":
        """None: this process's own account will do."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        for name in _ACCOUNTS:
            if entry := known.get(name):
                return cls(entry.pw_uid, entry.pw_gid)
        raise LookupError(
            f"running as root, and there is no account to start a server with; expected one of {_ACCOUNTS}"
        )


def process_options(account: Account | None) -> dict[str, Any]:
    """Keyword arguments of subprocess. A session of its own: a Ctrl-C in the terminal is for the tests, not for the server."""
    session = {"start_new_session": True, "umask": 0o077}
    if account is None:
        return session
    return session | {"user": account.uid, "group": account.gid, "extra_groups": []}


def fresh_folder(prefix: str, account: Account | None) -> Path:
    """A new private folder of that account, where the account can get to it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_temporary(account)))
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def reachable(path: Path, account: Account | None) -> Path | None:
    """`path` when any account can read it, else None."""
    if account is None:
        return path
    resolved = path.resolve()
    open_to_all = stat.S_IROTH | stat.S_IXOTH
    if resolved.stat().st_mode & open_to_all != open_to_all:
        return None
    return resolved if all(parent.stat().st_mode & stat.S_IXOTH for parent in resolved.parents) else None


def copied(root: Path, folders: Sequence[Path], target: Path) -> Path:
    """`target` with copies of these folders below `root`, where they lay, readable by other accounts."""
    for folder in folders:
        shutil.copytree(folder, target / folder.relative_to(root), symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
    return target


def _temporary(account: Account | None) -> Path:
    """The temporary folder, unless it lies in one that the account can't enter."""
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if folder.is_dir() and reachable(folder, account) is not None:
            return folder
    raise LookupError(f"{tempfile.gettempdir()}: no other account can enter it; set TMPDIR to a folder that all can")

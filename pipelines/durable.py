"""Folders that are on the disk when a function returns. Everything raises OSError."""

import os
from pathlib import Path


def make_folders(path: Path) -> None:
    """Each is in its parent on disk before anything is put into it."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folders(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """What is in it by name."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

"""Whether a SQLite store is still the file that was opened."""

import os

from pipelines.store.port import StoreAway


class SameFile:
    """A store deleted or replaced under a running process takes what is written to it along, and the numbers of its rows
    mean other jobs in the file that took its place. So every transaction looks first (a microsecond)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None

    def __call__(self) -> None:
        """Raises StoreAway while the file is not the one that was there first."""
        try:
            found = os.stat(self._path)
        except OSError:
            if self._opened is None:
                return  # it is made by the first connection
            raise StoreAway(f"store {self._path}: the file is gone: put it back, or restart to begin anew") from None
        place = (found.st_dev, found.st_ino)
        if self._opened is None:
            self._opened = place
        elif place != self._opened:
            raise StoreAway(
                f"store {self._path}: another file took its place: put it back, or restart to use the new one"
            )

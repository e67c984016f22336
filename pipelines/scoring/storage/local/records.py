"""Small files of an unfinished run, aside."""

from collections.abc import Callable

from pipelines.scoring.storage.local import files
from pipelines.scoring.storage.local.places import Aside
from pipelines.scoring.storage.naming import checked_record


class FolderRecords:
    """See `pipelines.scoring.storage.port.Records`."""

    def __init__(self, aside: Aside, token: Callable[[], str]) -> None:
        """`token`: a new random name."""
        self._aside = aside
        self._token = token

    def get(self, name: str) -> bytes | None:
        path = self._aside.records / checked_record(name)
        with files.told(path):
            return files.read(path)

    def put(self, name: str, data: bytes) -> None:
        path = self._aside.records / checked_record(name)
        with files.told(path):
            files.write_whole(path, data, self._aside.temporary / self._token())

    def drop(self, name: str) -> None:
        path = self._aside.records / checked_record(name)
        with files.told(path):
            path.unlink(missing_ok=True)

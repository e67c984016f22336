"""Small objects of an unfinished run."""

from pipelines.scoring.faults import LockLost
from pipelines.scoring.storage.naming import checked_record
from pipelines.scoring.storage.s3.layout import Run
from pipelines.scoring.storage.s3.objects import Objects


class ObjectRecords:
    """See `pipelines.scoring.storage.port.Records`. One for each run and process."""

    def __init__(self, objects: Objects, run: Run) -> None:
        self._objects = objects
        self._run = run
        self._seen: dict[str, str | None] = {}
        """ETags as this attempt saw them last; None: it was not there. A put over anything else is of an attempt that
        was taken over while it stood still."""

    def get(self, name: str) -> bytes | None:
        seen = self._objects.get(self._run.record(checked_record(name)))
        self._seen[name] = None if seen is None else seen.etag
        return None if seen is None else seen.data

    def put(self, name: str, data: bytes) -> None:
        """Raises LockLost."""
        path = self._run.record(checked_record(name))
        if name not in self._seen:
            self._seen[name] = self._objects.put(path, data)
            return
        etag = self._objects.put_if(path, data, self._seen[name])
        if etag is None:
            raise LockLost(f"output {self._objects.at}: {path} was written by another attempt: this one was taken over")
        self._seen[name] = etag

    def drop(self, name: str) -> None:
        self._objects.remove([self._run.record(checked_record(name))])
        self._seen[name] = None

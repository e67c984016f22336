"""The lock of a prefix: one object, written by conditional puts only."""

import msgspec
from botocore.exceptions import ClientError

from pipelines.s3 import errors
from pipelines.scoring.faults import StorageFault
from pipelines.scoring.storage.lock import Holder, Seen
from pipelines.scoring.storage.naming import FOLDER
from pipelines.scoring.storage.s3.objects import GUIDE, Objects

LOCK = f"{FOLDER}/lock.json"
_NO_ETAG = '"00000000000000000000000000000000"'


class ObjectCell:
    """See `pipelines.scoring.storage.lock.Cell`."""

    name = LOCK

    def __init__(self, objects: Objects) -> None:
        self.at = f"output {objects.at}"
        self._objects = objects

    def read(self) -> Seen | None:
        seen = self._objects.get(LOCK)
        if seen is None:
            return None
        try:
            return Seen(msgspec.json.decode(seen.data, type=Holder), seen.etag, seen.age)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise StorageFault(
                f"{self.at}: {LOCK} is no lock of this version of Forebay: see that nobody is at it, then delete it"
            ) from None

    def write(self, holder: Holder, tag: str | None) -> str | None:
        return self._objects.put_if(LOCK, msgspec.json.encode(holder), tag)

    def check_conditions(self, mine: Holder) -> None:
        """A server that ignores them lets two runs publish at once: it is found out before anything is written. Raises
        StorageFault."""
        data = msgspec.json.encode(mine)
        with self._objects.told():
            for condition in ({"IfNoneMatch": "*"}, {"IfMatch": _NO_ETAG}):
                if not self._refuses(data, condition):
                    self._objects.remove([LOCK])
                    raise StorageFault(
                        f"{self.at}: it ignores {next(iter(condition))} on puts, which keeps two runs apart: use another"
                        f" storage, see {GUIDE}"
                    )

    def _refuses(self, data: bytes, condition: dict[str, str]) -> bool:
        try:
            self._objects.client.put_object(**self._objects.key(LOCK), Body=data, **condition)  # type: ignore[arg-type]
        except ClientError as fault:
            if errors.is_refused(fault) or errors.is_conflict(fault):
                return True
            raise
        return False

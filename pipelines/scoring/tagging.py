"""What tells whether an input changed, found while the run goes on: reading every byte of it takes a while."""

from collections.abc import Callable, Sequence
from threading import Event, Thread

from msgspec.structs import replace

from pipelines.scoring.dataset import Files, Listed
from schemas.scoring import InputFile


class Tags:
    """A thread of its own, from the first moment."""

    def __init__(
        self, files: Files, planned: Sequence[InputFile], found: Callable[[tuple[InputFile, ...]], None]
    ) -> None:
        """`found`: told of all of them, once; by the thread."""
        self._files = files
        self._tagged = list(planned)
        self._found = found
        self._stop = Event()
        self._fault: BaseException | None = None
        self._thread = Thread(target=self._work, name="forebay-tagging", daemon=True)
        self._thread.start()

    def wait(self) -> tuple[InputFile, ...]:
        """All of them, tagged. Raises BadInput."""
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        return tuple(self._tagged)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            if all(file.tag for file in self._tagged):
                return
            for place, file in enumerate(self._tagged):
                if self._stop.is_set():
                    return
                if not file.tag:
                    tag = self._files.tag(Listed(file.path, file.size, file.changed))
                    self._tagged[place] = replace(file, tag=tag)
            self._found(tuple(self._tagged))
        except BaseException as fault:  # noqa: BLE001  # raised again by whoever waits
            self._fault = fault

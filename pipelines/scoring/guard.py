"""--max-rejects, held while a run goes on."""

from pipelines.scoring.faults import TooManyRejects


class Guard:
    """Ends a run as soon as more is rejected than may be, whatever comes."""

    def __init__(self, most: float, rows: int, rejected: int) -> None:
        self._most = most * rows
        self._rejected = rejected
        self._share = most

    def passes(self, rejected: int) -> bool:
        """Raises TooManyRejects."""
        self._rejected += rejected
        if self._rejected > self._most:
            raise TooManyRejects(
                f"{self._rejected:,} rows were rejected so far, more than --max-rejects {self._share:g} of all; "
                "nothing is published"
            )
        return True

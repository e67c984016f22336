"""The engine of one process."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.scoring.part import Tell
from schemas.scoring import PartDone
from workers.scoring_engine import Local


class OneByOne:
    def score(self, work: Any, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        for number in numbers:
            yield PartDone(number, None)


class Work:
    killed = 0


def test_every_part_is_scored() -> None:
    engine = Local(OneByOne(), OneByOne, print)
    done = engine.score(Work(), range(7), lambda rows, rejected: True)  # type: ignore[arg-type]  # all it asks for
    assert [part.number for part in done] == list(range(7))

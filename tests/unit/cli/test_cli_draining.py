"""What `--until-drained` tells of its progress."""

import io

from rich.console import Console

from forebay.cli.draining import Draining, draining


class Times:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_now_and_then_and_a_summary_of_what_was_committed() -> None:
    times, said = Times(), list[str]()
    told = Draining(times, said.append)
    told.lag({("t", 0): 600, ("t", 1): 400}, {})
    told.batch(100, {"invalid_input": 3}, 0.1)
    told.undone("fenced")  # these are read again
    times.now += 10
    told.batch(200, {"invalid_input": 2, "timeout": 1}, 0.1)
    told.committed(200, 0.01)
    assert said == ["200 of 1,000 records, 20/s, 40 s to go"]
    told.committed(800, 0.01)
    assert len(said) == 1, "not every commit"
    assert told.summary() == "1,000 records in 10.0 s (100/s), 3 dead letters (2 invalid_input, 1 timeout)"


def test_a_bar_on_a_terminal() -> None:
    times, shown = Times(), list[tuple[int, int]]()
    told = Draining(times, lambda line: None, lambda done, total: shown.append((done, total)))
    told.committed(10, 0.0)  # before anybody knows how much there is
    told.lag({("t", 0): 90}, {})
    told.committed(50, 0.0)
    told.lag({("t", 0): 45}, {})  # five more came meanwhile
    assert shown == [(10, 100), (60, 100), (60, 105)]


def test_the_bar_is_drawn_by_rich() -> None:
    text = io.StringIO()
    with draining(Console(file=text, force_terminal=True, width=80)) as observer:
        observer.lag({("t", 0): 90}, {})
        observer.committed(50, 0.0)
    assert "50/90" in text.getvalue()

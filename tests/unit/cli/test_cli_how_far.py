"""How far long work got."""

import io

from rich.console import Console

from forebay.cli.how_far import HowFar, bar


class Times:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_ten_seconds_with_rate_and_time_left() -> None:
    times, said = Times(), list[str]()
    far = HowFar("rows", times, said.append, None, before=1000)
    far.told(1100, 2000)
    times.now += 10
    far.told(1500, 2000)
    far.told(1600, 2000)
    assert said == ["1,500 of 2,000 rows, 50/s, 10 s to go"]


def test_nothing_done_yet_is_no_rate() -> None:
    times, said = Times(), list[str]()
    far = HowFar("rows", times, said.append, None)
    times.now += 11
    far.told(0, 5)
    assert said == ["0 of 5 rows, 0/s"]


def test_a_bar_from_its_first_moment_on() -> None:
    text = io.StringIO()
    with bar("rows", Console(file=text, force_terminal=True, width=100)) as show:
        assert show is not None
        show(0, 90)
        show(50, 90)
    assert "50/90" in text.getvalue()

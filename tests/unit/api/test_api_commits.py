"""Readiness knows of commits that fail: a store may answer questions and take no writes."""

import pytest

from api.commits import Commits
from pipelines.store.port import StoreAway


class Times:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_failed_commit_is_told_until_one_goes_or_a_while_has_passed() -> None:
    times, seen = Times(), list[int]()
    commits = Commits(times, lambda rows, seconds: seen.append(rows))
    assert commits.trouble() is None

    def fail() -> None:
        with pytest.raises(StoreAway), commits.of(3):
            raise StoreAway("store x: database or disk is full")

    fail()
    assert commits.trouble() == "the store takes no submissions: store x: database or disk is full"
    with commits.of(5):
        pass
    assert commits.trouble() is None
    assert seen == [5]
    with commits.of(1):
        times.now += 6
        assert commits.trouble() == "the store takes no submissions: a commit has been running for 6 s"
    fail()
    times.now += 10.5
    assert commits.trouble() is None, "without traffic nobody would see that commits go again"

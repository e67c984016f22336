import uuid

from hypothesis import given
from hypothesis import strategies as st

from api.ids import Ids
from schemas.jobs import is_id


@given(times=st.lists(st.floats(0, 2e9), min_size=1, max_size=50), bits=st.integers(0, 2**62 - 1))
def test_ids_are_uuid7_and_rise_whatever_the_clock_does(times: list[float], bits: int) -> None:
    clock = iter(times)
    ids = Ids(lambda: next(clock), lambda n: bits % (1 << n))
    made = [ids() for _ in times]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {uuid.UUID(id).version for id in made} == {7}
    assert {uuid.UUID(id).variant for id in made} == {uuid.RFC_4122}


def test_an_id_tells_its_millisecond() -> None:
    id = Ids(lambda: 1_700_000_000.123, lambda _: 0)()
    assert int(id.replace("-", "")[:12], 16) == 1_700_000_000_123


def test_5000_ids_of_one_millisecond_go_on_into_the_next() -> None:
    ids = Ids(lambda: 1.0, lambda _: 0)
    made = [ids() for _ in range(5000)]
    assert made == sorted(set(made))


def test_which_ids_are_possible() -> None:
    assert is_id("a" * 128)
    assert is_id("topic-0@17")
    for bad in ("", "a" * 129, "a/b", "a b", "é", "\0", "a\n"):
        assert not is_id(bad)

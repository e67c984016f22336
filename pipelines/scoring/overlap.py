"""Work that goes on ahead of who wants it, so that reading, running and writing overlap."""

from collections.abc import Callable, Generator, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

from msgspec import Struct

from pipelines.scoring.faults import Hung

T = TypeVar("T")
_LOOK_S = 0.1
"""How soon who is ahead sees that nobody wants more."""
_WAITING_S = 0.5


class _Item(Struct, Generic[T]):
    value: T


class _Raised(Struct):
    fault: BaseException


class _End(Struct):
    pass


def well() -> None:
    """Nothing to look at."""


def ahead(
    items: Iterator[T], depth: int, name: str, waiting: Callable[[], None] = well, check: Callable[[], None] = well
) -> Generator[T, None, None]:
    """The same, made by a thread that is at most `depth` items ahead. What it raises is raised here, in its place. Closing
    this closes `items` too. `waiting` and `check` are called now and then while the next one is not there yet; what they raise
    ends it. `check` raises Hung for a thread that does not come back: it is left to itself then, here and on closing."""
    made: Queue[_Item[T] | _Raised | _End] = Queue(depth)
    stop = Event()
    thread = Thread(target=_work, args=(items, made, stop), name=name, daemon=True)
    thread.start()
    try:
        while isinstance(got := _next(made, waiting, check), _Item):
            yield got.value
        if isinstance(got, _Raised):
            raise got.fault
    finally:
        stop.set()
        _drain(made)
        _join(thread, check)


def _next(
    made: "Queue[_Item[T] | _Raised | _End]", waiting: Callable[[], None], check: Callable[[], None]
) -> _Item[T] | _Raised | _End:
    while True:
        try:
            return made.get(timeout=_WAITING_S)
        except Empty:
            check()
            waiting()


def _join(thread: Thread, check: Callable[[], None]) -> None:
    while thread.is_alive():
        try:
            check()
        except Hung:
            return
        thread.join(_WAITING_S)


def _work(items: Iterator[T], made: "Queue[_Item[T] | _Raised | _End]", stop: Event) -> None:
    end: _Raised | _End = _End()
    try:
        for item in items:
            if not _put(made, _Item(item), stop):
                return
    except BaseException as fault:  # noqa: BLE001  # raised again by whoever wants the items
        end = _Raised(fault)
    finally:
        if hasattr(items, "close"):
            items.close()
    _put(made, end, stop)


def _put(made: "Queue[_Item[T] | _Raised | _End]", item: _Item[T] | _Raised | _End, stop: Event) -> bool:
    while not stop.is_set():
        try:
            made.put(item, timeout=_LOOK_S)
            return True
        except Full:
            continue
    return False


def _drain(made: "Queue[_Item[T] | _Raised | _End]") -> None:
    try:
        while True:
            made.get_nowait()
    except Empty:
        pass

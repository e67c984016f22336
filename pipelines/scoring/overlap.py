"""Work that goes on ahead of who wants it, so that reading, running and writing overlap."""

from collections.abc import Callable, Generator, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")
_CHECK_S = 0.5
_LOOK_S = 0.1
"""How soon who is ahead sees that nobody wants more."""
_WAITING_S = 1.0


class _Item(Struct, Generic[T]):
    value: T


class _Raised(Struct):
    fault: BaseException


class _End(Struct):
    pass


<<<<<<< HEAD
def well() -> None:
    """Nothing to look at."""


def ahead(items: Iterator[T], depth: int, name: str, check: Callable[[], None] = well) -> Generator[T, None, None]:
    """The same, made by a thread that is at most `depth` items ahead. What it raises is raised here, in its place. Closing
    this closes `items` too. `check`: called now and then while nothing comes; when it raises, the thread is left to itself."""
=======
def ahead(
    items: Iterator[T], depth: int, name: str, waiting: Callable[[], None] = lambda: None
) -> Generator[T, None, None]:
    """The same, made by a thread that is at most `depth` items ahead. What it raises is raised here, in its place. Closing
    this closes `items` too. `waiting`: called every second or so while the next one is not there yet; what it raises ends it."""
>>>>>>> f4728413cf91e4a6de69a219b064a057b6186bc6
    made: Queue[_Item[T] | _Raised | _End] = Queue(depth)
    stop = Event()
    thread = Thread(target=_work, args=(items, made, stop), name=name, daemon=True)
    thread.start()
    try:
<<<<<<< HEAD
        while isinstance(got := _next(made, stop, check), _Item):
=======
        while isinstance(got := _get(made, waiting), _Item):
>>>>>>> f4728413cf91e4a6de69a219b064a057b6186bc6
            yield got.value
        if isinstance(got, _Raised):
            raise got.fault
    finally:
        alone = stop.is_set()
        stop.set()
        _drain(made)
        if not alone:
            thread.join()


def _next(
    made: "Queue[_Item[T] | _Raised | _End]", stop: Event, check: Callable[[], None]
) -> _Item[T] | _Raised | _End:
    while True:
        try:
            return made.get(timeout=_CHECK_S)
        except Empty:
            try:
                check()
            except BaseException:
                stop.set()
                raise


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


def _get(made: "Queue[_Item[T] | _Raised | _End]", waiting: Callable[[], None]) -> _Item[T] | _Raised | _End:
    while True:
        try:
            return made.get(timeout=_WAITING_S)
        except Empty:
            waiting()


def _drain(made: "Queue[_Item[T] | _Raised | _End]") -> None:
    try:
        while True:
            made.get_nowait()
    except Empty:
        pass

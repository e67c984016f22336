"""Opening what a command works on, and closing it again. Imported late: databases are slow to import."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.cli.errors import CommandError
from schemas.jobs import JobView

if TYPE_CHECKING:
    from forebay.cli.waiting import Seen
    from forebay.settings import Settings
    from pipelines.payloads.deposits import Deposits, Looking
    from pipelines.store.notices import Notices
    from pipelines.store.sql import SqlStore
    from schemas.dead_letters import DeadLetter


def settings_with(home: Path | None = None, models: Path | None = None) -> "Settings":
    """The settings in force; options go first."""
    from forebay.settings import load

    return load(home=home, models=models)


@contextmanager
def store(settings: "Settings") -> Iterator["SqlStore"]:
    """The store; the embedded one is made when there is none."""
    from forebay import stores

    with closing(stores.store_of(settings)) as opened:
        yield opened


@contextmanager
def existing_store(settings: "Settings") -> Iterator["SqlStore"]:
    """The store, which must be there already: looking makes none. Raises CommandError."""
    from pipelines.store.opening import parse

    url = parse(settings.store_url)
    if url.drivername == "sqlite" and not Path(str(url.database)).exists():
        raise CommandError(
            f"there is no store yet at {url.database}; does the server use another --home or FOREBAY_HOME?"
        )
    with store(settings) as opened:
        yield opened


def looking(settings: "Settings", store: "SqlStore") -> "Looking":
    """Brings results and inputs that rows only name. Opened only for those: S3's client is slow to import."""
    from forebay.payloads import payloads_of
    from pipelines.payloads.deposits import Looking

    return Looking(payloads_of(settings, store))


def with_results(settings: "Settings", store: "SqlStore", found: "Seen") -> "Seen":
    """The same jobs with the results that their rows only name. Raises PayloadMissing, PayloadsAway."""
    large = [view for view in found.values() if isinstance(view, JobView) and view.result_ref is not None]
    if not large:
        return found
    look = looking(settings, store)
    return found | {view.id: look.result(view) for view in large}


def with_input(settings: "Settings", store: "SqlStore", letter: "DeadLetter") -> "DeadLetter":
    """The same with the input that its row only names. Raises PayloadMissing, PayloadsAway."""
    return letter if letter.inputs_ref is None else looking(settings, store).letter(letter)


def deposits(settings: "Settings", store: "SqlStore") -> "Deposits | None":
    """Where inputs go that are too large for their rows; None: rows take them."""
    from forebay.payloads import payloads_of
    from pipelines.payloads.deposits import Deposits

    payloads = payloads_of(settings, store)
    return None if payloads is None else Deposits(payloads, settings.inline_bytes)


@contextmanager
def notices(settings: "Settings", store: "SqlStore") -> Iterator["Notices"]:
    """To wake who waits."""
    from forebay import stores
    from forebay.redis_parts import parts_of

    with ExitStack() as stack:
        if (redis := parts_of(settings, store)) is not None:
            stack.callback(redis.close)
        yield stack.enter_context(closing(stores.notices_of(settings, redis)))

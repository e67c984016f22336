"""Opening what a command works on, and closing it again. Imported late: databases are slow to import."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.cli.errors import CommandError

if TYPE_CHECKING:
    from forebay.settings import Settings
    from pipelines.store.notices import Notices
    from pipelines.store.sql import SqlStore


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


@contextmanager
def notices(settings: "Settings") -> Iterator["Notices"]:
    """To wake who waits."""
    from forebay import stores

    with closing(stores.notices_of(settings)) as opened:
        yield opened

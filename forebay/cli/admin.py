"""`forebay db upgrade | config`."""

from typing import Any

import typer

from forebay.cli import opened, options
from forebay.cli.output import json_line

db = typer.Typer(help="The store's tables.", no_args_is_help=True)


@db.command("upgrade")
def upgrade(home: options.Home = None, json: options.Json = False) -> None:
    """Bring the store to this release's level. Workers of the last release keep running on it."""
    from contextlib import closing

    from forebay import stores
    from pipelines.store import migrating
    from pipelines.store.opening import open_database

    url = opened.settings_with(home).store_url
    with stores.patiently(url), closing(open_database(url)) as database:
        before = database.read(migrating.level_of)
        after = migrating.upgrade(database)
        place = database.place
    if json:
        json_line({"store": place, "before": before, "after": after})
    elif before == after:
        print(f"store {place}: at level {after} already")
    else:
        print(f"store {place}: from level {before} to {after}" if before else f"store {place}: made, level {after}")


@db.callback()
def _group() -> None:
    """Keeps `upgrade` a subcommand, though it is the only one."""


def config(home: options.Home = None, models: options.Models = None, json: options.Json = False) -> None:
    """The settings in force, secrets masked, and which file was read."""
    from forebay import settings as forebay_settings

    values = forebay_settings.shown(opened.settings_with(home, models))
    there = forebay_settings.FILE.exists()
    if json:
        json_line({"file": str(forebay_settings.FILE.absolute()) if there else None, "settings": values})
        return
    print(f"# {forebay_settings.FILE.absolute()}: {'read' if there else 'not there'}; FOREBAY_* goes first")
    for name, value in values.items():
        text = _written(name, value)
        print(f"{name} = {'' if text is None else text}")


def _written(name: str, value: Any) -> Any:
    """As it may be written in the file."""
    from forebay import durations, settings, sizes

    if name in settings.DURATIONS:
        return durations.written(value)
    return sizes.written(value) if name in settings.SIZES else value

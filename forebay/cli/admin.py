"""`forebay db upgrade | config`."""

import typer

from forebay.cli import options
from forebay.cli.output import json_line

db = typer.Typer(help="The store's tables.", no_args_is_help=True)


@db.command("upgrade")
def upgrade(home: options.Home = None) -> None:
    """Bring the store to this release's level. Workers of the last release keep running on it."""
    from pipelines.store.migrating import upgrade as migrate
    from pipelines.store.opening import open_database
    from schemas.tables import LEVEL

    database = open_database(options.settings_with(home).store_url)
    try:
        level = migrate(database)
    finally:
        database.close()
    print(f"store {database.place}: level {level} (this release needs {LEVEL})")


@db.callback()
def _group() -> None:
    """Keeps `upgrade` a subcommand, though it is the only one."""


def config(json: options.Json = False) -> None:
    """The settings in force, secrets masked."""
    from forebay import settings as forebay_settings

    settings = forebay_settings.load()
    values = forebay_settings.shown(settings)
    if json:
        json_line(values)
        return
    there = forebay_settings.FILE.exists()
    print(f"# {forebay_settings.FILE}: {'read' if there else 'not there'}; FOREBAY_* goes first")
    for name, value in values.items():
        print(f"{name} = {'' if value is None else value}")

"""`forebay queue create`."""

from typing import Annotated, Any

import typer

from forebay.cli import opened, options
from forebay.cli.errors import CommandError
from forebay.cli.output import json_line
from pipelines.sqs.receives import DEFAULT_RECEIVES, MOST_RECEIVES

queue = typer.Typer(help="The job queue on SQS or Kafka.", no_args_is_help=True)

Receives = Annotated[
    int,
    typer.Option(
        "--max-receives",
        min=1,
        max=MOST_RECEIVES,
        help="SQS: after how many receives it gives a message up. Many, for the neighbours of an item that takes its worker "
        "down are received again with it; what dead-letters a job is limits.max_deliveries.",
    ),
]
Update = Annotated[bool, typer.Option("--update", help="Change what differs, rather than only say so.")]
Pool = Annotated[str | None, typer.Option(help="Only the queue of this pool.", show_default="every model's pool")]


@queue.command("create")
def create(
    pool: Pool = None, max_receives: Receives = DEFAULT_RECEIVES, update: Update = False,
    models: options.Models = None, json: options.Json = False,
) -> None:  # fmt: skip
    """Make the queue that FOREBAY_QUEUE names, for each pool of the models: on SQS with a dead-letter queue and the
    RedrivePolicy, on Kafka a topic. What is there already is left as it is."""
    from forebay.catalogs import open_catalog
    from forebay.queue_making import make

    settings = opened.settings_with(models=models)
    at = settings.queue_at
    if at is None:
        raise CommandError("FOREBAY_QUEUE is `store`: the job table is the queue, and there is nothing to make")
    pools = [pool] if pool is not None else sorted({spec.pool for spec in open_catalog(settings).specs()})
    for record in make(settings, at, pools, max_receives, update):
        json_line(record) if json else print("\n".join(_lines(record)))


@queue.callback()
def _group() -> None:
    """Keeps `create` a subcommand, though it is the only one."""


def _lines(record: dict[str, Any]) -> list[str]:
    if "topic" in record:
        return [f"topic {record['topic']}: {record['status']}, {record['partitions']} partitions"]
    lines = [f"queue {record['queue']}: {record['status']}, with dead-letter queue {record['dead_letter_queue']}"]
    lines += [f"  {name}: {each['wanted']}, was {each['was']}" for name, each in record["changed"].items()]
    lines += [
        f"  {name} is {each['was']}; --update makes it {each['wanted']}" for name, each in record["differs"].items()
    ]
    return lines

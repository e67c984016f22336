"""`forebay stream`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forebay.cli.errors import CommandError, Exit
from forebay.cli.serve import Home, MetricsPort, Models, ReadyFd, log_to_stderr, tell_ready

if TYPE_CHECKING:
    from forebay.settings import Settings
    from pipelines.kafka.options import Kafka

Start = Literal["earliest", "latest"]
Guarantee = Literal["exactly-once", "at-least-once"]
InputFormat = Literal["auto", "json", "avro", "json-schema", "raw"]
OutputFormat = Literal["json", "avro"]
_REGISTRY = "schema.registry."
"""Before options that are the schema registry client's, in the [kafka] table."""


def stream(
    model: Annotated[str, typer.Option(help="The model to run.")],
    input: Annotated[str, typer.Option(help="Topic to read.")],
    output: Annotated[
        str | None, typer.Option(help="Topic of the answers, or postgresql://…#table.", show_default="<input>.out")
    ] = None,
    dlq: Annotated[str | None, typer.Option(help="Topic of the dead letters.", show_default="<input>.dlq")] = None,
    version: Annotated[str | None, typer.Option(help="Number or alias.")] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group.", show_default="forebay.<model>.<input>")] = None,
    instance: Annotated[
        str | None, typer.Option(help="Name of this process in the group.", show_default="the host's first free slot")
    ] = None,
    commit_interval_ms: Annotated[float, typer.Option(min=1, max=4000, help="From commit to commit.")] = 100,
    start: Annotated[Start, typer.Option("--from", help="Where a new group starts.")] = "earliest",
    guarantee: Annotated[
        Guarantee, typer.Option(help="at-least-once: for brokers without transactions.")
    ] = "exactly-once",
    bootstrap: Annotated[
        str | None, typer.Option(help="Brokers.", show_default="FOREBAY_KAFKA_BOOTSTRAP_SERVERS")
    ] = None,
    format: Annotated[
        InputFormat, typer.Option(help="Of the records; auto: JSON, and what a schema registry's clients write.")
    ] = "auto",
    output_format: Annotated[OutputFormat, typer.Option(help="Of the answers.")] = "json",
    schema_registry: Annotated[
        str | None, typer.Option(help="URL.", show_default="FOREBAY_KAFKA_SCHEMA_REGISTRY_URL")
    ] = None,
    passthrough: Annotated[
        str | None, typer.Option(help="Fields that go to the answers: id,ts.", show_default="model.yaml's")
    ] = None,
    create_topics: Annotated[bool, typer.Option("--create-topics", help="Make topics that are missing.")] = False,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Of topics that are made.", show_default="the broker's")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Of topics that are made.", show_default="the broker's")
    ] = None,
    until_drained: Annotated[
        bool, typer.Option("--until-drained", help="End when the input is read to its end.")
    ] = False,
    models: Models = None,
    home: Home = None,
    metrics_port: MetricsPort = None,
    ready_fd: ReadyFd = None,
) -> None:
    """Score a topic: Kafka → model → Kafka, exactly once. SIGTERM finishes the batch and commits."""
    from forebay.settings import load

    settings = load(models=models, home=home, metrics_port=metrics_port)
    kafka = cluster(settings, bootstrap)
    from forebay.streaming import StreamPlan, serve_stream
    from pipelines.kafka.options import Kafka
    from pipelines.kafka.topics import Creation
    from pipelines.stream.formats.choosing import Choice

    registry = {name.removeprefix(_REGISTRY): value for name, value in kafka.options.items() if _ours(name)}
    url = schema_registry or registry.pop("url", None)
    formats = Choice(
        input=format,
        output=output_format,
        registry=None if url is None else str(url),
        registry_options={name: value for name, value in registry.items() if name != "url"},
        passthrough=None if passthrough is None else tuple(filter(None, map(str.strip, passthrough.split(",")))),
    )
    kafka = Kafka(kafka.bootstrap, {name: value for name, value in kafka.options.items() if not _ours(name)})
    target, table = _table_of(output)
    log_to_stderr()
    plan = StreamPlan(
        kafka=kafka,
        model=model,
        version=version,
        input=input,
        output=target or f"{input}.out",
        table=table,
        dead_letters=dlq or f"{input}.dlq",
        group=group or f"forebay.{model}.{input}",
        instance=instance,
        commit_interval=commit_interval_ms / 1000,
        start=start,
        exactly_once=guarantee == "exactly-once",
        creation=Creation(partitions or -1, replication or -1) if create_topics else None,
        until_drained=until_drained,
        formats=formats,
    )
    told = tell_ready("stream", ready_fd)
    if not until_drained:
        raise typer.Exit(serve_stream(settings, plan, told))
    from forebay.cli.draining import draining

    with draining() as observer:
        code = serve_stream(settings, plan, told, [observer])
    raise typer.Exit(code)


def _ours(option: str) -> bool:
    return option.startswith(_REGISTRY)


def _table_of(output: str | None) -> tuple[str | None, str | None]:
    """A topic, or a database's URL and its table."""
    if output is None or "://" not in output:
        return output, None
    url, _, table = output.partition("#")
    if not url.startswith(("postgresql://", "postgres://")) or not table:
        raise CommandError("--output: expected a topic, or postgresql://user:password@host/database#table", Exit.USAGE)
    return url, table


def cluster(settings: "Settings", bootstrap: str | None) -> "Kafka":
    """The cluster that the command and the settings name."""
    try:
        from pipelines.kafka.options import Kafka
    except ImportError as missing:
        raise CommandError("Kafka's client is not installed: pip install 'forebay[kafka]'") from missing
    options = dict(settings.kafka)
    servers = bootstrap or options.pop("bootstrap.servers", None)
    options.pop("bootstrap.servers", None)
    if not servers:
        raise CommandError("no brokers: give --bootstrap host:port or set FOREBAY_KAFKA_BOOTSTRAP_SERVERS", Exit.USAGE)
    return Kafka(str(servers), options)

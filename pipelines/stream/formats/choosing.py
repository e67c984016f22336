"""Which format a stream has: of its records, and of its answers. What cannot be is found before anything is read."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from pipelines.inputs import InputCodec, Inputs, RawInputs
from pipelines.kafka.faults import KafkaRefused
from pipelines.stream.formats.events import Events
from pipelines.stream.formats.passthrough import Passthrough
from pipelines.stream.formats.payloads import JsonOutput, Output, Payload, as_is
from pipelines.stream.formats.port import Format
from pipelines.stream.formats.records import Records
from schemas.model_spec import ModelSpec

InputFormat = Literal["auto", "json", "avro", "json-schema", "raw"]
OutputFormat = Literal["json", "avro"]


class Choice(Struct, frozen=True):
    """What was asked for."""

    input: InputFormat = "auto"
    """auto: JSON, and with a registry also what its clients write, told by the first byte of each record."""
    output: OutputFormat = "json"
    registry: str | None = None
    """The schema registry's URL."""
    registry_options: Mapping[str, Any] = {}
    """Its client's own, by their own names."""
    passthrough: tuple[str, ...] | None = None
    """Instead of model.yaml's."""
    bare: bool = False
    """Answers go to a table: as JSON, never as events."""


class Chosen(Struct, frozen=True):
    format: Format
    inputs: Inputs
    """How the model reads what the format gives it."""


def choose(choice: Choice, spec: ModelSpec, version: str, output: str, clock: Callable[[], float]) -> Chosen:
    """`output`: the topic of the answers. `clock` in seconds. Raises KafkaRefused and KafkaAway, one line."""
    try:
        names = spec.passthrough if choice.passthrough is None else choice.passthrough
        passthrough = Passthrough(names, spec) if names else None
        _consistent(choice, passthrough is not None)
        inputs: Inputs = RawInputs(spec) if choice.input == "raw" else InputCodec(spec, lenient=True)
        client = _client(choice)
        written = _output(choice, spec, output, client)
        payload = _payload(choice, client, clock)
    except ValueError as mistake:
        raise KafkaRefused(str(mistake)) from mistake
    events = Events(spec.name, version, written.content_type)
    return Chosen(Records(payload, written, events, passthrough, choice.bare), inputs)


def _consistent(choice: Choice, passthrough: bool) -> None:
    if passthrough and choice.input == "raw":
        raise ValueError("passthrough: raw tensors have no fields; leave it out")
    if passthrough and choice.output == "avro":
        raise ValueError("passthrough: Avro output has the model's outputs only; leave it out, or write JSON")
    if choice.bare and choice.output != "json":
        raise ValueError("--output-format avro: rows of a table are JSON; leave it out")
    wanting = choice.input in ("avro", "json-schema") or choice.output == "avro"
    if wanting and choice.registry is None:
        raise ValueError("a format with schemas needs --schema-registry URL")


def _client(choice: Choice) -> Any:
    """Imported only when it is needed."""
    if choice.registry is None or (choice.input in ("json", "raw") and choice.output == "json"):
        return None
    try:
        from pipelines.stream.formats.schemas import client_of
    except ImportError as missing:
        raise ValueError("the schema registry's client is not installed: pip install 'forebay[kafka]'") from missing
    return client_of(choice.registry, choice.registry_options)


def _output(choice: Choice, spec: ModelSpec, topic: str, client: Any) -> Output:
    if choice.output == "json":
        return JsonOutput()
    from pipelines.stream.formats.avro_output import AvroOutput, schema_of
    from pipelines.stream.formats.schemas import register

    return AvroOutput(schema_of(spec), lambda schema: register(client, f"{topic}-value", schema))


def _payload(choice: Choice, client: Any, clock: Callable[[], float]) -> Payload:
    if client is None or choice.input in ("json", "raw"):
        return as_is
    from pipelines.stream.formats.framed import Framed
    from pipelines.stream.formats.schemas import AVRO, JSON, Schemas

    kinds = {"avro": [AVRO], "json-schema": [JSON]}.get(choice.input, [AVRO, JSON])
    return Framed(Schemas(client, kinds, clock), always=choice.input != "auto")

"""A schema registry's schemas by id: how payloads written with them are read."""

import json
from collections.abc import Callable, Collection, Mapping
from functools import partial
from io import BytesIO
from typing import Any, TypeAlias, TypeVar

import msgspec
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from pipelines.kafka.errors import one_line
from pipelines.kafka.faults import KafkaAway, KafkaRefused
from pipelines.stream.sinks import Undone

T = TypeVar("T")

AVRO, JSON = "AVRO", "JSON"
UNKNOWN_S = 30.0
"""A registry that does not know an id is asked again after so long: bad records must not become a flood of requests."""
_GONE = 404

Reader: TypeAlias = Callable[[bytes], bytes]
"""From a payload, without its frame, to JSON. Raises what it raises for a payload that does not fit."""


class Unreadable(Exception):
    """One line: why nothing that was written with this schema can be read."""


class Schemas:
    """Asks once for each id, as a schema never changes under its id."""

    def __init__(self, client: SchemaRegistryClient, kinds: Collection[str], clock: Callable[[], float]) -> None:
        """`kinds`: what is read here, AVRO and/or JSON. `clock` in seconds."""
        self._client = client
        self._kinds = kinds
        self._clock = clock
        self._readers: dict[int, Reader] = {}
        self._unreadable: dict[int, tuple[Unreadable, float]] = {}

    def reader(self, id: int) -> Reader:
        """Raises Unreadable; Undone when the registry is away or will not tell: that is no fault of a record."""
        known = self._readers.get(id)
        if known is not None:
            return known
        fault, until = self._unreadable.get(id, (None, 0.0))
        if fault is None or self._clock() >= until:
            try:
                self._readers[id] = reader = self._made(id)
                return reader
            except Unreadable as unreadable:
                fault = unreadable
                self._unreadable[id] = (fault, self._clock() + UNKNOWN_S)
        raise fault

    def _made(self, id: int) -> Reader:
        schema = self._fetched(id)
        kind = schema.schema_type or AVRO
        if kind not in self._kinds:
            raise Unreadable(f"schema {id}: is {kind}, expected {' or '.join(self._kinds)}")
        references = self._references(id, schema)
        try:
            text = str(schema.schema_str)
            return _avro(text, references) if kind == AVRO else _json(text, references)
        except Exception as fault:  # whatever is wrong with a schema, its records are refused
            raise Unreadable(f"schema {id}: cannot be used: {one_line(fault)}") from fault

    def _references(self, id: int, schema: Schema) -> dict[str, str]:
        """Schemas that this one names, and those that they name, by name."""
        found: dict[str, str] = {}
        waiting = list(schema.references or [])
        while waiting:
            reference = waiting.pop()
            name, subject, version = str(reference.name), str(reference.subject), int(reference.version or 0)
            if name in found:
                continue
            ask = partial(self._client.get_version, subject, version, True)
            below = self._asked(f"schema {id}: {subject} version {version}", ask).schema
            found[name] = str(below.schema_str)
            waiting += below.references or []
        return found

    def _fetched(self, id: int) -> Schema:
        return self._asked(f"schema {id}", partial(self._client.get_schema, id))

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except SchemaRegistryError as fault:
            if fault.http_status_code == _GONE:
                raise Unreadable(f"{what}: unknown to the registry") from fault
            raise Undone(f"schema registry: {what}: {one_line(fault)}") from fault
        except Exception as fault:
            raise Undone(f"schema registry: {what}: no answer: {one_line(fault)}") from fault


def client_of(url: str, options: Mapping[str, Any]) -> SchemaRegistryClient:
    """`options` are the client's own, without `schema.registry.` in front. It answers soon, as a transaction may be open;
    trying again is the lane's. Raises KafkaRefused."""
    ours = {"timeout": 3, "max.retries": 1, "retries.wait.ms": 100, "retries.max.wait.ms": 200}
    try:
        return SchemaRegistryClient.new_client({**ours, **options, "url": url})
    except Exception as fault:
        raise KafkaRefused(f"schema registry {url}: {one_line(fault)}") from fault


def register(client: SchemaRegistryClient, subject: str, schema: Mapping[str, Any]) -> int:
    """The id of this Avro schema under this subject, new or known. Raises KafkaAway and KafkaRefused."""
    try:
        return int(client.register_schema(subject, Schema(json.dumps(schema), AVRO)))
    except SchemaRegistryError as fault:
        if fault.http_status_code >= 500:
            raise KafkaAway(f"schema registry: {subject}: {one_line(fault)}") from fault
        raise KafkaRefused(f"schema registry: {subject}: {one_line(fault)}") from fault
    except Exception as fault:
        raise KafkaAway(f"schema registry: {subject}: no answer: {one_line(fault)}") from fault


def _avro(text: str, references: Mapping[str, str]) -> Reader:
    import fastavro

    named: dict[str, Any] = {}
    for reference in reversed(list(references.values())):  # those that are named first
        fastavro.parse_schema(json.loads(reference), named_schemas=named)
    schema = fastavro.parse_schema(json.loads(text), named_schemas=named)
    read, encode = fastavro.schemaless_reader, msgspec.json.Encoder().encode

    def reader(payload: bytes) -> bytes:
        stream = BytesIO(payload)
        value = read(stream, schema, None)
        if stream.tell() != len(payload):
            raise ValueError(f"{len(payload) - stream.tell()} bytes too many")
        return encode(value)

    return reader


def _json(text: str, references: Mapping[str, str]) -> Reader:
    """Hundreds of times as quick as the validator in pure Python. Nothing is ever fetched from where a schema points."""
    import jsonschema_rs

    def named(uri: str) -> Any:
        for name, reference in references.items():
            if uri == name or uri.rpartition("/")[2] == name:
                return json.loads(reference)
        raise ValueError(f"{uri} is none of the schema's references")

    validator = jsonschema_rs.validator_for(json.loads(text), retriever=named)
    decode = msgspec.json.Decoder().decode

    def reader(payload: bytes) -> bytes:
        validator.validate(decode(payload))
        return payload

    return reader

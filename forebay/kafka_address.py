"""Where a job queue on Kafka is: `kafka://host:port,host:port/topic`."""

import re
from urllib.parse import parse_qsl

from msgspec import Struct

from forebay.pools import POOL
from schemas.jobs import DEFAULT_TENANT, check_tenant

_EXPECTED = "expected kafka://host:port,host:port/topic"
_ADDRESS = re.compile(r"kafka://([^/?#]*)/([^/?#]*)(?:\?([^#]*))?")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class KafkaAddress(Struct, frozen=True):
    bootstrap: str
    """Brokers, comma-separated."""
    topic: str
    """May hold `{pool}`."""
    group: str | None = None
    """Consumer group of the workers; None: by the topic."""
    partitions: int | None = None
    """Of a topic that is missing and is made then; None: it is not made."""
    tenant: str = DEFAULT_TENANT
    """Of jobs that other services put there themselves."""

    @classmethod
    def parse(cls, url: str) -> "KafkaAddress":
        """Raises ValueError, one line, which never shows a password."""
        found = _ADDRESS.fullmatch(url)
        if found is None:
            raise ValueError(_EXPECTED)
        bootstrap, topic, query = found[1], found[2], found[3] or ""
        if "@" in bootstrap:
            raise ValueError("no user or password here; they go into [kafka]: sasl.username, sasl.password")
        if not all(_HOST.fullmatch(host) for host in bootstrap.split(",")):
            raise ValueError(f"brokers {bootstrap!r}: {_EXPECTED}")
        if not _TOPIC.fullmatch(topic.replace(POOL, "p")):
            raise ValueError(f"topic {topic!r}: expected letters, digits, '.', '_' or '-', at most 249, and {POOL}")
        options = _options(query)
        partitions = options.get("partitions")
        return cls(
            bootstrap,
            topic,
            options.get("group"),
            None if partitions is None else int(partitions),
            options.get("tenant", DEFAULT_TENANT),
        )

    def topic_of(self, pool: str) -> str:
        return self.topic.replace(POOL, pool)

    def group_of(self, pool: str) -> str:
        return (self.group or f"forebay.{self.topic}").replace(POOL, pool)


def _options(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query))
    if unknown := sorted(given.keys() - {"group", "partitions", "tenant"}):
        raise ValueError(
            f"option {unknown[0]!r}: expected group, partitions or tenant; librdkafka's own go into [kafka]"
        )
    if not re.fullmatch(r"[1-9]\d{0,4}", given.get("partitions", "1")):
        raise ValueError(f"partitions {given['partitions']!r}: expected a number from 1")
    check_tenant(given.get("tenant", DEFAULT_TENANT))
    return given

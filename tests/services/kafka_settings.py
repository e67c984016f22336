"""How the tests' Kafka is set: one node that starts fast and takes little memory, otherwise as Kafka ships."""

from pathlib import Path

_ALWAYS = ("-Xshare:auto", "-Dorg.slf4j.simpleLogger.showDateTime=true",
           "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")  # fmt: skip
QUICK = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_ALWAYS)
"""Java's flags for tests: fast to start, a small share of two cores."""
THROUGHPUT = ("-Xms512m", "-Xmx1g", "-XX:+UseG1GC", *_ALWAYS)
"""Java's flags for benchmarks: as a server is run."""
_ONE_NODE = {
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}
_SMALL = {
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
}
_PROMPT = {
    "group.initial.rebalance.delay.ms": "0",
    # After a crash the controller waits this long before it lets the broker in again: 9 s as shipped.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


def server_settings(data: Path, port: int, controller_port: int) -> dict[str, str]:
    """The lines of server.properties. Both group protocols, `classic` and `consumer`, are on as shipped; so are the limits
    of sessions, for a client that gets by with less here would be refused elsewhere."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        **_ONE_NODE, **_SMALL, **_PROMPT,
    }  # fmt: skip

"""Starts a real Apache Kafka for tests: one process that is broker and controller (KRaft), on a port of 127.0.0.1.

    with Kafka.start() as kafka:
        topic = kafka.fresh_topic(partitions=4)
        kafka.stop("kill")
        kafka.restart()

Leaving the block, an exception, Ctrl-C, SIGTERM and SIGKILL of who started it all end the same way: the guard
(guard.py) kills the broker and removes its folder.
"""

import base64
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from confluent_kafka import KafkaException

from tests.services import account as accounts
from tests.services import guard, kafka_jars
from tests.services.broker import Broker
from tests.services.jars import archive_flags, archive_of
from tests.services.kafka_jars import KafkaJars
from tests.services.kafka_settings import QUICK, server_settings
from tests.services.own_server import RECORD, Failed, OwnServer
from tests.services.ports import steady_port

Mode = Literal["graceful", "kill"]
SIGNALS: dict[Mode, signal.Signals] = {"graceful": signal.SIGTERM, "kill": signal.SIGKILL}
READY_WITHIN = 60.0
STOPPED_WITHIN = 30.0


class Kafka(OwnServer, Broker):
    """A broker of our own."""

    def __init__(
        self, jars: KafkaJars, folder: Path, ports: tuple[int, int], options: Mapping[str, str], jvm: Sequence[str]
    ) -> None:
        """`ports`: the clients', the controller's."""
        Broker.__init__(self, f"127.0.0.1:{ports[0]}")
        OwnServer.__init__(self, "Kafka", folder, guard.guarded(folder, RECORD, signal.SIGKILL))
        self.port, self._controller = ports
        self._options = options
        self._jars = jars
        self._jvm = jvm

    @classmethod
    def start(cls, options: Mapping[str, str] | None = None, jvm: Sequence[str] = QUICK) -> Self:
        """A new, empty broker that answers. `options` are settings of server.properties, `jvm` is Java's flags: QUICK
        starts fast, THROUGHPUT runs fast. Raises NoKafka or Failed."""
        jars = kafka_jars.find()
        if not archive_of(jars).exists() and os.access(jars.folder, os.W_OK):
            _make_archive(jars)
        return cls._planned(jars, options or {}, [*jvm, *archive_flags(jars)])._started()

    @classmethod
    def _planned(cls, jars: KafkaJars, options: Mapping[str, str], jvm: Sequence[str]) -> Self:
        port = steady_port()
        ports = port, steady_port(frozenset({port}))
        return cls(jars, accounts.fresh_folder("forebay-kafka-", None), ports, options, jvm)

    def stop(self, mode: Mode = "graceful") -> None:
        """End the broker and keep its data; `kill` is a crash: the next start recovers. Nothing when it is stopped."""
        self._end(SIGNALS[mode], STOPPED_WITHIN)

    def restart(self, mode: Mode = "graceful") -> None:
        """Stop it if it runs, then start it on the same port with the same data, and wait until it answers."""
        self.stop(mode)
        self._launch([*self._java("kafka.Kafka"), self.folder / "server.properties"])
        self._await(self._answers, READY_WITHIN)

    def _prepare(self) -> None:
        self._format({**server_settings(self.folder / "data", self.port, self._controller), **self._options})

    def _format(self, settings: Mapping[str, str]) -> None:
        """Write the settings and, by Kafka's own tool, the folder of data: it decides the versions of Kafka's features."""
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        (self.folder / "tmp").mkdir()
        done = subprocess.run(
            [*self._java("kafka.tools.StorageTool"), "format", "--cluster-id", _cluster_id(), "--config", properties],
            capture_output=True, text=True, cwd=self.folder, check=False, **accounts.process_options(None),
        )  # fmt: skip
        if done.returncode != 0:
            raise Failed(f"Kafka could not format its data: {_complaint(done.stdout + done.stderr)}")

    def _java(self, program: str) -> list[str]:
        own = [f"-Djava.io.tmpdir={self.folder / 'tmp'}", "-XX:-UsePerfData"]  # leaves nothing outside its folder
        return [str(self._jars.java), *self._jvm, *own, "-cp", self._jars.classpath, program]

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
            self.ping()
        except (OSError, KafkaException):
            return False
        return True

    def _said(self) -> str:
        return _complaint(self.log)


@contextmanager
def broker() -> Iterator[Broker]:
    """The one that FOREBAY_TEST_KAFKA names, without the topics made here afterwards; else one of our own. Raises NoKafka."""
    if (bootstrap := kafka_jars.running()) is None:
        with Kafka.start() as own:
            yield own
        return
    lent = Broker(bootstrap)
    try:
        yield lent
    finally:
        lent.drop()


def _make_archive(jars: KafkaJars) -> None:
    """Once per cache: a broker that starts and stops leaves its loaded classes; starts then take half the time."""
    with Kafka._planned(jars, {}, QUICK)._started() as server:
        made = jars.folder / f"{server.folder.name}.jsa"  # beside: both have to be of one file system to be moved
        try:
            server._jvm = [*QUICK, f"-XX:ArchiveClassesAtExit={made}"]
            server.restart()
            server.stop()
            made.touch()  # empty where this Java can't: not tried again
            made.chmod(0o644)
            made.replace(archive_of(jars))
        finally:
            made.unlink(missing_ok=True)


def _cluster_id() -> str:
    """16 bytes in base64, as Kafka writes them; the first is zero, for one that begins with `-` would be an option."""
    return base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")


def _complaint(output: str) -> str:
    """The last line that tells a fault, else the end of it all."""
    lines = [line.strip() for line in output.splitlines()]
    faults = [line for line in lines if " ERROR " in line or "Exception" in line]
    return (faults[-1] if faults else " ".join(lines[-3:]))[:500]

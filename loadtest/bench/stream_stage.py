"""Where the stream's bench plays: a broker, the model, the input topic; who runs on it, and how fast it gets on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from uuid import uuid4

from loadtest.bench.peer import Peer
from loadtest.bench.processes import ROOT, child, python
from loadtest.bench.stream_check import check
from loadtest.bench.stream_model import BATCH, NAME
from loadtest.bench.stream_peers import FAUST, QUIX, environment
from loadtest.bench.stream_watch import Watch
from tests.services.broker import Broker

PARTITIONS = 4
COMMIT_S = 0.1
CORE = 0
FOREBAY, LOOP, COPY = "forebay stream", "hand-written loop", "copying loop"
_LOOPS = {LOOP: "score", COPY: "copy"}
_PEERS = {peer.title: peer for peer in (QUIX, FAUST)}
FAUST_GUARANTEE = "exactly_once"


@dataclass(frozen=True)
class Run:
    """One process and what it has to itself."""

    process: "Popen[str]"
    group: str
    output: str

    def alive(self) -> bool:
        return self.process.poll() is None


@dataclass(frozen=True)
class Stage:
    broker: Broker
    input: str
    folder: Path
    model: Path

    @contextmanager
    def running(self, who: str, given: str | None = None) -> Iterator[Run]:
        """On topics and in a group of its own, on one core, reading `given` (the input) from its start."""
        topics = output, dead = [self.broker.fresh_topic(PARTITIONS) for _ in range(2)]
        group = f"bench-{uuid4().hex[:12]}"
        home = self.folder / group
        home.mkdir()
        command, variables = self._command(who, (given or self.input, output, dead), group, home)
        try:
            with child(command, CORE, cwd=home if who in _PEERS else ROOT, env=variables) as process:
                yield Run(process, group, output)
        finally:
            self.broker.drop(topics)

    def rate(self, who: str, records: int, within: float, checked: bool = False) -> float:
        """Records per second, committed; see `Watch.rate`. `checked`: the output is read and compared as well."""
        with self.running(who) as run, self.watching(run) as watch:
            rate = watch.rate(records, within, run.alive)
            if checked:
                check(self.broker.bootstrap, run.output, watch.committed(), self.model if who != COPY else None)
            return rate

    @contextmanager
    def watching(self, run: Run) -> Iterator[Watch]:
        watch = Watch(self.broker.bootstrap, run.group, self.input, PARTITIONS)
        try:
            yield watch
        finally:
            watch.close()

    def _command(
        self, who: str, topics: tuple[str, str, str], group: str, home: Path
    ) -> tuple[Sequence[str | Path], dict[str, str]]:
        given, output, dead = topics
        bootstrap = self.broker.bootstrap
        if who in _LOOPS:
            loop = ("-m", "loadtest.bench.stream_loop", _LOOPS[who], bootstrap, given, output, group)
            return python(*loop, self.model, str(BATCH), str(COMMIT_S)), {}
        if who in _PEERS:
            peer: Peer = _PEERS[who]
            variables = environment(bootstrap, (given, output), group, self.model, COMMIT_S, FAUST_GUARANTEE, home)
            return peer.command(), variables
        options: dict[str, str | Path] = {
            "model": NAME, "input": given, "output": output, "dlq": dead, "group": group, "bootstrap": bootstrap,
            "models": self.model.parents[2], "home": home, "commit-interval-ms": str(COMMIT_S * 1000),
        }  # fmt: skip
        said = [part for name, value in options.items() for part in (f"--{name}", value)]
        return python("-P", "-m", "forebay.cli.app", "stream", *said), {}

"""The lane over a cluster in memory whose transactions fail, and whose commits' answers get lost, in any order: every
record comes out once, in order per partition."""

import random
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.flow.in_place import Runner
from pipelines.flow.served import HookFailed, InvalidOutput, Prepared
from pipelines.kafka.faults import KafkaAway
from pipelines.ports import InvalidInput, Tensors
from pipelines.stream.dead import Buried
from pipelines.stream.formats.plain import PlainJson
from pipelines.stream.lane import Lane, LanePlan
from pipelines.stream.observer import StreamObserver
from pipelines.stream.positions import Partition, Positions, spans_of
from pipelines.stream.sinks import Outdated, Undone
from pipelines.stream.starts import Range, Starts, StartsFile
from schemas.model_spec import Batching, Limits

PARTITIONS = (0, 1)
LENGTH = 60


class Record:
    def __init__(self, partition: int, offset: int) -> None:
        self._at = (partition, offset)

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._at[0]

    def offset(self) -> int:
        return self._at[1]

    def value(self) -> bytes:
        return b"bad" if self._at[1] % 17 == 5 else b"%d-%d" % self._at

    def key(self) -> None: ...

    def headers(self) -> None: ...

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


class Cluster:
    """What is committed: offsets, answers and dead letters."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.offsets: dict[Partition, int] = {}
        self.out: list[tuple[int, int]] = []
        self.dead: list[tuple[int, int]] = []

    def happens(self, share: float) -> bool:
        return self.chance.random() < share


class Source:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.positions = Positions()
        self.leaves = False
        self._at: dict[Partition, int] = {}

    def subscribe(self, listener: Any) -> None:
        owned = [("t", number) for number in PARTITIONS]
        listener.came(owned)
        self.positions.assigned(owned)
        self._at = {each: self._cluster.offsets.get(each, 0) for each in owned}

    def read(self, most: int, wait: float) -> list[Any]:
        chosen = self._cluster.chance.choice(sorted(self._at))
        first = self._at[chosen]
        records = [Record(chosen[1], offset) for offset in range(first, min(LENGTH, first + most))]
        self._at[chosen] += len(records)
        self.positions.read(spans_of(records))
        return records

    def group(self) -> None: ...

    def rest(self, seconds: float) -> None:
        if self._cluster.happens(0.3):
            raise KafkaAway("nobody answers")

    def lag(self) -> dict[Partition, int]:
        return {}

    def rewind(self, committed: Mapping[Partition, int] | None = None) -> None:
        assert not self.leaves, "who leaves has nowhere to go back to"
        if self._cluster.happens(0.2):
            raise KafkaAway("nobody answers")
        self.positions.rebase(self._cluster.offsets)
        self._at.update(self.positions.undone())


class Sink:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._out: list[tuple[int, int]] = []
        self._dead: list[tuple[int, int]] = []

    def begin(self, group: Any) -> None:
        self._out, self._dead = [], []

    def write(self, messages: Sequence[Any], values: Sequence[bytes]) -> None:
        if self._cluster.happens(0.05):
            raise Undone("no room")
        for message, value in zip(messages, values, strict=True):
            assert value == message.value(), "another's answer"
            self._out.append((message.partition(), message.offset()))

    def bury(self, letters: Sequence[Buried]) -> None:
        self._dead += [(each.message.partition() or 0, each.message.offset() or 0) for each in letters]

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        refused = self._cluster.happens(0.15)
        if not refused:
            self._cluster.offsets.update(offsets)
            self._cluster.out += self._out
            self._cluster.dead += self._dead
        if refused or self._cluster.happens(0.15):
            raise self._cluster.chance.choice((Undone, Outdated))("the answer to the commit is not there")

    def abort(self) -> None: ...

    def renew(self) -> None:
        if self._cluster.happens(0.2):
            raise KafkaAway("nobody answers")

    def committed(self, partitions: Collection[Partition]) -> None: ...

    def close(self) -> None: ...


class Model:
    name = version = "m"
    limits = Limits()
    batching = Batching(max_batch_size=8)

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        return [InvalidInput("bad") if raw == b"bad" else Prepared({"x": raw}) for raw in raws]  # type: ignore[dict-item]

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return list(inputs)

    def finish(self, outputs: Sequence[Tensors]) -> list[bytes | InvalidOutput]:
        return [each["x"] for each in outputs]  # type: ignore[misc]


class Time:
    now = 0.0

    def monotonic(self) -> float:
        self.now += 0.03
        return self.now


class Nowhere:
    def read(self, partitions: Sequence[Partition]) -> list[Range]:
        return []

    def note(self, ranges: Sequence[Range], surely: bool) -> None: ...


def lane_on(cluster: Cluster, folder: Path, source: Source | None = None) -> Lane:
    runner = Runner(Model(), random.Random(1), lambda seconds: None)
    starts = Starts(StartsFile(folder / "one.starts"), Nowhere())
    lane = Lane(
        source or Source(cluster), PlainJson(), runner, Sink(cluster), starts, Time(), StreamObserver(),  # type: ignore[arg-type]
        LanePlan("m", "1", chunk=8), lambda seconds: None,
    )  # fmt: skip
    lane.open()
    return lane


@pytest.mark.parametrize("seed", range(60))
def test_every_record_comes_out_once_whatever_becomes_of_its_transaction(seed: int, tmp_path: Path) -> None:
    cluster = Cluster(seed)
    lane = lane_on(cluster, tmp_path)
    for _ in range(2000):
        if cluster.happens(0.02):  # a crash: what was not committed is gone
            lane = lane_on(cluster, tmp_path)
        lane.step()
        if all(cluster.offsets.get(("t", number)) == LENGTH for number in PARTITIONS):
            break
    everything = {(number, offset) for number in PARTITIONS for offset in range(LENGTH)}
    buried = {at for at in everything if at[1] % 17 == 5}
    assert sorted(cluster.dead) == sorted(buried)
    assert sorted(cluster.out) == sorted(everything - buried)
    for number in PARTITIONS:
        offsets = [offset for partition, offset in cluster.out if partition == number]
        assert offsets == sorted(offsets)


@pytest.mark.parametrize("seed", range(20))
def test_who_leaves_commits_or_aborts_and_never_goes_back(seed: int, tmp_path: Path) -> None:
    cluster = Cluster(seed)
    source = Source(cluster)
    lane = lane_on(cluster, tmp_path, source)
    while lane.step() == 0:
        pass
    source.leaves = True
    lane.finish()
    done = sum(cluster.offsets.values())
    assert len(cluster.out) + len(cluster.dead) == done

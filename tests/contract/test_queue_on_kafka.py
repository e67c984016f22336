"""What only a queue on Kafka has to keep: offsets, partitions, pauses, strays, and a broker that goes away."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pipelines.admission.direct import Direct
from pipelines.kafka.options import Kafka, Options, producer
from pipelines.ports import Delivery, Message
from pipelines.queues.kafka_inbox import Limit
from pipelines.queues.kafka_options import producer_options
from pipelines.queues.kafka_outlet import KafkaOutlet
from pipelines.queues.kafka_queue import KafkaQueue
from pipelines.store.port import StoreAway
from schemas.strays import Stray
from schemas.verdicts import Done
from tests.contract.kafka_queues import KafkaSide
from tests.services.broker import Broker

WITHIN = 20.0
PROTOCOLS: list[Options] = [{}, {"group.protocol": "consumer"}]


@pytest.fixture
def side(kafka: Broker) -> Iterator[KafkaSide]:
    made = KafkaSide(kafka.bootstrap, kafka.fresh_topic(partitions=3))
    yield made
    made.close()


def put(side: KafkaSide, count: int, first: int = 0) -> set[str]:
    messages = [Message(f"job-{n}", 0, b"{}") for n in range(first, first + count)]
    assert all(side.outlet.send(messages))
    return {message.id for message in messages}


def names(deliveries: Sequence[Delivery]) -> set[str]:
    return {delivery.message.id for delivery in deliveries if delivery.message is not None}


def settle(queue: KafkaQueue, deliveries: Sequence[Delivery]) -> None:
    queue.settle([(delivery, Done(b"{}")) for delivery in deliveries])


def eventually(look: Callable[[], bool], within: float = WITHIN) -> None:
    until = time.monotonic() + within
    while not look():
        assert time.monotonic() < until, f"not within {within:g} s"
        time.sleep(0.01)


def drain(queues: Sequence[KafkaQueue], wanted: set[str]) -> None:
    found: set[str] = set()

    def look() -> bool:
        for queue in queues:
            got = queue.receive(50)
            settle(queue, got)
            found.update(names(got))
        return found >= wanted

    eventually(look)


def open_records(side: KafkaSide) -> int:
    """Between what the group has committed and the end of each partition."""
    watcher = Consumer({"bootstrap.servers": side.kafka.bootstrap, "group.id": f"group-of-{side.topic}"})
    try:
        partitions = [TopicPartition(side.topic, number) for number in range(3)]
        committed = watcher.committed(partitions, timeout=10)
        ends = [watcher.get_watermark_offsets(each, timeout=10)[1] for each in partitions]
        return sum(end - max(0, each.offset) for each, end in zip(committed, ends, strict=True))
    finally:
        watcher.close()


class TestOffsets:
    def test_what_is_settled_is_committed_while_it_runs(self, side: KafkaSide) -> None:
        wanted = put(side, 100)
        queue = side.receiver()
        drain([queue], wanted)
        eventually(lambda: open_records(side) == 0, 5.0)

    def test_one_open_record_holds_its_partition_alone(self, side: KafkaSide) -> None:
        wanted = put(side, 60)
        queue = side.receiver()
        got: list[Delivery] = []

        def all_came() -> bool:
            got.extend(queue.receive(50))
            return len(got) == len(wanted)

        eventually(all_came)
        held = min(
            (each for each in got if each.receipt.partition[1] == got[0].receipt.partition[1]),
            key=lambda each: each.receipt.offset,
        )
        settle(queue, [each for each in got if each is not held])
        behind = sum(each.receipt.partition == held.receipt.partition for each in got)
        eventually(lambda: open_records(side) == behind, 5.0)
        settle(queue, [held])
        eventually(lambda: open_records(side) == 0, 5.0)


class TestBackpressure:
    def test_without_room_it_reads_no_more_and_stays_in_the_group(self, kafka: Broker) -> None:
        options: Options = {"max.poll.interval.ms": 6000, "session.timeout.ms": 6000}
        side = KafkaSide(kafka.bootstrap, kafka.fresh_topic(partitions=3), options)
        try:
            wanted = put(side, 2000)
            queue = side.receiver(Limit(50, 1 << 20))
            first: list[Delivery] = []

            def one_came() -> bool:
                first.extend(queue.receive(1))
                return bool(first)

            eventually(one_came)
            time.sleep(7.0)  # longer than max.poll.interval.ms: a thread that did not poll would be thrown out
            assert len(queue._inbox) <= 50 + 1
            assert queue.extend(first) == first
            settle(queue, first)
            drain([queue], wanted - names(first))
            assert not [told for told in side.told if "lost" in told]
        finally:
            side.close()

    def test_bytes_are_bounded_too(self, side: KafkaSide) -> None:
        big = b'"%s"' % (b"x" * 10_000)
        assert all(side.outlet.send([Message(f"job-{n}", 0, big) for n in range(100)]))
        queue = side.receiver(Limit(1000, 100_000))
        eventually(lambda: len(queue._inbox) > 5)
        time.sleep(0.3)
        assert len(queue._inbox) <= 20, "ten, and at most as many that were read together with the tenth"
        drain([queue], {f"job-{n}" for n in range(100)})


class TestRebalances:
    @pytest.mark.parametrize("options", PROTOCOLS, ids=["cooperative-sticky", "KIP-848"])
    def test_receivers_come_and_go_and_everything_is_done(self, kafka: Broker, options: Options) -> None:
        side = KafkaSide(kafka.bootstrap, kafka.fresh_topic(partitions=3), options)
        try:
            wanted = put(side, 600)
            queues = [side.receiver()]
            found: set[str] = set()
            for turn in range(40):
                if turn % 10 == 4:
                    queues.append(side.receiver())
                if turn % 10 == 9:
                    side.crash(queues.pop(0))
                for queue in queues:
                    got = queue.receive(9)
                    settle(queue, got[: len(got) - turn % 2])  # now and then one stays open
                    found |= names(got)
                time.sleep(0.05)
            for queue in queues[1:]:
                side.crash(queue)
            last = side.receiver()
            drain([last, queues[0]], wanted - found)
            assert not [told for told in side.told if "not committed on leaving" in told]
        finally:
            side.close()


class TestStrays:
    def send_raw(self, side: KafkaSide, values: Sequence[bytes | None]) -> None:
        raw = Producer({"bootstrap.servers": side.kafka.bootstrap})
        for value in values:
            raw.produce(side.topic, value, b"k", partition=0, headers=[("h", b"\xff")])
        assert raw.flush(10) == 0

    def test_they_are_kept_and_the_partition_moves_on(self, side: KafkaSide) -> None:
        self.send_raw(side, [None, b"\xff\x00", b"{}", b"[" * 9999])
        wanted = put(side, 30)
        queue = side.receiver()
        drain([queue], wanted)
        eventually(lambda: open_records(side) == 0, 5.0)
        assert [stray.raw for stray in side.kept] == [None, b"\xff\x00", b"{}", b"[" * 9999]
        assert [stray.position for stray in side.kept] == ["0@0", "0@1", "0@2", "0@3"]
        assert side.kept[0].headers == (("h", b"\xff"),)

    def test_while_the_store_is_away_they_wait(self, side: KafkaSide) -> None:
        away = [True]
        kept: list[Stray] = []

        def keep(strays: Sequence[Stray]) -> None:
            if away[0]:
                raise StoreAway("store: away")
            kept.extend(strays)

        self.send_raw(side, [b"junk"])
        queue = side.receiver(keep=keep)
        eventually(lambda: bool(queue.receive(10)) or len(queue._strangers) > 0)
        for _ in range(3):
            with pytest.raises(StoreAway):
                queue.receive(10)
        assert open_records(side) == 1
        away[0] = False
        assert queue.receive(10) == []
        assert len(kept) == 1
        eventually(lambda: open_records(side) == 0, 5.0)

    def test_jobs_of_others_wait_for_their_rows(self, side: KafkaSide) -> None:
        away = [True]

        def adopt(directs: Sequence[Direct]) -> list[Message]:
            if away[0]:
                raise StoreAway("store: away")
            return [Message(f"made-{direct.sketch.id}", 0) for direct in directs]

        self.send_raw(side, [b'{"model":"m","id":%d}' % n for n in range(3)])
        queue = side.receiver(adopt=adopt)
        eventually(lambda: bool(queue.receive(10)) or len(queue._strangers) == 3)
        with pytest.raises(StoreAway):
            queue.receive(2)
        away[0] = False
        assert [len(queue.receive(2)) for _ in range(3)] == [2, 1, 0]
        assert open_records(side) == 3, "nobody settled them yet"


def test_the_lag_is_what_is_not_settled(kafka: Broker) -> None:
    side = KafkaSide(kafka.bootstrap, kafka.fresh_topic(partitions=1))
    side.outlet.send([Message(f"m{n}", 0) for n in range(50)])
    queue = side.receiver(Limit(10, 1 << 20))
    got: list[Delivery] = []
    eventually(lambda: bool(got.extend(queue.receive(20 - len(got))) or len(got) == 20))
    eventually(lambda: sum(queue.lag.values()) == 50)
    queue.settle([(delivery, Done(b"1")) for delivery in got])
    eventually(lambda: sum(queue.lag.values()) == 30)
    side.close()


class TestOutlet:
    def test_a_broker_that_is_away_answers_no_in_time(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
            options = producer_options(Kafka(f"127.0.0.1:{taken.getsockname()[1]}", {"log_level": 0}))
            told: list[str] = []
            outlet = KafkaOutlet(lambda: producer(options), lambda model: "jobs", time.monotonic, told.append, 0.25)
            begun = time.monotonic()
            assert outlet.send([Message("a", 0), Message("b", 0)]) == [False, False]
            assert time.monotonic() - begun < 0.6
            outlet.close()

    def test_what_is_too_large_is_refused_alone(self, kafka: Broker) -> None:
        topic = kafka.fresh_topic(config={"max.message.bytes": "2000"})
        side = KafkaSide(kafka.bootstrap, topic)
        big = b'"%s"' % (b"x" * 5000)
        assert side.outlet.send([Message("big", 0, big)]) == [False]
        assert side.outlet.send([Message("small", 0)]) == [True]
        assert "not sent" in side.told[0]
        side.close()

    def test_a_model_s_jobs_go_to_its_pool(self, kafka: Broker) -> None:
        sides = {pool: KafkaSide(kafka.bootstrap, kafka.fresh_topic(partitions=3)) for pool in ("cpu", "gpu")}
        options = producer_options(sides["cpu"].kafka)
        outlet = KafkaOutlet(
            lambda: producer(options), lambda model: sides[model].topic, time.monotonic, lambda told: None, 15.0
        )
        assert outlet.send([Message("a", 0, model="cpu"), Message("b", 0, model="gpu")]) == [True, True]
        for pool, id in (("cpu", "a"), ("gpu", "b")):
            drain([sides[pool].receiver()], {id})
            sides[pool].close()
        outlet.close()

    def test_a_delay_is_the_sweeper_s(self, side: KafkaSide) -> None:
        assert side.outlet.send([Message("a", 0)], delay=1.0) == [False]

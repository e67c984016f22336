"""How fast a group moves on, seen from outside: its committed offsets, whoever commits them."""

from collections.abc import Callable
from time import monotonic, sleep

from confluent_kafka import Consumer, KafkaException, TopicPartition

_EVERY_S = 0.01
_ASK_S = 5.0


class Stuck(Exception):
    """One line: a group that does not get where it should."""


class Watch:
    """Of one group on one topic. It belongs to no group itself and reads nothing."""

    def __init__(self, bootstrap: str, group: str, topic: str, partitions: int) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
        self._where = [TopicPartition(topic, number) for number in range(partitions)]
        self._what = f"group {group} on {topic}"

    def committed(self) -> int:
        """Records, all partitions together; a group that has no offset yet has none of its own."""
        try:
            return sum(max(0, each.offset) for each in self._consumer.committed(self._where, _ASK_S))
        except KafkaException:  # a coordinator that is being found
            return 0

    def rate(self, records: int, within: float, alive: Callable[[], bool]) -> float:
        """Records per second from the first commit seen to the last: until `records` are committed, or for `within` seconds
        after the first. Raises Stuck when nothing is committed within that time, or the process ends."""
        asked, first, last = monotonic(), None, (0.0, 0)
        while True:
            now, count = monotonic(), self.committed()
            if count and first is None:
                first = (now, count)
            if count != last[1]:
                last = (now, count)
            if first is not None and (count >= records or now - first[0] > within):
                break
            if (first is None and now - asked > within + 30) or not alive():
                raise Stuck(f"{self._what}: {count:,} of {records:,} records committed")
            sleep(_EVERY_S)
        if last[1] == first[1]:
            raise Stuck(f"{self._what}: one commit only, of {count:,} records: no rate")
        return (last[1] - first[1]) / (last[0] - first[0])

    def close(self) -> None:
        self._consumer.close()

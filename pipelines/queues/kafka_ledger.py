"""Which offsets may be committed: of each partition only what lies below everything that is still open."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct

Partition: TypeAlias = tuple[str, int]
"""Topic and number."""


class Receipt(Struct, frozen=True, gc=False):
    """One record that was read. The epoch fences it: with its partition's next assignment it is stale."""

    partition: Partition
    offset: int
    epoch: int


class _Track(Struct):
    epoch: int
    open: OrderedDict[int, None]
    """Offsets read and not settled, in rising order. What was settled out of order leaves no trace, so that one long run
    costs no memory however far the others go ahead."""
    next: int = -1
    """One after the newest offset that was read; −1 before the first."""
    told: int = -1
    """What `progress` answered last."""

    def base(self) -> int:
        """Everything below this was settled. −1: nothing was read yet."""
        return next(iter(self.open), self.next)


class Ledger:
    """Pure bookkeeping, for one thread at a time. Offsets of a partition are read in rising order, with gaps (compaction,
    markers of transactions); they are settled in any order."""

    def __init__(self) -> None:
        self._tracks: dict[Partition, _Track] = {}
        self._epochs = 0

    @property
    def partitions(self) -> set[Partition]:
        return set(self._tracks)

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """These are ours from now on. One that is already ours starts anew."""
        for partition in partitions:
            self._begin(partition)

    def gone(self, partitions: Iterable[Partition]) -> None:
        """Somebody else's from now on: what was read of them is stale."""
        for partition in partitions:
            self._tracks.pop(partition, None)

    def read(self, partition: Partition, offset: int) -> Receipt | None:
        """None: the partition is not ours (any more)."""
        track = self._tracks.get(partition)
        if track is None:
            return None
        if offset < track.next:  # the topic was made anew, or truncated: what was read before is no longer there
            track = self._begin(partition)
        track.open[offset] = None
        track.next = offset + 1
        return Receipt(partition, offset, track.epoch)

    def holds(self, receipt: Receipt) -> bool:
        """Whether it is open, and ours."""
        track = self._tracks.get(receipt.partition)
        return track is not None and track.epoch == receipt.epoch and receipt.offset in track.open

    def settle(self, receipts: Iterable[Receipt]) -> None:
        """Stale and settled ones change nothing."""
        for receipt in receipts:
            track = self._tracks.get(receipt.partition)
            if track is not None and track.epoch == receipt.epoch:
                track.open.pop(receipt.offset, None)

    def progress(self, of: Sequence[Partition] | None = None) -> dict[Partition, int]:
        """The offset to commit for each partition (of these, or of all) that moved since it was last told."""
        moved = {}
        for partition in self._tracks if of is None else of:
            track = self._tracks.get(partition)
            if track is not None and (base := track.base()) > track.told:
                moved[partition] = track.told = base
        return moved

    def bases(self) -> dict[Partition, int]:
        """Of each partition that was read from: everything below this was settled."""
        return {partition: base for partition, track in self._tracks.items() if (base := track.base()) >= 0}

    def untell(self, partitions: Iterable[Partition]) -> None:
        """Their commit failed: `progress` tells them again."""
        for partition in partitions:
            if (track := self._tracks.get(partition)) is not None:
                track.told = -1

    def open(self) -> int:
        """How many records were read and not settled."""
        return sum(len(track.open) for track in self._tracks.values())

    def _begin(self, partition: Partition) -> _Track:
        self._epochs += 1
        track = self._tracks[partition] = _Track(self._epochs, OrderedDict())
        return track

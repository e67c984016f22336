"""Where the scoring bench plays: the data set, the model, and who scores it, each as a whole process."""

import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from typing import NamedTuple

import msgspec

from loadtest.bench.peer import Peer
from loadtest.bench.processes import child, python
from loadtest.bench.scoring_check import Sums, check
from loadtest.bench.scoring_data import Data, repeated
from loadtest.bench.scoring_peers import environment
from loadtest.bench.stream_model import NAME
from loadtest.bench.whole import Whole, whole, with_memory

CORES = 2
_LOOK_S = 0.002


class Loop(NamedTuple):
    """One way to write it by hand."""

    reading: str
    batch: int
    threads: int

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.reading}, {self.batch:,} rows at a time, ONNX Runtime with {threads}"


class NotKilled(Exception):
    """It had ended before."""


@dataclass(frozen=True)
class Stage:
    data: Data
    folder: Path
    model: Path
    wanted: Sums

    def repeated(self, times: int) -> "Stage":
        """The same with so many times the rows."""
        folder = self.folder / f"{times}-times"
        data = Data(folder, self.data.rows * times) if folder.exists() else repeated(self.data, times, folder)
        sums = Sums(data.rows, self.wanted.scores * times, self.wanted.placed * times)
        return replace(self, data=data, wanted=sums)

    def forebay(self, *more: str) -> float:
        """Seconds."""
        with self._output("forebay") as output:
            return whole(self._score(output, more)).seconds

    def memory(self) -> Whole:
        with self._output("forebay") as output:
            return with_memory(self._score(output))

    def loop(self, which: Loop) -> float:
        with self._output("loop") as output:
            own = ("-m", "loadtest.bench.scoring_loop", which.reading, self.data.folder, output, self.model)
            return whole(python(*own, str(which.batch), str(which.threads))).seconds

    def peer(self, peer: Peer) -> float:
        with self._output(peer.name) as output:
            env = environment(self.data.folder, output, self.model, CORES)
            return whole(peer.command(), env, quiet=True).seconds

    def resumed(self, part_rows: int, parts: int) -> float:
        """Seconds of the run that went on from where one was killed, with so many parts recorded."""
        with self._output("forebay") as output:
            command = self._score(output, ("--part-rows", str(part_rows), "--json"))
            with child(command) as process:
                while _recorded(output) < parts:
                    if process.poll() is not None:
                        raise NotKilled(f"forebay score: ended before {parts} parts were seen")
                    sleep(_LOOK_S)
                process.send_signal(signal.SIGKILL)
                process.wait()
            done = whole(command, quiet=True)
            if msgspec.json.decode(done.said)["attempts"] != 2:
                raise NotKilled(f"forebay score: did not go on: {done.said}")
            return done.seconds

    def _score(self, output: Path, more: Sequence[str] = ()) -> list[str | Path]:
        options: dict[str, str | Path] = {
            "model": NAME, "input": self.data.folder, "output": output, "models": self.model.parents[2],
            "home": self.folder / "home",
        }  # fmt: skip
        said = [part for name, value in options.items() for part in (f"--{name}", value)]
        return python("-P", "-m", "forebay.cli.app", "score", *said, *more)

    @contextmanager
    def _output(self, who: str) -> Iterator[Path]:
        """Checked, and then removed."""
        output = self.folder / "output"
        try:
            yield output
            check(who, output, self.wanted)
        finally:
            if output.is_dir():
                shutil.rmtree(output)
            output.unlink(missing_ok=True)


def _recorded(output: Path) -> int:
    """Parts that an unfinished run would not score again."""
    return sum(1 for _ in output.parent.glob(f".{output.name}.forebay-*/_run/parts/*.json"))

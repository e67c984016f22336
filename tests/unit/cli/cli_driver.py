"""The command line in this process, on a store of its own, and a worker that answers as a test says."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from forebay.cli.app import main
from pipelines.store.opening import open_store
from pipelines.store.sql import SqlStore
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Verdict

REPOSITORY = Path(__file__).parents[3]
PICTURE = json.loads((REPOSITORY / "models/digits/heldout.jsonl").read_text().splitlines()[0])["inputs"]
OTHER = {"pixels": [1] * 64}


class Said(Struct):
    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def one_line(self) -> bool:
        return self.err.startswith("forebay: ") and self.err.count("\n") == 1


class Command:
    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys = capsys
        self.folder = folder
        self.home = folder / "home"
        self.models = folder / "models"

    def __call__(self, *arguments: str) -> Said:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["forebay", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(int(ended.value.code or 0), said.out, said.err)

    def submit(self, *more: str, inputs: Any = PICTURE) -> str:
        said = self("submit", "digits", "--input", json.dumps(inputs), *more)
        assert said.code == 0, said.err
        return said.out.strip()

    def failed(self, error: str = "boom", reason: Reason = Reason.MODEL_ERROR) -> str:
        """A job that is a dead letter."""
        id = self.submit()
        self.fail(id, error, reason)
        return id

    def store(self) -> SqlStore:
        return open_store(f"sqlite:///{self.home}/forebay.db")

    def fail(self, id: str, error: str = "boom", reason: Reason = Reason.MODEL_ERROR) -> None:
        self.end(id, Dead(reason, error))

    def succeed(self, id: str) -> None:
        self.end(id, Done(b'{"probabilities":[1.0]}'))

    def end(self, id: str, verdict: Verdict) -> None:
        store = self.store()
        claim = next(claim for claim in store.claim_next(["digits"], 100, 0.001) if claim.id == id)
        assert store.record([(claim, verdict)])
        store.close()

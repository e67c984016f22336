"""Scoring runs in the process of the test."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from forebay.scoring import ScorePlan, score
from forebay.settings import Settings, load
from schemas.scoring import Manifest, PartDone, Plan
from tests.scoring.ground import NAME, write_models


class Watching:
    """Whether anything was scored, and what was told."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.said: list[str] = []

    def planned(self, plan: Plan, rows_done: int, parts_done: int) -> None:
        self.plans.append(plan)

    def progress(self, rows: int, rejected: int) -> bool:
        return True

    def part(self, done: PartDone) -> None:
        pass


class Here(Struct, frozen=True):
    folder: Path
    settings: Settings
    watching: Watching

    @property
    def input(self) -> Path:
        return self.folder / "in"

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def score(self, *, at: str | None = None, then: Any = None, **plan: Any) -> Manifest:
        """`then`: called at the failpoint `at`."""

        def failpoint(name: str) -> None:
            if name == at:
                then()

        given = {"model": NAME, "input": str(self.input), "output": str(self.output), "passthrough": ("id",), **plan}
        return score(self.settings, ScorePlan(**given), self.watching, self.watching.said.append, failpoint)

    @property
    def scored(self) -> bool:
        """Whether anything was, since this was asked last."""
        found = bool(self.watching.plans)
        self.watching.plans.clear()
        return found


def here(folder: Path, models: Path | None = None) -> Here:
    (folder / "in").mkdir(exist_ok=True)
    repository = write_models(folder / "models") if models is None else models
    return Here(folder, load(models=repository, home=folder / "home"), Watching())

"""A report: measured figures as Markdown, printed and written, with the machine and the command that made them."""

import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from loadtest.bench.machine import busy, describe

REPORTS = Path(__file__).resolve().parent.parent / "reports"


@dataclass(frozen=True)
class Runs:
    """Repeated measurements of one thing."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def shown(self, digits: int = 0) -> str:
        return f"{self.median:,.{digits}f} ({min(self.values):,.{digits}f} to {max(self.values):,.{digits}f})"


@dataclass(frozen=True)
class Figure:
    """One promise of the project and what was measured."""

    what: str
    wanted: str
    measured: str
    holds: bool

    @property
    def row(self) -> tuple[str, ...]:
        return (self.what, self.wanted, self.measured, "yes" if self.holds else "**no**")


@dataclass
class Report:
    title: str
    command: str
    packages: Sequence[str]
    parts: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    _load_before: float = field(default_factory=busy)

    def section(self, title: str, *texts: str) -> None:
        """Added to the report and shown at once: a bench takes minutes."""
        part = "\n\n".join((f"## {title}", *texts))
        self.parts.append(part)
        sys.stdout.write(part + "\n\n")
        sys.stdout.flush()

    def write(self, name: str) -> Path:
        REPORTS.mkdir(parents=True, exist_ok=True)
        path = REPORTS / f"{name}.md"
        path.write_text("\n\n".join((self._head(), self._summary(), *self.parts)) + "\n")
        sys.stdout.write(f"{self._summary()}\n\nwritten: loadtest/reports/{name}.md\n")
        return path

    def _head(self) -> str:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        facts = [
            f"made by `{self.command}` on {now}",
            *describe(self.packages),
            f"load average before and after: {self._load_before:.1f}, {busy():.1f}",
        ]
        return f"# {self.title}\n\n" + "\n".join(f"- {fact}" for fact in facts)

    def _summary(self) -> str:
        rows = [figure.row for figure in self.figures]
        return "## Figures\n\nMedians, and from the lowest to the highest run.\n\n" + table(
            ("figure", "wanted", "measured", "holds"), rows
        )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""What a Dockerfile says, by stage."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Stage:
    name: str
    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and arguments, in order."""


def stages(path: Path) -> dict[str, Stage]:
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE))
    found: dict[str, Stage] = {}
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = stage = Stage(name, base)
        else:
            stage.lines.append((instruction, rest.strip()))
    return found


def lineage(found: dict[str, Stage], name: str) -> list[tuple[str, str]]:
    """The instructions of a stage after those of the stages that it is built on."""
    stage = found[name]
    return (lineage(found, stage.base) if stage.base in found else []) + stage.lines


def last(lines: list[tuple[str, str]], instruction: str) -> Any:
    """The one in force; exec forms as lists."""
    said = [rest for kind, rest in lines if kind == instruction][-1]
    form = re.search(r"\[.*\]$", said)
    return json.loads(form[0]) if form else said


def variables(lines: list[tuple[str, str]]) -> dict[str, str]:
    return {name: value for kind, rest in lines if kind == "ENV" for name, value in re.findall(r"(\w+)=(\S+)", rest)}


def extras(found: dict[str, Stage], packages: str) -> list[str]:
    """What the packages' stage asks requirements.py for."""
    asked = re.search(r"requirements\.py ([a-z ]+) >", " ".join(rest for _, rest in found[packages].lines))
    assert asked, f"{packages}: expected a call of requirements.py"
    return asked[1].split()

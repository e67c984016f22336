"""Print what Forebay needs with these extras, one requirement a line, from the pyproject.toml of the current folder.

pip installs a project's dependencies only together with the project; images want them in a layer of their own.
"""

import sys
import tomllib
from pathlib import Path


def requirements(extras: list[str]) -> list[str]:
    """Raises KeyError for an extra that is none."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(sys.argv[1:])) + "\n")

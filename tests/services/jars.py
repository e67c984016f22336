"""Servers in Java: as jars that are cached below the checkout and fetched by Maven once."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

CACHE = "FOREBAY_TEST_SERVICES"
"""Environment variable: another folder for the jars than `.services` of this checkout."""
FETCHED_WITHIN = 570.0
CHECKOUT = Path(__file__).parents[2]
LOCAL = CHECKOUT / "deploy" / "local"


class NoJars(Exception):
    """There is no such server to start: says what is missing and what to do."""


@dataclass(frozen=True)
class Jars:
    folder: Path
    """Holds the folder `jars`, and may be written to."""
    java: Path
    version: str

    @property
    def classpath(self) -> str:
        """Every jar by name, in order: an archive of loaded classes holds for exactly this."""
        return os.pathsep.join(str(jar) for jar in sorted((self.folder / "jars").glob("*.jar")))


@dataclass(frozen=True)
class Server:
    """What there is to know of one to find it."""

    name: str
    """As it is called; in small letters it names the folder and the property of the pom."""
    java: int
    """The oldest Java that it runs on."""
    instead: str
    """What a person may do who has neither Java nor Maven."""
    missing: type[NoJars] = NoJars

    def find(self, pom: Path) -> Jars:
        """The cached jars of the version that `pom` pins, else fetched ones. Raises `missing`."""
        java = self._java()
        version = self._version(pom)
        folder = Path(os.environ.get(CACHE) or CHECKOUT / ".services").resolve() / f"{self.name.lower()}-{version}"
        if not (folder / "jars").is_dir():
            self._fetch(pom, folder)
        return Jars(folder, java, version)

    def _java(self) -> Path:
        home = os.environ.get("JAVA_HOME")
        program = shutil.which("java", path=f"{home}/bin" if home else None)
        if program is None:
            needed = f"{self.name} needs Java {self.java} or later, and no java was found"
            raise self.missing(f"{needed}: install a JRE, {self.instead}")
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
        major = re.search(r'version "(\d+)', said)
        if major is None or int(major[1]) < self.java:
            found = f"{program} is {said.partition(chr(10))[0] or 'silent'}"
            raise self.missing(f"{found}; expected Java {self.java} or later, {self.instead}")
        return Path(program)

    def _version(self, pom: Path) -> str:
        wanted = f"{self.name.lower()}.version"
        version = ElementTree.parse(pom).findtext(f".//{{*}}{wanted}")
        if not version:
            raise self.missing(f"{pom}: no property {wanted}; expected the version of {self.name} to test with")
        return version

    def _fetch(self, pom: Path, folder: Path) -> None:
        """All or nothing: the jars come into a folder beside and move when they are complete."""
        maven = shutil.which("mvn")
        if maven is None:
            lacking = f"{folder / 'jars'} has no {self.name}, and there is no Maven (mvn) to fetch it"
            raise self.missing(f"{lacking}: install Maven, {self.instead}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as fetched:
            self._copy_dependencies(maven, pom, Path(fetched) / "jars")
            try:
                (Path(fetched) / "jars").rename(folder / "jars")
            except OSError:
                if not (folder / "jars").is_dir():  # else another process was faster, and its jars are the same
                    raise

    def _copy_dependencies(self, maven: str, pom: Path, target: Path) -> None:
        command = [maven, "-B", "-ntp", "-q", "-f", str(pom), "dependency:copy-dependencies",
                   "-DincludeScope=runtime", f"-DoutputDirectory={target}"]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=FETCHED_WITHIN, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            late = f"Maven did not fetch {self.name} within {FETCHED_WITHIN:g} s"
            raise self.missing(f"{late}: try again, {self.instead}") from None
        if done.returncode != 0 or not target.is_dir():
            why = _complaint(done.stdout + done.stderr)
            raise self.missing(f"Maven could not fetch {self.name} ({why}): try again online, {self.instead}")


def archive_of(jars: Jars) -> Path:
    """Java's archive of the classes that a server loads: starts then take half the time. Java itself leaves aside one that
    it did not write."""
    return jars.folder / "classes.jsa"


def archive_flags(jars: Jars) -> list[str]:
    """Empty where there is no archive, or none that this Java could write."""
    archive = archive_of(jars)
    usable = archive.exists() and archive.stat().st_size > 0
    return [f"-XX:SharedArchiveFile={archive}"] if usable else []


def _complaint(output: str) -> str:
    errors = re.findall(r"\[.*ERROR.*?\] (\S.*)", output)
    return str(errors[0])[:300] if errors else "it said nothing"

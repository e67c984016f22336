"""Where Kafka is: running already, or as jars that are cached below the checkout and fetched by Maven once.

`python -m tests.services.kafka_jars` fetches them ahead of time and prints their folder.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

RUNNING = "FOREBAY_TEST_KAFKA"
"""Environment variable: `host:port` of a Kafka that runs and that tests may make topics on."""
CACHE = "FOREBAY_TEST_SERVICES"
"""Environment variable: another folder for the jars than `.services` of this checkout."""
JAVA = 17
"""The oldest Java that Kafka 4 runs on."""
FETCHED_WITHIN = 570.0
_CHECKOUT = Path(__file__).parents[2]
POM = _CHECKOUT / "deploy" / "local" / "kafka" / "pom.xml"
_OR = f"or name a running broker in {RUNNING}=host:port"


class NoKafka(Exception):
    """There is no Kafka to start: says what is missing and what to do."""


@dataclass(frozen=True)
class KafkaJars:
    folder: Path
    """Holds the folder `jars`, and may be written to."""
    java: Path
    version: str

    @property
    def classpath(self) -> str:
        """Every jar by name, in order: an archive of loaded classes (kafka.py) holds for exactly this."""
        return os.pathsep.join(str(jar) for jar in sorted((self.folder / "jars").glob("*.jar")))


def running() -> str | None:
    """The broker that FOREBAY_TEST_KAFKA names."""
    return os.environ.get(RUNNING) or None


def find(pom: Path = POM) -> KafkaJars:
    """The cached jars of the version that `pom` pins, else fetched ones. Raises NoKafka."""
    java = _java()
    version = _version(pom)
    folder = Path(os.environ.get(CACHE) or _CHECKOUT / ".services").resolve() / f"kafka-{version}"
    if not (folder / "jars").is_dir():
        _fetch(pom, folder)
    return KafkaJars(folder, java, version)


def _java() -> Path:
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin" if home else None)
    if program is None:
        raise NoKafka(f"Kafka needs Java {JAVA} or later, and no java was found: install a JRE, {_OR}")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    major = re.search(r'version "(\d+)', said)
    if major is None or int(major[1]) < JAVA:
        raise NoKafka(f"{program} is {said.partition(chr(10))[0] or 'silent'}; expected Java {JAVA} or later, {_OR}")
    return Path(program)


def _version(pom: Path) -> str:
    version = ElementTree.parse(pom).findtext(".//{*}kafka.version")
    if not version:
        raise NoKafka(f"{pom}: no property kafka.version; expected the version of Kafka to test with")
    return version


def _fetch(pom: Path, folder: Path) -> None:
    """All or nothing: the jars come into a folder beside and move when they are complete."""
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafka(f"{folder / 'jars'} has no Kafka, and there is no Maven (mvn) to fetch it: install Maven, {_OR}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as fetched:
        _copy_dependencies(maven, pom, Path(fetched) / "jars")
        try:
            (Path(fetched) / "jars").rename(folder / "jars")
        except OSError:
            if not (folder / "jars").is_dir():  # else another process was faster, and its jars are the same
                raise


def _copy_dependencies(maven: str, pom: Path, target: Path) -> None:
    command = [maven, "-B", "-ntp", "-q", "-f", str(pom), "dependency:copy-dependencies",
               "-DincludeScope=runtime", f"-DoutputDirectory={target}"]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCHED_WITHIN, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise NoKafka(f"Maven did not fetch Kafka within {FETCHED_WITHIN:g} s: try again, {_OR}") from None
    if done.returncode != 0 or not target.is_dir():
        raise NoKafka(f"Maven could not fetch Kafka ({_complaint(done.stdout + done.stderr)}): try again online, {_OR}")


def _complaint(output: str) -> str:
    errors = re.findall(r"\[.*ERROR.*?\] (\S.*)", output)
    return str(errors[0])[:300] if errors else "it said nothing"


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find().folder}\n")
    except NoKafka as missing:
        sys.exit(str(missing))

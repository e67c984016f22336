"""`forebay dlq … --topic` on a real broker: looked at, replayed once, discarded, whatever is killed in between."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.e2e import probe
from tests.e2e.probe import Kind
from tests.e2e.processes import ROOT, Forebay, eventually
from tests.services.broker import Broker
from tests.services.kafka import Kafka
from tests.stream.stage import StreamStage, stream_stage
from tests.stream.topics import EPOCH_MS, QUIET, bad, feed, good, of_kind, read_all


def dlq(on: StreamStage, command: str, *arguments: str, code: int = 0, **settings: str) -> Forebay:
    process = on.place.start("dlq", command, "--topic", on.dead, *arguments, **settings)
    assert process.wait(60) == code, process.complained
    return process


def records(process: Forebay) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.said.splitlines()]


def listed(on: StreamStage, *arguments: str) -> list[dict[str, Any]]:
    return records(dlq(on, "ls", "--json", *arguments))


def drained(on: StreamStage, *arguments: str) -> None:
    worker = on.start("--until-drained", *arguments)
    assert worker.wait(60) == 0, worker.complained


def bury(on: StreamStage, count: int, topic: str | None = None, turn: int = 7) -> None:
    """Letters as a stream writes them, of the models `a` and `b` in turn; `turn` at once on a partition."""
    client = Producer({"bootstrap.servers": on.broker.bootstrap, **QUIET})
    partitions = len(eventually(on.progress.committed, 20))
    for n in range(count):
        ours = {
            "reason": "model_error", "error": "no", "topic": topic or on.topic, "partition": "0", "offset": str(n),
            "attempts": "1", "model": "ab"[n % 2], "version": "1", "failed-at": f"{time.time():.3f}",
        }  # fmt: skip
        headers = [("n", str(n).encode()), *((f"forebay.dlq.{name}", value.encode()) for name, value in ours.items())]
        client.produce(on.dead, good(n).value, b"k", n // turn % partitions, timestamp=EPOCH_MS + n, headers=headers)
        client.poll(0)
    assert client.flush(30) == 0


def test_ls_and_show_tell_what_is_there_and_commit_nothing(kafka: Broker) -> None:
    given = [bad(n, b"\xff\xfe") if n % 10 == 3 else good(n) for n in range(60)]
    with stream_stage(kafka, partitions=2) as on:
        feed(kafka, on.topic, given)
        drained(on)
        letters = listed(on)
        assert len(letters) == 6
        assert all(each["model"] == probe.NAME and each["topic"] == on.topic for each in letters)
        assert listed(on) == letters, "looking is not settling"
        assert len(listed(on, "--limit", "2")) == 2
        assert listed(on, "--reason", "crashed") == []
        (counted,) = listed(on, "--group")
        assert (counted["count"], counted["reason"]) == (6, "invalid_input")
        first = records(dlq(on, "show", letters[0]["id"], "--json"))[0]
        assert first["value_base64"] == "//4="
        assert first["settled"] is False
        assert ["n", "3"] in first["headers"] or first["headers"][0][0] == "n"
        table = dlq(on, "ls").said.splitlines()
        assert table[0].split() == ["id", "model", "version", "reason", "attempts", "replays", "failed", "error"]
        assert len(table) == 7
        dlq(on, "show", "0:99999", code=3)
        dlq(on, "show", "nonsense", code=2)


def test_a_replay_gives_back_what_came_and_settles_only_what_it_was_asked_for(kafka: Broker) -> None:
    given = [
        bad(n, b"\xff\xfe") if n % 10 == 3 else of_kind(n, Kind.ERROR) if n % 10 == 7 else good(n) for n in range(60)
    ]
    with stream_stage(kafka, partitions=2, model={"max_attempts": 1}) as on:
        feed(kafka, on.topic, given)
        drained(on)
        before = {each["id"]: each for each in listed(on)}
        assert len(before) == 12
        would = dlq(on, "replay", "--reason", "model_error", "--dry-run").said
        assert would.count("would be replayed to") == 6
        assert len(read_all(kafka, on.topic)) == 60
        done = dlq(on, "replay", "--reason", "model_error")
        assert done.said.splitlines()[-1] == "6 replayed"
        assert {each["id"] for each in listed(on)} == {
            i for i, each in before.items() if each["reason"] == "invalid_input"
        }
        back = [found for found in read_all(kafka, on.topic) if "forebay.replays" in found.headers]
        first = {found.n: found for found in read_all(kafka, on.topic) if "forebay.replays" not in found.headers}
        assert sorted(found.n for found in back) == [n for n in range(60) if n % 10 == 7]
        for found in back:
            was = first[found.n]
            assert (found.key, found.value, found.timestamp, found.partition) == (
                was.key,
                was.value,
                was.timestamp,
                was.partition,
            )
            assert found.headers == {"n": was.headers["n"], "forebay.replays": b"1"}
        again = dlq(on, "replay", "--reason", "model_error")
        assert again.said.splitlines()[-1] == "0 replayed"
        ids = [each["id"] for each in listed(on)]
        discarded = dlq(on, "discard", ids[0], "--yes")
        assert discarded.said.splitlines() == [f"{ids[0]} discarded", "1 discarded"]
        assert [each["id"] for each in listed(on)] == ids[1:]
        assert "not a dead letter any more" in dlq(on, "replay", ids[0]).complained
        dlq(on, "discard", "--all", "--yes")
        assert listed(on) == []


LETTERS = 6000


@pytest.mark.timeout(240)
def test_a_replay_that_is_killed_again_and_again_repeats_nothing_and_loses_nothing(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=3) as on:
        bury(on, LETTERS)
        kills = 0
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8):
            process = on.place.start("dlq", "replay", "--topic", on.dead, "--model", "a", "--rate", "1000")
            eventually(lambda process=process: "replayed" in process.said or process.code is not None, 60)  # type: ignore[misc]  # bound at once
            time.sleep(pause)
            kills += process.code is None
            process.kill()
        assert kills >= 3, "the kills missed the replay"
        assert 0 < len(read_all(kafka, on.topic)) < LETTERS / 2
        dlq(on, "replay", "--model", "a")
        back = [found.n for found in read_all(kafka, on.topic)]
        assert len(back) == len(set(back)), "a letter was replayed twice"
        assert set(back) == set(range(0, LETTERS, 2))
        assert {each["model"] for each in listed(on, "--limit", "10000")} == {"b"}
        assert len(listed(on, "--limit", "10000")) == LETTERS / 2


@pytest.mark.timeout(180)
def test_the_newer_of_two_replays_takes_over_and_nothing_comes_twice(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=2) as on:
        bury(on, 4000)
        older = on.place.start("dlq", "replay", "--topic", on.dead, "--all", "--rate", "200")
        eventually(lambda: "replayed" in older.said, 60, lambda: older.complained)
        refused = dlq(on, "replay", "--all", code=1)
        assert (
            refused.complained == f"forebay: another replay or discard of {on.dead} runs on this machine; wait for it\n"
        )
        dlq(on, "replay", "--all", HOME=str(on.place.folder / "another-machine"))
        assert older.wait(60) == 1
        assert "another replay or discard" in older.complained.splitlines()[-1], older.complained
        assert "Traceback" not in older.complained
        back = [found.n for found in read_all(kafka, on.topic)]
        assert sorted(back) == list(range(4000))


@pytest.mark.timeout(180)
def test_what_was_repaired_is_answered_and_what_fails_again_comes_back_counted(kafka: Broker) -> None:
    given = [good(n) for n in range(30)]
    with stream_stage(kafka, partitions=1, model={"max_attempts": 1}) as on:
        hooks = on.model / "hooks.py"
        sound = hooks.read_text()
        marked = "def postprocess(outputs):\n"
        assert marked in sound
        broken = sound.replace(marked, f"{marked}    assert outputs['y'][0] % 10 != 7\n")
        hooks.write_text(broken)
        feed(kafka, on.topic, given)
        for _ in range(3):
            drained(on)
            last = listed(on)
            dlq(on, "replay", "--all")
        assert [each["replays"] for each in last] == [2, 2, 2]
        assert {each["reason"] for each in last} == {"invalid_output"}
        hooks.write_text(sound)
        drained(on)
        assert listed(on) == []
        answers = read_all(kafka, on.output)
        assert sorted(found.n for found in answers) == list(range(30))
        assert {found.n: found.headers.get("forebay.replays") for found in answers}[17] == b"3"


def test_what_does_not_fit_the_offset_s_metadata_is_written_again_to_the_end(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        bury(on, 12_000, turn=1)
        done = dlq(on, "replay", "--model", "a")
        assert "letters that stay have new ids" in done.complained
        assert sorted(found.n for found in read_all(kafka, on.topic)) == list(range(0, 12_000, 2))
        dlq(on, "replay", "--model", "b")
        back = [found.n for found in read_all(kafka, on.topic)]
        assert sorted(back) == list(range(12_000))
        assert back[6000:] == list(range(1, 12_000, 2)), "those that stayed are in their order"
        assert listed(on) == []


def test_a_foreign_record_is_shown_as_such_and_blocks_nothing(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        bury(on, 2)
        feed(kafka, on.dead, [good(99)])
        bury(on, 2)
        assert [each["foreign"] for each in listed(on)] == [False, False, True, False, False]
        assert "foreign" in dlq(on, "ls").said
        assert listed(on, "--reason", "model_error")[-1]["foreign"] is False
        done = dlq(on, "replay", "--all", code=1)
        assert done.complained == "forebay: 0:2 stays: its headers do not say where it came from\n"
        assert len(read_all(kafka, on.topic)) == 4
        assert records(dlq(on, "show", "0:2", "--json"))[0]["value"] == {"x": [99, 0]}
        dlq(on, "discard", "0:2", "--yes")
        assert listed(on) == []


def test_a_letter_whose_input_is_gone_stays_and_the_others_go(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        bury(on, 1, topic="no-such-input")
        bury(on, 1)
        done = dlq(on, "replay", "--all", code=1)
        assert "0:0 stays: kafka: no topic 'no-such-input'" in done.complained
        assert [each["topic"] for each in listed(on)] == ["no-such-input"]
        assert len(read_all(kafka, on.topic)) == 1


def test_a_record_that_was_too_large_for_the_dead_letters_is_fetched_from_its_place(kafka: Broker) -> None:
    large = bad(5, b"?" * 200_000)
    with stream_stage(kafka, partitions=1) as on:
        small = kafka.fresh_topic(config={"max.message.bytes": "20000"})
        feed(kafka, on.topic, [large])
        drained(on, "--dlq", small)
        (letter,) = listed(on, "--topic", small)
        assert letter["left_behind"] is True
        dlq(on, "replay", "--topic", small, "--all")
        first, second = read_all(kafka, on.topic)
        assert second.value == first.value == large.value
        assert second.headers == {**first.headers, "forebay.replays": b"1"}


def test_a_limit_takes_the_oldest(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=2) as on:
        bury(on, 40)
        dlq(on, "replay", "--model", "a", "--limit", "5")
        dlq(on, "discard", "--model", "b", "--limit", "3", "--yes")
        assert [found.n for found in read_all(kafka, on.topic)] == [0, 2, 4, 6, 14]
        assert len(listed(on)) == 32


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (["ls", "--topic", "no-such-topic"], "no topic 'no-such-topic'", 1),
        (["replay", "--all", "--topic", "no-such-topic"], "no topic 'no-such-topic'", 1),
        (["ls", "--topic", "any", "--bootstrap", "127.0.0.1:1"], "127.0.0.1:1: no broker answers", 1),
        (["replay", "--topic", "any"], "name jobs, give a filter such as --reason, or say --all", 2),
        (["replay", "--topic", "any", "--all", "--patch", "{}"], "--patch: not with --topic", 2),
        (["ls", "--topic", ""], "--topic: expected the name of a topic", 2),
        (["ls", "--topic", "no topic/../name"], "topic 'no topic/../name'", 1),
        (["show", "--topic", "any", "nonsense", "--tenant", "other"], "--tenant: not with --topic", 2),
        (["ls", "--topic", "any", "--strays"], "--strays: not with --topic", 2),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(kafka: Broker, arguments: list[str], told: str, code: int) -> None:
    with stream_stage(kafka, partitions=1) as on:
        process = on.place.start("dlq", *arguments)
        assert process.wait(60) == code
        (line,) = process.complained.splitlines()
        assert line.startswith("forebay: ")
        assert told in line


def test_more_than_a_few_are_not_discarded_unasked(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        bury(on, 3)
        assert (
            "3 dead letters would be lost for good: say so with --yes" in dlq(on, "discard", "--all", code=2).complained
        )
        assert len(listed(on)) == 3


@pytest.mark.timeout(300)
def test_a_replay_goes_on_after_its_broker_was_restarted() -> None:
    with Kafka.start() as broker, stream_stage(broker, partitions=2) as on:
        bury(on, 3000)
        process = on.place.start("dlq", "replay", "--topic", on.dead, "--all", "--rate", "500")
        eventually(lambda: "replayed" in process.said, 60, lambda: process.complained)
        broker.restart()
        assert process.wait(200) == 0, process.complained
        assert sorted(found.n for found in read_all(broker, on.topic)) == list(range(3000))
        assert process.said.splitlines()[-1] == "3000 replayed"


@pytest.mark.timeout(180)
def test_what_is_not_allowed_is_told_in_one_line() -> None:
    options = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with Kafka.start(options) as broker, stream_stage(broker, partitions=1) as on:
        bury(on, 2)
        own = f"forebay.dlq.{on.dead}"
        for kind, name, command, told in (
            (ResourceType.TOPIC, on.dead, ["ls"], f"topic '{on.dead}': Broker: Topic authorization failed"),
            (
                ResourceType.GROUP,
                own,
                ["ls"],
                f"group '{own}': FindCoordinator response error: Group authorization failed",
            ),
            (ResourceType.TRANSACTIONAL_ID, own, ["replay", "--all"], "Transactional Id authorization failed"),
            (ResourceType.TOPIC, on.topic, ["replay", "--model", "a"], "0:0 stays: kafka: topic"),
        ):
            with denied(broker, kind, name):
                (line,) = dlq(on, *command, code=1).complained.splitlines()
            assert told in line
        dlq(on, "replay", "--all")
        assert len(read_all(broker, on.topic)) == 2


@contextmanager
def denied(broker: Broker, kind: ResourceType, name: str) -> Iterator[None]:
    """What this names may be neither seen nor changed."""
    client = AdminClient({"bootstrap.servers": broker.bootstrap, **QUIET})
    rule = (kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", AclOperation.ALL, AclPermissionType.DENY)
    for made in client.create_acls([AclBinding(*rule)]).values():
        made.result(20)
    try:
        yield
    finally:
        for gone in client.delete_acls([AclBindingFilter(*rule)]).values():
            gone.result(20)


def test_ctrl_c_leaves_the_rest_as_it_was(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        bury(on, 1000)
        process = on.place.start("dlq", "replay", "--topic", on.dead, "--all", "--rate", "100")
        eventually(lambda: "replayed" in process.said, 60, lambda: process.complained)
        process.signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert "Traceback" not in process.complained
        told = int(process.said.splitlines()[-1].removesuffix(" replayed"))
        back = len(read_all(kafka, on.topic))
        assert told == back < 1000
        assert len(listed(on, "--limit", "1000")) == 1000 - back


def test_without_kafka_s_client_the_extra_is_named() -> None:
    command = "import sys; sys.modules['confluent_kafka'] = None; from forebay.cli.app import main; main()"
    for arguments in (["ls"], ["show", "0:1"], ["replay", "--all"], ["discard", "0:1", "--yes"]):
        done = subprocess.run(
            [sys.executable, "-c", command, "dlq", *arguments, "--topic", "any"],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert done.returncode == 1
        assert done.stderr == "forebay: Kafka's client is not installed: pip install 'forebay[kafka]'\n"

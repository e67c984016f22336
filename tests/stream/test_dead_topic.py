"""`forebay dlq … --topic` on a real broker: looked at, replayed once, discarded, whatever is killed in between."""

import json
from typing import Any

from tests.e2e import probe
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay
from tests.services.broker import Broker
from tests.stream.stage import StreamStage, stream_stage
from tests.stream.topics import bad, feed, good, of_kind, read_all


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
        assert "without" not in dlq(on, "discard", "--all", code=2).complained
        dlq(on, "discard", "--all", "--yes")
        assert listed(on) == []

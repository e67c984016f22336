"""`forebay stream` on a real broker: what goes where, and what is said when it cannot."""

import json

import pytest

from tests.e2e import probe
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay, eventually
from tests.services.broker import Broker
from tests.stream.stage import StreamStage, stream_stage
from tests.stream.topics import bad, feed, feeding, good, of_kind, read_all


def drained(on: StreamStage, *arguments: str, **settings: str) -> Forebay:
    worker = on.start("--until-drained", *arguments, **settings)
    assert worker.wait(60) == 0, worker.complained
    return worker


def test_answers_keep_key_timestamp_and_headers_and_bad_records_keep_everything(kafka: Broker) -> None:
    broken = {3: b"\xff", 5: None, 8: b'{"x": [1]}', 13: b'{"x": [1, "a"]}', 21: b"{}", 34: b'{"x": [1e400, 0]}'}
    given = [bad(n, broken[n]) if n in broken else good(n) for n in range(100)]
    with stream_stage(kafka) as on:
        feed(kafka, on.topic, given)
        worker = drained(on)
        _, letters = on.check(given, set(broken))
        assert {letter.headers["forebay.dlq.reason"] for letter in letters} == {b"invalid_input"}
        assert worker.complained.splitlines()[-1].startswith("forebay stream: 100 records in ")
        assert worker.complained.splitlines()[-1].endswith("6 dead letters (6 invalid_input)")
        errors = {letter.n: letter.headers["forebay.dlq.error"].decode() for letter in letters}
        assert "null" in errors[5]
        assert "inputs.x" in errors[8]
        assert "x" in errors[21]


def test_what_the_model_refuses_is_buried_alone(kafka: Broker) -> None:
    given = [of_kind(n, Kind.ERROR) if n == 17 else good(n) for n in range(64)]
    with stream_stage(kafka, partitions=1, model={"max_attempts": 2}) as on:
        feed(kafka, on.topic, given)
        drained(on)
        _, letters = on.check(given, {17})
        assert letters[0].headers["forebay.dlq.reason"] == b"model_error"
        assert letters[0].headers["forebay.dlq.attempts"] == b"2"


def test_a_second_run_finds_nothing_left(kafka: Broker) -> None:
    given = [good(n) for n in range(50)]
    with stream_stage(kafka) as on:
        feed(kafka, on.topic, given)
        drained(on)
        drained(on)
        on.check(given, set())


def test_sigterm_finishes_and_commits(kafka: Broker) -> None:
    given = [good(n) for n in range(3000)]
    with stream_stage(kafka) as on:
        feed(kafka, on.topic, given)
        worker = on.start("--commit-interval-ms", "4000").ready()
        eventually(lambda: len(probe.runs(on.model)) > 100, 20)
        assert worker.stop() == 0
        drained(on)
        on.check(given, set())


def test_at_least_once_without_transactions(kafka: Broker) -> None:
    given = [bad(n, b"?") if n == 7 else good(n) for n in range(500)]
    with stream_stage(kafka) as on:
        feed(kafka, on.topic, given)
        drained(on, "--guarantee", "at-least-once")
        on.check(given, {7})


def test_an_answer_that_its_topic_does_not_take_is_a_dead_letter(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        small = kafka.fresh_topic(config={"max.message.bytes": "530"})
        given = [good(n) for n in range(10)]
        feed(kafka, on.topic, given)
        drained(on, "--output", small)
        letters = read_all(kafka, on.dead)
        assert len(letters) + len(read_all(kafka, small)) == 10
        assert all(b"its topic takes" in letter.headers["forebay.dlq.error"] for letter in letters)


def test_topics_are_made_when_asked(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        feed(kafka, on.topic, [good(1)])
        output = f"{on.topic}.elsewhere"
        drained(on, "--output", output, "--create-topics", "--partitions", "3")
        (answer,) = read_all(kafka, output)
        assert answer.value is not None
        assert json.loads(answer.value) == {"y": [probe.f(1)]}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--input", "no-such-topic"], "no topic 'no-such-topic'"),
        (["--output", "no-such-topic"], "no topic 'no-such-topic'"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--bootstrap", "127.0.0.1:1"], "127.0.0.1:1: no broker answers"),
        (["--instance", "no spaces"], "instance 'no spaces': expected letters"),
    ],
)
def test_what_cannot_start_says_so_in_one_line(kafka: Broker, arguments: list[str], told: str) -> None:
    with stream_stage(kafka, partitions=1) as on:
        worker = on.start(*arguments)
        assert worker.wait(40) == (3 if "model" in told else 1)
        lines = [line for line in worker.complained.splitlines() if line.startswith("forebay: ")]
        assert len(lines) == 1
        assert told in lines[0]
        assert "Traceback" not in worker.complained


def test_an_option_that_librdkafka_does_not_know_is_named(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        worker = on.start(KAFKA_NO_SUCH_OPTION="1")
        assert worker.wait(40) == 1
        assert "no.such.option" in worker.complained


@pytest.mark.timeout(120)
def test_the_protocol_of_kip_848(kafka: Broker) -> None:
    """The broker assigns: two workers share the partitions, one is restarted, nothing is lost or done twice."""
    given = [good(n) for n in range(3000)]
    with stream_stage(kafka) as on:
        workers = [on.start(KAFKA_GROUP_PROTOCOL="consumer").ready() for _ in range(2)]
        with feeding(kafka, on.topic, given, 300):
            eventually(lambda: all("assigned" in worker.complained for worker in workers), 30)
            eventually(lambda: on.progress.total() > 500, 30)
            assert workers[0].stop() == 0, workers[0].complained
            workers[0] = on.start(
                KAFKA_GROUP_PROTOCOL="consumer"
            ).ready()  # by the same name: its partitions wait for it
        eventually(lambda: on.progress.left() == 0, 30, lambda: f"{on.progress.left()} left", every=0.2)
        for worker in workers:
            assert worker.stop() == 0, worker.complained
        on.check(given, set())

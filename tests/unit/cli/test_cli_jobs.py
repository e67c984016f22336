"""`forebay result | cancel | jobs`."""

import json

import pytest
from cli_driver import OTHER, Command

from forebay.cli import errors, waiting
from pipelines.store.memory import MemoryStore
from schemas.jobs import Submission


class Test_result:
    def test_pending_succeeded_and_failed(self, forebay: Command) -> None:
        id = forebay.submit()
        pending = forebay("result", id)
        assert (pending.code, pending.out) == (errors.Exit.STILL_PENDING, f"{id} queued\n")
        forebay.succeed(id)
        said = forebay("result", id)
        assert (said.code, json.loads(said.out)) == (0, {"probabilities": [1.0]})
        (record,) = forebay("result", id, "--json").records
        assert (record["status"], record["result"]) == ("succeeded", {"probabilities": [1.0]})
        assert record["finished_at"].endswith("Z")

    def test_failed(self, forebay: Command) -> None:
        id = forebay.failed("bang\x1b[31m\nsecond line")
        said = forebay("result", id, "--json")
        assert said.code == errors.Exit.JOB_NOT_SUCCEEDED
        assert said.records[0]["error"] == {"reason": "model_error", "message": "bang\x1b[31m\nsecond line"}
        assert forebay("result", id).out == f"{id} failed model_error: bang�[31m second line\n"

    def test_unknown_and_purged(self, forebay: Command) -> None:
        id = forebay.failed()
        forebay("dlq", "discard", id, "--yes")
        purged, unknown = forebay("result", id), forebay("result", "nope")
        assert (purged.code, purged.err) == (3, f"forebay: job {id} was purged: its result is gone\n")
        assert (unknown.code, unknown.err) == (3, "forebay: no job nope\n")
        assert forebay("result", id, "--json").records == [{"job_id": id, "status": "purged"}]

    def test_another_tenants_job_is_unknown(self, forebay: Command) -> None:
        id = forebay.submit("--tenant", "ann")
        assert forebay("result", id).code == errors.Exit.NOT_FOUND
        assert forebay("result", id, "--tenant", "ann").code == errors.Exit.STILL_PENDING
        assert forebay("cancel", id).code == errors.Exit.NOT_FOUND
        assert forebay("jobs", "ls", "--json").out == ""


def test_cancel_says_how_each_ended(forebay: Command) -> None:
    open_, done = forebay.submit(), forebay.submit()
    forebay.succeed(done)
    said = forebay("cancel", open_, "nope", done)
    assert (said.code, said.err) == (errors.Exit.NOT_FOUND, "forebay: no job nope\n")
    assert said.out == f"{open_} canceled\n{done} succeeded\n"
    assert forebay("result", open_).code == errors.Exit.JOB_NOT_SUCCEEDED
    assert forebay("cancel", open_, "--json").records[0]["status"] == "canceled"


class Test_ls:
    def test_filters(self, forebay: Command) -> None:
        first, second = forebay.submit(), forebay.submit("--version", "2", inputs=OTHER)
        forebay.succeed(first)

        def ids(*options: str) -> list[str]:
            return [record["job_id"] for record in forebay("jobs", "ls", *options, "--json").records]

        assert ids() == [second, first]
        assert ids("--state", "succeeded") == [first]
        assert ids("--version", "2") == [second]
        assert ids("--model", "nope") == []
        assert ids("--since", "1h", "--limit", "1") == [second]
        assert ids("--until", "1h") == []
        assert ids("--since", "2026-01-01T00:00+02:00", "--until", "9999-01-01") == [second, first]

    def test_all_goes_on_over_pages(self, forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("forebay.cli.jobs.PAGE", 2)
        ids = [forebay.submit() for _ in range(5)]
        assert [r["job_id"] for r in forebay("jobs", "ls", "--limit", "3", "--json").records] == ids[:1:-1]
        assert [r["job_id"] for r in forebay("jobs", "ls", "--limit", "1", "--all", "--json").records] == ids[::-1]

    def test_a_piped_table_keeps_every_word_on_one_line(self, forebay: Command) -> None:
        id = forebay.failed("a long error " * 40)
        head, line = forebay("jobs", "ls").out.splitlines()
        assert head.startswith("job ")
        assert line.startswith(f"{id}  failed  digits")
        assert line.endswith("error " * 1 + "a long error")


def test_stats_count_by_state_and_tell_what_is_paused(forebay: Command) -> None:
    forebay.succeed(forebay.submit())
    forebay.submit()
    forebay("jobs", "pause", "digits")
    records = forebay("jobs", "stats", "--json").records
    assert [(r["state"], r["count"], r["paused"]) for r in records] == [("queued", 1, True), ("succeeded", 1, True)]
    assert "paused" in forebay("jobs", "stats").out


def test_pause_and_resume(forebay: Command) -> None:
    forebay.submit()
    assert forebay("jobs", "pause", "digits").out == "digits is paused\n"
    store = forebay.store()
    assert store.paused() == {"digits"}
    assert forebay("jobs", "resume", "digits").code == 0
    assert store.paused() == set()
    store.close()


def test_a_misspelled_model_is_not_paused_in_silence(forebay: Command) -> None:
    forebay.submit()
    said = forebay("jobs", "pause", "digit")
    assert (said.code, said.err) == (errors.Exit.NOT_FOUND, "forebay: no model 'digit'; there are: digits\n")


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "ls"), ("jobs", "stats"), ("jobs", "pause", "digits"), ("jobs", "resume", "digits"), ("result", "x"),
        ("cancel", "x"), ("dlq", "ls"), ("dlq", "show", "x"), ("dlq", "replay", "x"), ("dlq", "discard", "x"),
    ],
)  # fmt: skip
def test_looking_makes_no_store(forebay: Command, command: tuple[str, ...]) -> None:
    said = forebay(*command)
    assert (said.code, said.one_line) == (errors.Exit.FAILED, True)
    assert f"there is no store yet at {forebay.home}/forebay.db" in said.err
    assert not forebay.home.exists()


def test_a_store_that_is_none(forebay: Command) -> None:
    forebay.home.mkdir()
    (forebay.home / "forebay.db").write_bytes(b"not a database" * 100)
    said = forebay("jobs", "ls")
    assert (said.code, said.one_line) == (errors.Exit.FAILED, True)
    assert "not a database" in said.err


@pytest.mark.parametrize(
    "option",
    [("--since", "soon"), ("--until", "13h30"), ("--limit", "0"), ("--state", "lost"), ("--nope",), ("--tenant", "")],
)
def test_a_bad_option_is_one_line(forebay: Command, option: tuple[str, ...]) -> None:
    said = forebay("jobs", "ls", *option)
    assert (said.code, said.one_line) == (errors.Exit.USAGE, True)
    assert option[0] in said.err
    assert said.err.endswith("see forebay jobs ls --help\n")


class Ticking:
    """Time passes only in sleep."""

    def __init__(self, store: MemoryStore, end_after: int) -> None:
        self.at = 0.0
        self.slept: list[float] = []
        self._store = store
        self._end_after = end_after

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.slept.append(seconds)
        if len(self.slept) == self._end_after:
            self._store.cancel("t", ["a"])


@pytest.mark.parametrize(
    ("end_after", "code"), [(3, errors.Exit.JOB_NOT_SUCCEEDED), (10**9, errors.Exit.STILL_PENDING)]
)
def test_waiting_looks_less_and_less_often_and_never_too_long(end_after: int, code: errors.Exit) -> None:
    store = MemoryStore(lambda: 0.0)
    store.submit([Submission("a", "t", "m", "1", b"{}", b"")])
    time = Ticking(store, end_after)
    found = waiting.until_ended(store, "t", ["a"], 10.0, time, time.sleep)
    assert waiting.exit_code(["a"], found) is code
    assert time.at <= 10.0
    assert time.slept[:3] == sorted(time.slept[:3])
    assert max(time.slept) <= waiting.LONGEST_PAUSE_S

"""`forebay dlq`."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cli_driver import OTHER, PICTURE, Command

from forebay.cli import errors
from pipelines import replaying
from schemas.jobs import Submission
from schemas.reasons import Reason
from schemas.strays import Stray
from schemas.verdicts import Dead


def queued(forebay: Command) -> set[str]:
    return {record["job_id"] for record in forebay("jobs", "ls", "--state", "queued", "--all", "--json").records}


def test_list_and_filter(forebay: Command) -> None:
    boom, bang = forebay.failed("boom 100%"), forebay.failed("bang", Reason.TIMEOUT)

    def ids(*options: str) -> list[str]:
        return [record["job_id"] for record in forebay("dlq", "ls", *options, "--json").records]

    assert ids() == [bang, boom]
    assert ids("--limit", "1") == [bang]
    assert ids("--error", "100%") == [boom]
    assert ids("--reason", "timeout", "--model", "digits", "--version", "1", "--since", "1h") == [bang]
    assert ids("--until", "1h") == ids("--tenant", "ann") == []
    assert boom in forebay("dlq", "ls").out


def test_groups_have_the_largest_first(forebay: Command) -> None:
    for error in ("boom", "bang", "boom"):
        forebay.failed(error)
    groups = forebay("dlq", "ls", "--group", "--json").records
    assert [(group["count"], group["error"]) for group in groups] == [(2, "boom"), (1, "bang")]
    assert forebay("dlq", "ls", "--group").out.splitlines()[1].startswith("2 ")


def test_show_has_everything(forebay: Command) -> None:
    id = forebay.failed("bang")
    forebay("dlq", "replay", id, "--patch", json.dumps(OTHER), "--version", "2", "--by", "ann")
    forebay.fail(id, "boom")
    (shown,) = forebay("dlq", "show", id, "--json").records
    assert (shown["inputs"], shown["generation"], shown["version"], shown["origin"]) == (OTHER, 1, "2", "cli")
    assert [(tried["generation"], tried["error"]) for tried in shown["history"]] == [(0, "bang"), (1, "boom")]
    (lineage,) = shown["replays"]
    assert (lineage["by"], lineage["version_before"], lineage["inputs_before"]) == ("ann", "1", PICTURE)
    text = forebay("dlq", "show", id).out
    assert "attempt 1 of generation 0" in text
    assert "by ann: version 2 (was 1)" in text
    assert "inputs before: " in text


def test_show_of_none(forebay: Command) -> None:
    id = forebay.submit()
    said = forebay("dlq", "show", id)
    assert (said.code, said.err) == (
        errors.Exit.NOT_FOUND,
        f"forebay: {id}: not a dead letter: it is queued, generation 0\n",
    )


class Test_replay:
    def test_by_id(self, forebay: Command) -> None:
        id = forebay.failed()
        said = forebay("dlq", "replay", id)
        assert (said.code, said.out) == (0, f"{id} replayed\n1 of 1 replayed\n")
        (record,) = forebay("jobs", "ls", "--json").records
        assert (record["status"], record["generation"]) == ("queued", 1)

    def test_given_twice_it_applies_once_and_a_succeeded_job_is_left_alone(self, forebay: Command) -> None:
        id = forebay.failed()
        forebay("dlq", "replay", id)
        forebay.succeed(id)
        said = forebay("dlq", "replay", id, id)
        assert (said.code, said.out) == (0, "0 of 0 replayed\n")
        assert said.err == f"forebay: {id}: not a dead letter: it is succeeded, generation 1\n"

    def test_the_named_ones_that_are_gone_do_not_keep_the_rest(self, forebay: Command) -> None:
        done, left = forebay.failed(), forebay.failed()
        forebay("dlq", "replay", done)
        said = forebay("dlq", "replay", done, left, "nope", "--json")
        assert said.code == errors.Exit.NOT_FOUND
        assert said.records[0] == {"job_id": left, "replayed": True}
        assert "nope: no such job" in said.err
        assert queued(forebay) == {done, left}

    def test_version_filters_and_dry_run(self, forebay: Command) -> None:
        one, two = forebay.failed("one"), forebay.failed("two")
        said = forebay("dlq", "replay", "--error", "two", "--version", "2", "--dry-run")
        assert said.out == f"{two} would be replayed on version 2 (model_error)\n1 would be replayed\n"
        assert queued(forebay) == set()
        assert forebay("dlq", "replay", "--error", "two", "--dry-run", "--json").records[0]["job_id"] == two
        assert forebay("dlq", "replay", "--error", "two", "--version", "2", "--json").records == [
            {"job_id": two, "replayed": True}
        ]
        (record,) = forebay("jobs", "ls", "--state", "queued", "--json").records
        assert (record["job_id"], record["version"]) == (two, "2")
        assert forebay("dlq", "replay", "--all", "--only-version", "2").out == "0 of 0 replayed\n"
        assert f"{one} replayed" in forebay("dlq", "replay", "--all", "--only-version", "1").out

    def test_a_bad_patch_replays_nothing(self, forebay: Command) -> None:
        ids = {forebay.failed() for _ in range(3)}
        said = forebay("dlq", "replay", "--all", "--patch", '{"pixels": [1]}')
        assert (said.code, said.one_line, said.out) == (errors.Exit.FAILED, True, "")
        assert "inputs.pixels: expected shape [64], got [1]" in said.err
        assert {record["job_id"] for record in forebay("dlq", "ls", "--json").records} == ids

    def test_a_patch_from_a_file(self, forebay: Command) -> None:
        id = forebay.failed()
        (forebay.folder / "patch.json").write_text(json.dumps(OTHER))
        assert forebay("dlq", "replay", id, "--patch", "@patch.json").code == 0

    def test_the_user_is_named_in_the_audit(self, forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.getuid", lambda: 4_000_000_001)
        id = forebay.failed()
        forebay("dlq", "replay", id)
        forebay.fail(id)
        assert forebay("dlq", "show", id, "--json").records[0]["replays"][0]["by"] == "uid 4000000001"

    def test_stopped_half_way_and_run_again_it_does_the_rest(
        self, forebay: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replaying, "PAGE", 2)
        ids = {forebay.failed() for _ in range(5)}
        monkeypatch.setattr("forebay.cli.dlq_acting._Replaying._print", _interrupted_after(1))
        assert forebay("dlq", "replay", "--all").code == 130
        monkeypatch.undo()
        monkeypatch.setenv("FOREBAY_HOME", str(forebay.home))
        done = queued(forebay)
        assert 0 < len(done) < 5
        said = forebay("dlq", "replay", "--all", "--json")
        assert {record["job_id"] for record in said.records} == ids - done
        assert [record["generation"] for record in forebay("jobs", "ls", "--json").records] == [1] * 5

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            ((), 2, "name jobs, give a filter such as --reason, or say --all"),
            (("x", "--all"), 2, "either --all or ids"),
            (("--all", "--patch", "[1]"), 2, "--patch: expected a JSON object"),
            (("--all", "--patch", "{"), 2, "--patch is not JSON"),
            (("--all", "--patch", "@missing"), 1, "missing: No such file"),
            (("--all", "--rate", "0"), 2, "expected a number above 0"),
            (("--all", "--rate", "nan"), 2, "expected a number above 0"),
            (("--all", "--reason", "bad_luck"), 2, "--reason"),
            (("--all", "--version", "9"), 3, "model 'digits' has no version '9'"),
        ],
    )
    def test_errors_are_one_line(self, forebay: Command, arguments: tuple[str, ...], code: int, message: str) -> None:
        forebay.failed()
        said = forebay("dlq", "replay", *arguments)
        assert (said.code, said.one_line) == (code, True), said.err
        assert message in said.err
        assert queued(forebay) == set()

    def test_without_a_change_it_needs_no_models(self, forebay: Command) -> None:
        id = forebay.failed()
        (forebay.models / "digits" / "model.yaml").unlink()
        assert forebay("dlq", "replay", id).code == 0


class Test_discard:
    def test_it_refuses_without_yes_where_nobody_can_be_asked(self, forebay: Command) -> None:
        id = forebay.failed()
        said = forebay("dlq", "discard", id)
        assert (said.code, said.one_line, "--yes" in said.err) == (errors.Exit.USAGE, True, True)
        assert forebay("dlq", "discard", id, "--yes").out == f"{id} discarded\n1 of 1 discarded\n"
        assert forebay("result", id).code == errors.Exit.NOT_FOUND
        again = forebay("dlq", "discard", id, "--yes")
        assert (again.code, again.err) == (errors.Exit.NOT_FOUND, f"forebay: {id}: it was purged\n")

    @pytest.mark.parametrize(("answer", "left"), [(False, 1), (True, 0)])
    def test_it_asks_on_a_terminal(
        self, forebay: Command, monkeypatch: pytest.MonkeyPatch, answer: bool, left: int
    ) -> None:
        forebay.failed()
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("typer._click.termui.visible_prompt_func", lambda _text: "y" if answer else "n")
        forebay("dlq", "discard", "--all")
        assert len(forebay("dlq", "ls", "--json").records) == left

    def test_filters(self, forebay: Command) -> None:
        one, two = forebay.failed("one"), forebay.failed("two")
        assert forebay("dlq", "discard").code == errors.Exit.USAGE
        said = forebay("dlq", "discard", "--error", "one", "--yes", "--json")
        assert said.records == [{"job_id": one, "discarded": True}]
        assert [record["job_id"] for record in forebay("dlq", "ls", "--json").records] == [two]


def _interrupted_after(chunks: int) -> Callable[..., None]:
    left = [chunks]

    def interrupted(_self: Any, _chunk: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1

    return interrupted


def test_strays_are_hinted_at_beside_the_list(forebay: Command) -> None:
    id = forebay.failed()
    assert forebay("dlq", "ls").err == ""
    store = forebay.store()
    store.keep_strays([Stray("jobs", str(n), b"x", "no envelope") for n in range(4)])
    store.close()
    said = forebay("dlq", "ls")
    assert (id in said.out, said.err) == (True, "forebay: 4 strays: forebay dlq ls --strays\n")
    assert forebay("dlq", "ls", "--json").err == forebay("dlq", "ls", "--strays").err == ""
    assert len(forebay("dlq", "ls", "--strays", "--json").records) == 4


def test_a_job_for_a_model_that_is_none_runs_on_another(forebay: Command) -> None:
    store = forebay.store()
    raw = json.dumps(PICTURE).encode()
    store.submit([Submission("direct-1", "default", "digit", "unknown", raw, b"d", origin="jobs-0@1")])
    store.record(
        [(claim, Dead(Reason.INVALID_INPUT, "no model 'digit'")) for claim in store.claim_next(["digit"], 1, 1)]
    )
    store.close()
    assert "on model digits" in forebay("dlq", "replay", "direct-1", "--to-model", "digits", "--dry-run").out
    assert forebay("dlq", "replay", "direct-1", "--to-model", "digits", "--by", "ann").code == 0
    forebay.fail("direct-1")
    (shown,) = forebay("dlq", "show", "direct-1", "--json").records
    assert (shown["model"], shown["version"], shown["replays"][0]["by"]) == (
        "digits",
        "1",
        "ann (model digits, was digit)",
    )
    assert forebay("dlq", "replay", "direct-1", "--to-model", "nope").one_line
